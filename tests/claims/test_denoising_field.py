"""The arrows of a denoising autoencoder: the exact field against automatic differentiation and closed forms."""

import math

import numpy as np
import pytest
import torch

from ganlab.claims import denoising_field as module
from ganlab.claims.denoising_field import clean_points, distance, field, investigate, likeness, measured, score
from ganlab.claims.fitting import Fitted
from ganlab.claims.lab import Lab
from ganlab.data.points import SwissRollData


def test_the_score_is_the_gradient_of_the_log_density():
    random = torch.Generator().manual_seed(0)
    centres = torch.randn(30, 2, generator=random).double()
    points = torch.randn(600, 2, generator=random).double().requires_grad_()
    mixture = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(torch.ones(30).double()),
        torch.distributions.Independent(torch.distributions.Normal(centres, 0.3), 1),
    )
    (gradient,) = torch.autograd.grad(mixture.log_prob(points).sum(), points)
    np.testing.assert_allclose(score(points.detach(), centres, 0.3), gradient, rtol=1e-8, atol=1e-8)


def test_the_score_far_from_everything_is_finite():
    far = score(torch.tensor([[1000.0, 0.0]]), torch.tensor([[0.0, 0.0], [1.0, 0.0]]), 0.1)
    assert far[0, 0] == pytest.approx(-999 / 0.01) and far[0, 1] == 0


def test_likeness_of_two_fields():
    exact = torch.tensor([[3.0, 0.0], [0.0, 4.0]]).double()
    assert likeness(2 * exact, exact) == pytest.approx((1, 2))
    assert likeness(-exact, exact) == pytest.approx((-1, 1))
    assert likeness(exact.flip(1), exact)[0] == pytest.approx(0)
    assert likeness(0 * exact, exact) == (0, 0)


def spiral(count=10_000):
    """Points of the swiss roll by its formula, at equal steps of its angle."""
    angle = torch.linspace(1.5 * math.pi, 4.5 * math.pi, count)
    return torch.stack([angle.cos(), angle.sin()], 1) * (angle / (4.5 * math.pi))[:, None]


class Wise:
    """The best denoiser there is: E[x | noisy x], by the formula of the spiral."""

    def __init__(self, sigma, deviation):
        self.sigma, self.deviation = sigma, deviation

    def reconstruct(self, points):
        return points + self.sigma**2 * score(points, spiral(), self.deviation).float()


@pytest.fixture
def run():
    data = SwissRollData(name="swiss_roll", batch_size=4, sample_shape=[2], noise=0.02)
    settings = {"model": {"corruption_level": 0.1}, "data": {"noise": 0.02}}
    return Fitted("wise", 0, settings, Wise(0.1, math.hypot(0.1, 0.02)), data)


def test_points_without_noise_lie_on_the_spiral_and_the_data_keep_theirs(run):
    assert distance(clean_points(run)[:2000], spiral()).max() < 1e-3
    assert run.data.noise == 0.02
    noisy = run.samples("test")[:2000]
    assert distance(noisy, spiral()).square().mean().sqrt() == pytest.approx(0.02, rel=0.1)


def test_the_best_denoiser_has_the_exact_field_and_a_copy_has_none(run, monkeypatch):
    monkeypatch.setattr(module, "LOOKED_AT", 300)
    seen = measured(run)
    assert seen["cosine"] == pytest.approx(1, abs=2e-3) and seen["length"] == pytest.approx(1, abs=0.02)
    assert seen["distance"] < 0.5
    copy = Fitted("copy", 0, run.settings, type("Copy", (), {"reconstruct": lambda self, points: points})(), run.data)
    assert measured(copy) == pytest.approx({"cosine": 0, "length": 0, "distance": 1})
    assert field(copy, run.samples("test")[:3]).abs().max() == 0


@pytest.mark.slow
def test_the_field_is_learnt_in_a_part_of_the_budget(tmp_path):
    finding = investigate(Lab("denoising_field", tmp_path, (0,), budget=0.5))
    denoising, plain = finding.numbers["denoising"], finding.numbers["plain"]
    assert denoising["cosine"][0] > 0.85 and 0.7 < denoising["length"][0] < 1.3
    assert denoising["distance"][0] < 0.7 < plain["distance"][0]
