"""Against scipy's densities, sums by hand, and the decibels of errors that are known."""

import math

import pytest
import torch
from scipy import stats

from ganlab.objectives.reconstruction import (
    absolute_error,
    bernoulli_loss,
    gaussian_loss,
    peak_signal_to_noise,
    squared_error,
)

RANDOM = torch.Generator().manual_seed(0)
OUTPUTS = torch.randn(3, 2, 4, 4, generator=RANDOM, dtype=torch.float64)
TARGETS = torch.rand(3, 2, 4, 4, generator=RANDOM, dtype=torch.float64)


def close(actual, expected):
    torch.testing.assert_close(actual, torch.as_tensor(expected, dtype=torch.float64), rtol=1e-12, atol=0)


def test_errors_are_sums_over_a_samples_values():
    pairs = [
        list(zip(x.flatten().tolist(), y.flatten().tolist(), strict=True))
        for x, y in zip(OUTPUTS, TARGETS, strict=True)
    ]
    close(squared_error(OUTPUTS, TARGETS), [sum((x - y) ** 2 for x, y in sample) for sample in pairs])
    close(absolute_error(OUTPUTS, TARGETS), [sum(abs(x - y) for x, y in sample) for sample in pairs])


def test_points_are_samples_too():
    close(squared_error(torch.tensor([[3.0, 4.0], [0.0, 1.0]]).double(), torch.zeros(2, 2)), [25, 1])


def test_the_bernoulli_loss_is_minus_the_log_mass():
    binary = (TARGETS > 0.5).double()
    masses = stats.bernoulli.logpmf(binary, 1 / (1 + (-OUTPUTS).exp()))
    close(bernoulli_loss(OUTPUTS, binary), -masses.sum((1, 2, 3)))


def test_between_0_and_1_the_bernoulli_loss_is_least_at_the_targets_and_there_their_entropy():
    logits = torch.logit(TARGETS).requires_grad_()
    loss = bernoulli_loss(logits, TARGETS)
    close(loss.detach(), stats.bernoulli.entropy(TARGETS).sum((1, 2, 3)))
    loss.sum().backward()
    assert logits.grad.abs().max() < 1e-12


def test_the_bernoulli_loss_is_stable_where_the_mass_is_0():
    close(bernoulli_loss(torch.tensor([[1000.0, -1000.0]]).double(), torch.tensor([[0.0, 1.0]]).double()), [2000])


@pytest.mark.parametrize("log_std", [-1.5, 0, 0.7, torch.tensor(-1.5, dtype=torch.float64)])
def test_the_gaussian_loss_is_minus_the_log_density(log_std):
    densities = stats.norm.logpdf(TARGETS, loc=OUTPUTS, scale=math.exp(log_std))
    close(gaussian_loss(OUTPUTS, TARGETS, log_std), -densities.sum((1, 2, 3)))


def test_the_best_learned_standard_deviation_is_that_of_the_errors():
    best = (OUTPUTS - TARGETS).square().mean().log() / 2
    slopes = []
    for log_std in (best - 0.1, best, best + 0.1):
        log_std = log_std.clone().requires_grad_()
        gaussian_loss(OUTPUTS, TARGETS, log_std).mean().backward()
        slopes.append(log_std.grad.item())
    assert slopes[0] < -1 and abs(slopes[1]) < 1e-10 and slopes[2] > 1


def test_decibels():
    errors = torch.tensor([0.1, 0.01, 0.5], dtype=torch.float64)
    close(peak_signal_to_noise(errors), [10, 20, 10 * math.log10(2)])
    assert peak_signal_to_noise(torch.tensor(1.0)) == 0
    assert peak_signal_to_noise(torch.tensor(0.0)) == math.inf
