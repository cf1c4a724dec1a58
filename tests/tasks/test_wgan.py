"""The warm-up of the critic through the command line, stopped in its middle."""

import csv

import torch

WARM = (
    *("model=wgan", "model.warmup_iterations=5", "model.warmup_updates=6", "model.warmup_every=8"),
    *("model.discriminator_updates=2", "trainer.log_every=1", "trainer.sample_every=null"),
)


def last(folder):
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)


def logged(folder):
    with (folder / "metrics.csv").open() as file:
        return [{k: v for k, v in row.items() if "throughput" not in k} for row in csv.DictReader(file)]


def test_a_run_that_goes_on_in_the_middle_of_the_warm_up_equals_one_that_never_stopped(ganlab, tmp_path):
    for folder, iterations in (("whole", 10), ("part", 3)):
        done = ganlab(*WARM, f"trainer.max_iterations={iterations}", f"hydra.run.dir={folder}")
        assert done.returncode == 0, done.stderr
    resumed = ganlab("resume=part", "trainer.max_iterations=10", tiny=False)
    assert resumed.returncode == 0, resumed.stderr

    one, other = last(tmp_path / "whole"), last(tmp_path / "part")
    generator, critic = ([int(s["step"]) for s in states["state"].values()] for states in one["optimizer_states"])
    assert set(generator) == {10}
    assert set(critic) == {6 * 6 + 4 * 2}
    assert all(torch.equal(weight, other["state_dict"][name]) for name, weight in one["state_dict"].items())
    assert logged(tmp_path / "whole") == logged(tmp_path / "part")
