"""`ganlab.evaluate run=…`: trained runs scored again, over seeds, against train and test."""

import json
import statistics
from functools import partial

import pytest

from ganlab.tasks import evaluate

CGAN = ["model=cgan", "model.generator.width=4", "model.discriminator.width=4", "metrics.count=50"]


@pytest.fixture
def evaluated(commanded):
    return partial(commanded, evaluate.main)


@pytest.fixture
def run(ganlab, tmp_path):
    """A tiny conditional GAN on digits, scored every 4 iterations."""
    done = ganlab(*CGAN, "metrics.scores=[fd,recall]", "trainer.evaluate_every=4", "hydra.run.dir=run")
    assert done.returncode == 0, done.stderr
    return tmp_path / "run"


def test_the_last_checkpoint_scores_what_the_run_said_of_itself(run, evaluated):
    own = json.loads((run / "results.json").read_text())
    code, out, err = evaluated("run=run", "seeds=1", "count=50", "metrics=[fd,recall]", "reference=test")
    assert code == 0, err
    results = json.loads((run / "results.json").read_text())
    (told,) = results.pop("evaluations")
    assert results == own, "what training wrote is as it was"
    scores = told["scores"]["test"]
    assert {tag: score["value"] for tag, score in scores.items()} == {
        tag: score["value"] for tag, score in own["scores"].items()
    }
    assert (told["checkpoint"], told["iteration"], told["seeds"]) == ("last.ckpt", 12, [0])
    assert "fd_digits" in out and "written: run/results.json" in out
    assert "cgan on digits · iteration 12" in out and "898 of test" in out


def test_seeds_are_told_as_mean_and_deviation_against_both_splits(run, evaluated):
    code, out, err = evaluated("run=run", "count=60", "metrics=[fd,auth_pct,label_agreement]")
    assert code == 0, err
    (told,) = json.loads((run / "results.json").read_text())["evaluations"]
    assert list(told["scores"]) == ["test", "train"] and told["seeds"] == [0, 1, 2]
    score = told["scores"]["train"]["metric/fd_digits"]
    assert len(set(score["values"])) == 3
    assert score["value"] == pytest.approx(statistics.fmean(score["values"]))
    assert score["sd"] == pytest.approx(statistics.stdev(score["values"]))
    assert score["protocol"]["reference"] == "train" and score["protocol"]["seeds"] == [0, 1, 2]
    rows = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    assert rows["fd_digits"].count("±") == 2, "against test and against train"
    assert rows["auth_pct"].count("±") == rows["label_agreement"].count("±") == 1, "these depend on no reference"


def test_the_best_and_any_other_checkpoint_that_was_kept(run, evaluated):
    best = json.loads((run / "checkpoints" / "best.json").read_text())
    code, _, err = evaluated("run=run", "checkpoint=best", "seeds=1", "count=50", "metrics=fd", "reference=test")
    assert code == 0, err
    code, _, err = evaluated("run=run", "checkpoint=8", "seeds=1", "count=50", "metrics=fd", "reference=test")
    assert code == 0, err
    first, second = json.loads((run / "results.json").read_text())["evaluations"]
    assert first["scores"]["test"]["metric/fd_digits"]["value"] == pytest.approx(best["value"])
    assert (first["iteration"], second["iteration"]) == (best["iteration"], 8)
    code, out, err = evaluated("run=run", "checkpoint=7")
    assert (code, out) == (2, "")
    assert err.strip() == "checkpoint=7: run has none of that name; there are: 8, 12, best, last"


def test_points_are_scored_too(ganlab, tmp_path, evaluated):
    words = ["data=ring", "model=gan", "data.test_count=300", "trainer.max_iterations=5", "hydra.run.dir=run"]
    assert ganlab(*words, tiny=False).returncode == 0
    code, out, err = evaluated("run=run", "count=100", "seeds=2")
    assert code == 0, err
    rows = {line.split()[0] for line in out.splitlines() if line.strip()}
    assert {"w1", "w2", "modes", "high_quality", "mode_kl", "one_nn"} <= rows
    assert "extractor" not in out


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["metrics=w1"], "metrics=w1: it needs points"),
        (["metrics=fd", "extractor=random_conv", "root=elsewhere"], "root=elsewhere: data=digits is built in"),
        (["device=cuda"], "device=cuda: this machine shows no CUDA device"),
        (["metrics=fid", "weights=none.pth"], "none.pth"),
    ],
)
def test_what_cannot_be_is_a_line_and_changes_nothing(run, evaluated, monkeypatch, words, reason):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    before = (run / "results.json").read_bytes()
    code, out, err = evaluated("run=run", *words)
    assert (code, out) == (2, "") and reason in err and len(err.strip().splitlines()) == 1
    assert (run / "results.json").read_bytes() == before


def test_a_run_without_a_checkpoint_or_with_a_foreign_configuration(run, evaluated):
    (run / "results.json").write_text("{")
    code, _, err = evaluated("run=run", "seeds=1", "count=20", "metrics=fd", "reference=test")
    assert code == 2 and "results.json: cannot be read" in err
    assert (run / "results.json").read_text() == "{"
    for file in (run / "checkpoints").iterdir():
        file.unlink()
    code, out, err = evaluated("run=run")
    assert (code, out) == (2, "") and "it has no checkpoints/last.ckpt" in err and len(err.splitlines()) == 1
