"""Both terms of a VAE's loss over β: what is measured, against closed forms, and the order at a part of the budget."""

import numpy as np
import pytest
import torch

from ganlab.claims.beta_vae_tradeoff import BETAS, DRAWS, binary, exchange, investigate, of_run
from ganlab.claims.fitting import Fitted, fit_one
from ganlab.claims.lab import Lab


def test_the_exchange_rate_of_the_gaussian_rate_distortion_curve_lies_between_its_slopes():
    """D = σ² exp(-2R) has the slope -2D: at D = β/2 it is -β."""
    betas = np.array([0.25, 1.0, 4.0, 16.0])
    distortions = betas / 2
    rates = 0.5 * np.log(20 / distortions)
    prices = exchange(rates[None], distortions[None])[0]
    assert np.all(betas[:-1] < prices) and np.all(prices < betas[1:])
    assert prices[0] == pytest.approx((distortions[1] - distortions[0]) / (rates[0] - rates[1]))


def test_pixels_are_black_or_white():
    assert torch.equal(binary(torch.tensor([-1.0, -0.1, 0.0, 0.1, 1.0])), torch.tensor([-1.0, -1, -1, 1, 1]))


def test_terms_are_means_over_samples_and_draws():
    told = iter(range(1, DRAWS + 1))

    class Telling:
        def examine(self, samples, condition, generator):
            draw = float(next(told))
            return {"loss/kl": torch.tensor([2.0, 4.0]), "loss/reconstruction": torch.tensor([draw, 3 * draw])}

    kl, reconstruction = of_run(Fitted("", 0, {}, Telling(), None), torch.zeros(2))
    assert (kl, reconstruction) == pytest.approx((3, 2 * (DRAWS + 1) / 2))


def test_terms_of_a_model_make_its_lower_bound():
    words = ["experiment=claims/beta_vae_tradeoff", "trainer.max_iterations=2", "model.encoder.widths=[8]"]
    run = fit_one(words)
    test = run.samples("test")
    kl, reconstruction = of_run(run, test)
    mean, log_variance = run.model.posterior((test > 0).float(), None)
    by_hand = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, (log_variance / 2).exp()), torch.distributions.Normal(0.0, 1.0)
    )
    assert kl == pytest.approx(float(by_hand.sum(1).mean()), rel=1e-4)
    assert reconstruction == pytest.approx(-float(run.model.examine(test)["elbo"].mean()) - kl, rel=0.02)


@pytest.mark.slow
def test_a_larger_price_buys_less_after_a_part_of_the_budget(tmp_path):
    finding = investigate(Lab("beta_vae_tradeoff", tmp_path, (0,), budget=0.25))
    kl, reconstruction = (finding.numbers["train"][key][0] for key in ("kl", "reconstruction"))
    assert len(kl) == len(BETAS)
    assert kl[0] > kl[1] > kl[2] and reconstruction[0] < reconstruction[1] < reconstruction[2]
