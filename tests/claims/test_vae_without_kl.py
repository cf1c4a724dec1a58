"""A VAE with and without its KL term: what is measured of posteriors, and the direction at a part of the budget."""

import math

import pytest
import torch

from ganlab.claims import vae_without_kl as module
from ganlab.claims.fitting import Fitted, fit_one
from ganlab.claims.lab import Lab
from ganlab.claims.vae_without_kl import frechet, investigate, measured, posterior

WORDS = ["experiment=claims/vae_without_kl", "trainer.max_iterations=2", "model.encoder.widths=[8]"]


class Known:
    """Posteriors of known means and deviations."""

    def values_of(self, samples):
        return samples

    def binarised(self, values, draw):
        return values

    draw_shared = None

    def posterior(self, values, condition):
        return 10 * values, torch.full_like(values, 2 * math.log(0.5))

    def examine(self, samples):
        return {"reconstruction/mse": torch.tensor([1.0, 3.0])}


def test_noise_and_spread_of_codes_that_are_known(monkeypatch):
    monkeypatch.setattr(module, "frechet", lambda run: 7.0)
    monkeypatch.setattr(Fitted, "samples", lambda run, split: torch.tensor([[-1.0, 0], [1, 0], [-1, 0], [1, 0]]))
    seen = measured(Fitted("", 0, {}, Known(), None))
    spread = math.sqrt((400 / 3 + 0) / 2)
    assert seen == pytest.approx(
        {
            "deviation": 0.5, "spread": spread, "noise": 0.5 / spread, "drawn": math.hypot(0.5, spread), "error": 2,
            "training_error": 2, "fd_digits": 7,
        }
    )  # fmt: skip


def test_posteriors_are_those_that_the_lower_bound_is_made_of():
    run = fit_one(WORDS)
    samples = run.samples("test")[:5]
    mean, deviation = posterior(run, samples)
    kl = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, deviation), torch.distributions.Normal(0.0, 1.0)
    ).sum(1)
    assert torch.allclose(run.model.examine(samples)["loss/kl"], kl, rtol=1e-4)
    assert torch.equal(run.model.encode(samples), mean)


@pytest.mark.slow
def test_the_frechet_distance_is_that_of_the_command_line(tmp_path):
    from ganlab.claims.reading import scores, trained_of

    lab = Lab("vae_without_kl", tmp_path, seeds=(0,), budget=0.01)
    (folder,) = lab.train({"one": ["metrics.scores=[fd]"]})["one"]
    run = trained_of(folder)
    own = frechet(Fitted("", 0, run.settings, run.model, run.data))
    assert own == pytest.approx(scores([folder], "metric/fd_digits")[0], rel=1e-4)


@pytest.mark.slow
def test_codes_lose_their_noise_in_a_part_of_the_budget(tmp_path):
    finding = investigate(Lab("vae_without_kl", tmp_path, (0,), budget=0.25))
    whole, without = finding.numbers["with_kl"], finding.numbers["without_kl"]
    assert without["noise"][0] < 0.5 * whole["noise"][0]
    assert without["drawn"][0] > whole["drawn"][0]
    assert without["fd_digits"][0] > whole["fd_digits"][0]
