"""Numbers that go wrong, through the command line: each way of going on, what is kept, and how it is told."""

import csv
import json
import re
from pathlib import Path

import pytest
import torch

HUGE = ("optimizer.generator.lr=1e30", "optimizer.discriminator.lr=1e30")
POISON = "callbacks.extra=[{_target_: provoking.PoisonAt, iteration: 7}]"
SPEED = "throughput/images_per_second"


def weights(folder: Path, name: str = "last.ckpt") -> dict:
    return torch.load(folder / "checkpoints" / name, weights_only=True)["state_dict"]


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return [{tag: value for tag, value in row.items() if tag != SPEED} for row in csv.DictReader(file)]


def test_by_default_the_run_ends_with_the_term_the_iteration_the_batch_and_what_to_do(ganlab, tmp_path):
    stopped = ganlab("hydra.run.dir=run", *HUGE, "trainer.checkpoint_every=1")
    assert stopped.returncode == 1
    line = next(line for line in stopped.stderr.splitlines() if "training stopped" in line)
    assert "loss/" in line and " is not a finite number (" in line and " at iteration " in line
    assert ", in the batch of training samples " in line and "… (8 in all)" not in line
    assert "try a lower learning rate" in line
    for path in (tmp_path / "run" / "checkpoints").glob("*.ckpt"):
        assert all(bool(value.isfinite().all()) for value in weights(tmp_path / "run", path.name).values())


def test_what_skipping_does_not_mend_ends_the_run(ganlab, tmp_path):
    """A weight that is NaN, here."""
    words = (POISON, "callbacks.not_finite=skip", "callbacks.most_skipped=3", "trainer.checkpoint_every=6")
    stopped = ganlab("hydra.run.dir=run", *words)
    assert stopped.returncode == 1
    assert "loss/discriminator is not a finite number (nan) at iteration 7, in the batch of" in stopped.stderr
    assert "at iteration 10" in stopped.stderr and "3 iterations before it were skipped" in stopped.stderr
    assert "the last good checkpoint is run/checkpoints/last.ckpt" in stopped.stderr
    assert all(bool(value.isfinite().all()) for value in weights(tmp_path / "run").values())


def test_a_run_that_rolls_back_is_told_finishes_and_resumes_bit_for_bit(ganlab, tmp_path):
    roll_back = (POISON, "callbacks.not_finite=roll_back", "logger=csv")
    whole = ganlab("hydra.run.dir=whole", *roll_back)
    assert whole.returncode == 0, whole.stderr
    said = "rolled back to the state of iteration 4, learning rates times 0.5, after iteration 8 (1 of 3 times)"
    assert said in whole.stderr
    assert said in (tmp_path / "whole" / "train.log").read_text()
    stop = "callbacks.extra=[{_target_: provoking.PoisonAt, iteration: 7}, "
    stop += "{_target_: provoking.SignalAt, iteration: 10, name: SIGTERM}]"
    part = ganlab("hydra.run.dir=part", stop, *roll_back[1:])
    assert part.returncode == 143, part.stderr
    resumed = ganlab("resume=part", "callbacks.extra=[]", tiny=False)
    assert resumed.returncode == 0, resumed.stderr
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "part")
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert rows(tmp_path / "whole") == rows(tmp_path / "part")


@pytest.mark.parametrize("guards", [True, False])
def test_results_tell_the_warnings(ganlab, tmp_path, guards):
    words = ("model=wgan", "model/networks=mlp", "model.clip=1e-6", "trainer.max_iterations=75", "trainer.log_every=25")
    run = ganlab("hydra.run.dir=run", *words, f"callbacks.guards={str(guards).lower()}", "logger=csv")
    assert run.returncode == 0, run.stderr
    warnings = json.loads((tmp_path / "run" / "results.json").read_text())["warnings"]
    if not guards:
        assert warnings == []
        assert not any(tag.startswith("guard/") for tag in rows(tmp_path / "run")[0])
        return
    (warning,) = [warning for warning in warnings if warning["guard"] == "generator_gradient_vanished"]
    assert (warning["iteration"], warning["times"], warning["stands"]) == (75, 1, True)
    assert f"warning: {warning['line']}" in run.stderr.splitlines()
    assert warning["line"] in (tmp_path / "run" / "train.log").read_text()
    assert rows(tmp_path / "run")[-1]["guard/generator_gradient_vanished"] == "1.0"


@pytest.mark.parametrize(
    "word",
    ["callbacks.not_finite=ignore", "callbacks.roll_back_factor=2", "callbacks.most_skipped=-1", "callbacks.guards=1"],
)
def test_what_cannot_be_is_refused(ganlab, tmp_path, word):
    refused = ganlab(word)
    assert refused.returncode == 2
    assert refused.stderr.startswith(word.partition("=")[0])
    assert not (tmp_path / "outputs").exists()


ONE_BAD_BATCH = "{_target_: provoking.PoisonBatchAt, iteration: 7, rank: 1}"


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["stop", "skip", "roll_back"])
def test_what_one_of_two_processes_meets_is_met_by_both(ganlab, tmp_path, policy):
    digest = f"{{_target_: provoking.DigestAt, folder: {tmp_path}}}"
    words = (f"callbacks.extra=[{ONE_BAD_BATCH}, {digest}]", f"callbacks.not_finite={policy}")
    two = ganlab("hydra.run.dir=run", "trainer.devices=2", "trainer.accelerator=cpu", *words)
    if policy == "stop":
        assert two.returncode == 1
        assert two.stderr.count("training stopped") == 1, two.stderr
    else:
        said = {"skip": "the update is skipped", "roll_back": "rolled back to the state of iteration 4"}[policy]
        assert two.returncode == 0 and said in two.stderr, two.stderr
        first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
        assert all(torch.equal(value, second["weights"][name]) for name, value in first["weights"].items())
        assert not first["seen"].isnan().any() and second["seen"].isnan().any(), "or nothing was provoked"
    assert re.search(r"loss/discriminator is not a finite number \(nan\) at iteration 7, .*, on process 1", two.stderr)
    saved = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert all(bool(value.isfinite().all()) for value in saved["state_dict"].values())
    assert saved["iteration"] == (4 if policy == "stop" else 12)
