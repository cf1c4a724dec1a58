"""Runs that are trained by this process and its copies: what the command line would train, to the last bit."""

import logging
import os
import time
import warnings

import pytest
import torch

from ganlab.claims.composing import settings_of
from ganlab.claims.fitting import _in_turn, fit, fit_all, fit_one, held_out_error
from ganlab.claims.lab import Lab
from ganlab.claims.reading import model_of
from ganlab.errors import ConfigError
from living import gone

TINY = [
    "model=denoising_ae", "model/coders=mlp", "model.encoder.widths=[8]", "model.latent_dim=4", "data=digits",
    "data.image_size=8", "data.margin=0", "data.batch_size=16", "trainer.max_iterations=6",
]  # fmt: skip


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def test_words_are_composed_and_checked_as_the_command_line_does(settings):
    assert settings_of([*TINY, "seed=3"]) == settings(*TINY, "seed=3")
    with pytest.raises(ConfigError, match=r"^model\.latent_dim=0: "):
        settings_of([*TINY, "model.latent_dim=0"])


class Seen:
    """Remembers which iterations it was called at."""

    def __init__(self):
        self.calls = []

    def __call__(self, run):
        self.calls.append((run.arm, run.seed, run.model.iteration))
        held_out_error(run)

    def join(self, other):
        self.calls += other.calls


def test_a_watched_run_sees_every_iteration_and_has_the_same_weights():
    seen = Seen()
    watched = fit_one([*TINY, "seed=1"], "arm", 1, seen)
    assert seen.calls == [("arm", 1, iteration) for iteration in range(7)]
    alone = fit_one([*TINY, "seed=1"])
    assert torch.equal(weights(watched.model), weights(alone.model))
    assert not torch.equal(weights(alone.model), weights(fit_one([*TINY, "seed=2"]).model))
    assert not alone.model.training and not any(parameter.requires_grad for parameter in alone.model.parameters())


def test_several_at_a_time_are_the_same_as_one_by_one():
    together, turn = Seen(), Seen()
    wanted = [([*TINY, f"seed={seed}", "trainer.max_iterations=3"], "arm", seed) for seed in (4, 1, 2)]
    one_by_one = fit_all([(*one, turn) for one in wanted], 1)["arm"]
    torch.set_num_threads(2)
    try:
        torch.ones(1 << 20).exp().sum()  # by two threads, which the copies of this process do not have
    finally:
        torch.set_num_threads(1)
    at_a_time = fit_all([(*one, together) for one in wanted], 2)["arm"]
    assert together.calls == turn.calls and len(turn.calls) == 12
    for own, other in zip(at_a_time, one_by_one, strict=True):
        assert own.seed == other.seed and own.model.iteration == 3
        assert torch.equal(weights(own.model), weights(other.model))
        assert not own.model.training and own.samples("test").shape == (898, 1, 8, 8)


def test_a_mistake_in_one_of_several_is_told_and_ends_the_others(tmp_path):
    wanted = [
        ([*TINY, "trainer.max_iterations=1000000"], "long", 0, Marks(tmp_path)),
        ([*TINY, "seed=-1"], "", 1, None),
    ]
    with pytest.raises(ConfigError, match=r"^seed=-1: "), _in_turn(wanted[::-1], 2) as runs:
        while not (tmp_path / "process").exists():
            time.sleep(0.01)
        next(runs)
    assert gone(int((tmp_path / "process").read_text()))


class Marks(Seen):
    """Leaves the number of its process behind."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, run):
        (self.folder / "process").write_text(str(os.getpid()))


def test_each_arm_is_trained_with_each_seed_and_the_budget(tmp_path, capsys):
    lab = Lab("denoising_field", tmp_path, seeds=(5, 2), budget=0.002)
    fitted = fit(lab, {"one": [], "two": ["model.latent_dim=3"]})
    assert {arm: [(run.arm, run.seed) for run in runs] for arm, runs in fitted.items()} == {
        "one": [("one", 5), ("one", 2)],
        "two": [("two", 5), ("two", 2)],
    }
    assert [run.settings["seed"] for run in fitted["two"]] == [5, 2]
    full = settings_of(["experiment=claims/denoising_field"])["trainer"]["max_iterations"]
    assert [run.model.iteration for run in fitted["one"]] == [lab.steps(full)] * 2
    assert fitted["two"][0].model.latent_dim == 3
    assert capsys.readouterr().out.splitlines()[-1] == "trained 4 of 4: two, seed 2"
    assert list(tmp_path.iterdir()) == []


def test_the_error_is_that_of_pixels_from_0_to_1():
    run = fit_one(TINY)
    test = run.samples("test")
    difference = (run.model.reconstruct(test) + 1) / 2 - (test + 1) / 2
    assert held_out_error(run) == pytest.approx(float(difference.square().mean()), rel=1e-5)
    assert len(test) == 898


def test_threads_levels_and_warnings_are_as_before():
    logger = logging.getLogger("lightning.pytorch")
    before = torch.get_num_threads(), logger.level, list(warnings.filters)
    fit_one(TINY)
    assert (torch.get_num_threads(), logger.level, list(warnings.filters)) == before


@pytest.mark.slow
def test_a_run_of_the_command_line_has_the_same_weights_and_is_found_again(tmp_path, monkeypatch):
    lab = Lab("linear_ae_is_pca", tmp_path, seeds=(1,), budget=0.01)
    (folder,) = lab.train({"linear": []})["linear"]
    (own,) = fit(lab, {"linear": []})["linear"]
    assert torch.equal(weights(model_of(folder)), weights(own.model))
    monkeypatch.setattr("ganlab.claims.lab.PROGRAM", ("no such program",))
    assert lab.train({"linear": []})["linear"] == [folder]
