"""Divergences by integration, against closed forms and against the paper's f."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from ganlab.claims.gaussian_fits import APART, NEAR, Mixture, X, divergence, optimum
from ganlab.objectives.f_divergences import DIVERGENCES

ONE = Mixture(1 - 1e-12, (0.5, 0.0), (1.2, 1.0))
"""In effect one Gaussian, of which closed forms are known."""


@pytest.mark.parametrize(("mean", "std"), [(0.5, 1.2), (1.0, 1.0), (0.0, 1.4)])
def test_of_two_gaussians_they_are_the_closed_forms(mean, std):
    (m, _), (s, _) = ONE.means, ONE.stds
    kl = math.log(std / s) + (s**2 + (m - mean) ** 2) / (2 * std**2) - 0.5
    reverse = math.log(s / std) + (std**2 + (m - mean) ** 2) / (2 * s**2) - 0.5
    overlap = math.sqrt(2 * s * std / (s**2 + std**2)) * math.exp(-((m - mean) ** 2) / (4 * (s**2 + std**2)))
    assert divergence("kl", ONE, mean, std) == pytest.approx(kl, abs=1e-6)
    assert divergence("reverse_kl", ONE, mean, std) == pytest.approx(reverse, abs=1e-6)
    assert divergence("squared_hellinger", ONE, mean, std) == pytest.approx(2 - 2 * overlap, abs=1e-6)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_at_a_mixture_they_are_the_integrals_of_the_papers_f(name):
    """∫ q f(p/q), on the middle of the interval, where no density is 0."""
    inside = (X > -5) & (X < 6)
    p, q = np.exp(NEAR.log_density(X)), norm(1.0, 1.0).pdf(X)
    with np.errstate(divide="ignore", invalid="ignore"):
        f = DIVERGENCES[name].generator(torch.tensor(p / q)).numpy()
    assert divergence(name, NEAR, 1.0, 1.0) == pytest.approx(np.trapezoid((q * f)[inside], X[inside]), abs=2e-3)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("kl", (1.020, 1.576)),
        ("reverse_kl", (0.944, 1.475)),
        ("gan", (0.998, 1.552)),
        ("pearson", (1.066, 1.626)),
        ("squared_hellinger", (0.986, 1.535)),
    ],
)
def test_the_best_gaussians_are_the_known_ones(name, expected):
    assert optimum(name, NEAR) == pytest.approx(expected, abs=1e-3)


def test_far_modes_are_covered_by_kl_and_sought_by_reverse_kl():
    """KL keeps the mixture's mean and variance, which sums give; reverse KL takes the heavier mode."""
    mean = APART.share * APART.means[0] + (1 - APART.share) * APART.means[1]
    second = sum(
        share * (std**2 + centre**2) for share, std, centre in zip((0.65, 0.35), APART.stds, APART.means, strict=True)
    )
    assert optimum("kl", APART) == pytest.approx((mean, math.sqrt(second - mean**2)), abs=1e-3)
    assert optimum("reverse_kl", APART) == pytest.approx((2, 0.8), abs=0.1)
