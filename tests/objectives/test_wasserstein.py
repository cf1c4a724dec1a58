"""Against the dual form written out, and the distance between two shifted clouds."""

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from ganlab.objectives.wasserstein import critic_terms, distance_estimate, generator_loss

REAL, FAKE = torch.tensor([1.0, 2.0, 6.0]).double(), torch.tensor([-3.0, 0.5]).double()


def test_the_critic_descends_minus_the_estimate_and_the_generator_its_own_part():
    on_real, on_fake = critic_terms(REAL, FAKE)
    assert (on_real.item(), on_fake.item()) == (-3.0, -1.25)
    assert distance_estimate(REAL, FAKE).item() == 4.25
    assert generator_loss(FAKE).item() == 1.25


def test_gradients_do_not_depend_on_the_scores():
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    sum(critic_terms(real, fake)).backward()
    assert real.grad.tolist() == pytest.approx([-1 / 3] * 3) and fake.grad.tolist() == [0.5] * 2
    fake.grad = None
    generator_loss(fake).backward()
    assert fake.grad.tolist() == [-0.5] * 2


def test_the_best_critic_of_two_shifted_clouds_gives_their_exact_distance():
    """For a shift to the left, D(x) = x is a best 1-Lipschitz critic."""
    real = np.random.default_rng(0).normal(2.0, 1.0, 200)
    fake = real - 0.7
    estimate = distance_estimate(torch.from_numpy(real), torch.from_numpy(fake)).item()
    assert estimate == pytest.approx(wasserstein_distance(real, fake), rel=1e-9)
    assert estimate == pytest.approx(0.7, rel=1e-9)
