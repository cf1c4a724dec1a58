"""Scores come at their iterations and at the end, and the best checkpoint is the one that scored best."""

import json
import os
from pathlib import Path

import pytest
import torch
from lightning.pytorch.loggers import Logger

from ganlab.callbacks.checkpoints import BEST, AtomicCheckpointIO, Checkpoints
from ganlab.callbacks.evaluation import RECORD, Evaluate
from ganlab.callbacks.finite import FiniteGuard


class Scorer:
    """Says at each iteration what it is told to."""

    def __init__(self, values, monitored="metric/x", better="lower", protocol="as ever"):
        self.protocol_digest = protocol
        self.values, self.monitored, self.better = values, monitored, better
        self.asked: list[int] = []
        self.prepared = 0

    def prepare(self, device):
        self.prepared += 1

    def __call__(self, model, ranks, /):
        self.asked.append(model.iteration)
        assert (ranks.rank, ranks.size) == (0, 1)
        return {"metric/x": {"value": self.values[model.iteration]}, "metric/y": {"value": -1.0}}


class Recorder(Logger):
    """Keeps what it is given."""

    name = version = "recorder"

    def __init__(self):
        super().__init__()
        self.rows = []

    def log_metrics(self, metrics, step):
        self.rows.append((step, metrics))

    def log_hyperparams(self, *arguments, **named):
        pass


@pytest.fixture
def run(make_gan, tiny_data, fit, tmp_path):
    """run(scorer, total, every, checkpoint_every): trains and returns the callback and what was logged."""

    def trained(scorer, total, every, start=0, checkpoint_every=100, keep=1):
        model = make_gan(max_iterations=total)
        model.iteration = start
        checkpoints = Checkpoints(
            tmp_path, every=checkpoint_every, keep=keep, max_iterations=total, config={}, guard=FiniteGuard(1000)
        )
        evaluate = Evaluate(scorer, checkpoints, every=every, max_iterations=total)
        recorder = Recorder()
        fit(model, tiny_data(4), evaluate, checkpoints, plugins=[AtomicCheckpointIO()], logger=recorder)
        return evaluate, recorder.rows

    return trained


def best(folder):
    return torch.load(folder / BEST, weights_only=True)["iteration"], json.loads((folder / RECORD).read_text())


@pytest.mark.parametrize(("every", "expected"), [(3, [3, 6, 9, 10]), (None, [10]), (20, [10])])
def test_they_come_every_so_often_and_at_the_last_iteration_once(run, every, expected):
    scorer = Scorer(dict.fromkeys(range(20), 1.0))
    evaluate, rows = run(scorer, 10, every)
    assert scorer.asked == expected
    assert rows == [(step, {"metric/x": 1.0, "metric/y": -1.0}) for step in expected]
    assert scorer.prepared == 1, "before the first iteration, when nothing is lost yet"
    assert evaluate.latest["metric/y"] == {"value": -1.0} and evaluate.latest_at == 10


@pytest.mark.parametrize(("better", "iteration"), [("lower", 4), ("higher", 6)])
def test_the_best_checkpoint_outlives_the_newest(run, tmp_path, better, iteration):
    values = {2: 5.0, 4: 3.0, 6: 9.0, 8: 4.0}
    run(Scorer(values, better=better), 8, 2)
    saved, record = best(tmp_path)
    assert saved == iteration
    told = {"iteration": iteration, "score": "metric/x", "value": values[iteration], "better": better}
    assert record == told | {"protocol": "as ever"}
    assert sorted(path.name for path in tmp_path.glob("*.ckpt")) == [BEST, "iteration_000008.ckpt", "last.ckpt"]


def test_what_is_no_number_is_never_the_best(run, tmp_path):
    run(Scorer({2: float("nan"), 4: 7.0, 6: float("-inf"), 8: float("nan")}), 8, 2)
    assert best(tmp_path)[0] == 4


def test_without_a_monitored_score_nothing_is_kept(run, tmp_path):
    run(Scorer(dict.fromkeys(range(9), 1.0), monitored=None), 8, 2)
    assert not (tmp_path / BEST).exists() and not (tmp_path / RECORD).exists()


def test_a_run_that_goes_on_remembers_its_best(run, tmp_path):
    run(Scorer({2: 1.0, 4: 3.0}), 4, 2)
    run(Scorer({6: 2.0, 8: 0.5}), 6, 2, start=4)
    assert best(tmp_path)[0] == 2, "2.0 at iteration 6 is worse than 1.0 at iteration 2"
    run(Scorer({8: 0.5}), 8, 2, start=6)
    assert best(tmp_path)[0] == 8


def test_a_run_that_was_set_back_or_watches_another_score_begins_anew(run, tmp_path):
    run(Scorer({6: 1.0}), 6, 6)
    run(Scorer({4: 3.0}), 4, 4, start=2)
    assert best(tmp_path)[1]["value"] == 3.0
    run(Scorer({6: 9.0}, monitored="metric/y"), 6, 6, start=4)
    assert best(tmp_path)[1]["score"] == "metric/y"
    run(Scorer({8: 99.0}, protocol="fewer samples"), 8, 8, start=6)
    assert best(tmp_path)[1]["value"] == 99.0, "values of two protocols are not compared"


def test_a_damaged_record_is_as_none(run, tmp_path):
    (tmp_path / RECORD).write_text("{")
    run(Scorer({2: 5.0}), 2, 2)
    assert best(tmp_path)[1]["value"] == 5.0


def test_a_run_goes_on_from_an_iteration_only_if_its_scores_are_written_down(run, tmp_path, monkeypatch):
    """last.ckpt comes after best.ckpt and best.json: killed in between, the run comes to the same iteration again."""
    order = []
    replace = os.replace
    monkeypatch.setattr(
        os, "replace", lambda source, target: (order.append(Path(target).name), replace(source, target))
    )
    run(Scorer({4: 1.0}), 4, 4, checkpoint_every=4)
    assert order == ["iteration_000004.ckpt", BEST, RECORD, "last.ckpt"]


def test_what_cannot_be_saved_is_not_the_best(run, tmp_path, monkeypatch):
    monkeypatch.setattr(FiniteGuard, "allows_saving", lambda self, trainer, model: model.iteration != 2)
    evaluate, _ = run(Scorer({2: 1.0, 4: 3.0}), 4, 2)
    assert best(tmp_path)[1]["iteration"] == 4 and evaluate.best == 3.0
