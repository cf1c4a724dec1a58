"""A finished run's score: what it says, when there is none, and how good the default is."""

import json

import pytest
import torch

from ganlab.data.batch import Batch
from ganlab.tasks.scoring import final_scores, label_agreement


class Digits:
    """Ten classes that anyone can tell apart: one bright pixel each."""

    num_classes = 10

    class Part(list):
        infinite = False

    train, test = Part(range(50)), Part(range(20))

    def examples(self, count, split="train"):
        labels = torch.arange(count) % 10
        return Batch(torch.eye(10)[labels], labels)


class Generator:
    """Draws the asked class, except that it draws `confused` as the next one."""

    condition_size = 10
    device = torch.device("cpu")
    generator_ema = None

    def __init__(self, confused=None):
        self.confused = confused

    def sample(self, count, condition, generator):
        drawn = torch.where(condition == self.confused, condition + 1, condition) if self.confused else condition
        return torch.eye(10)[drawn]


@pytest.mark.parametrize(("confused", "share"), [(None, 1.0), (3, 0.9)])
def test_agreement_is_the_share_that_was_drawn_as_asked(confused, share):
    score = label_agreement(Generator(confused), Digits(), 200)
    assert score["value"] == pytest.approx(share)
    assert score["protocol"]["on_real_test"] == 1.0
    assert score["protocol"]["count"] == 200 and score["protocol"]["weights"] == "last"


def test_no_score_without_labels_or_when_switched_off():
    settings = {"metrics": {"label_agreement": True, "count": 10}}
    unconditional = Generator()
    unconditional.condition_size = 0
    assert final_scores(unconditional, Digits(), settings) == {}
    assert final_scores(Generator(), Digits(), {"metrics": {"label_agreement": False, "count": 10}}) == {}
    assert list(final_scores(Generator(), Digits(), settings)) == ["metric/label_agreement"]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_default_run_draws_the_digits_that_are_asked_for(ganlab, tmp_path, seed):
    """`python -m ganlab`, whole; a classifier of real digits agrees with at least 90 % of the labels."""
    done = ganlab(f"seed={seed}", "hydra.run.dir=run", tiny=False)
    assert done.returncode == 0, done.stderr
    score = json.loads((tmp_path / "run" / "results.json").read_text())["scores"]["metric/label_agreement"]
    assert score["protocol"]["on_real_test"] > 0.97
    assert score["value"] >= 0.9
