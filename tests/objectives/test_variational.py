"""Against torch.distributions, scipy, a numerical integral, and a model whose likelihood is known."""

import math

import pytest
import torch
from scipy import integrate, stats
from scipy.special import logsumexp
from torch.distributions import Normal, kl_divergence

from ganlab.objectives.variational import (
    RunningLogMeanExp,
    active_units,
    bits_per_dim,
    free_bits,
    gaussian_kl,
    importance_weighted_bound,
    log_normal,
)


def drawn(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


MEAN, LOG_VARIANCE = drawn(5, 3, seed=0), 2 * drawn(5, 3, seed=1)


def test_the_divergence_of_each_latent_and_its_slopes():
    leaves = [MEAN.clone().requires_grad_(), LOG_VARIANCE.clone().requires_grad_()]
    others = [MEAN.clone().requires_grad_(), LOG_VARIANCE.clone().requires_grad_()]
    ours = gaussian_kl(*leaves)
    theirs = kl_divergence(Normal(others[0], (others[1] / 2).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)
    ours.sum().backward()
    theirs.sum().backward()
    for leaf, other in zip(leaves, others, strict=True):
        torch.testing.assert_close(leaf.grad, other.grad)


def test_the_divergence_as_an_integral():
    mean, log_variance = 0.7, -1.1
    posterior = stats.norm(mean, math.exp(log_variance / 2))
    integral, _ = integrate.quad(lambda z: posterior.pdf(z) * (posterior.logpdf(z) - stats.norm.logpdf(z)), -9, 9)
    assert gaussian_kl(torch.tensor(mean), torch.tensor(log_variance)).item() == pytest.approx(integral, rel=1e-5)


def test_a_posterior_next_to_the_prior_is_not_lost_in_rounding():
    log_variance = torch.tensor(1e-3)  # in float32, where exp(x) - 1 - x would be wrong by a quarter
    assert gaussian_kl(torch.tensor(0.0), log_variance).item() == pytest.approx(1e-6 / 4, rel=1e-3)


def test_the_log_density_is_a_sum_over_latents():
    x = drawn(5, 3, seed=2)
    expected = stats.norm.logpdf(x, MEAN, (LOG_VARIANCE / 2).exp()).sum(1)
    torch.testing.assert_close(log_normal(x, MEAN, LOG_VARIANCE), torch.tensor(expected), rtol=1e-12, atol=0)


def test_several_draws_of_each_sample_and_a_prior_that_is_one_number():
    x, zero = drawn(7, 5, 3, seed=3), torch.zeros(())
    expected = stats.norm.logpdf(x, MEAN, (LOG_VARIANCE / 2).exp()).sum(2)
    torch.testing.assert_close(log_normal(x, MEAN, LOG_VARIANCE), torch.tensor(expected), rtol=1e-12, atol=0)
    prior = torch.tensor(stats.norm.logpdf(x).sum(2))
    torch.testing.assert_close(log_normal(x, zero, zero), prior, rtol=1e-12, atol=0)


def test_the_bound_is_the_logarithm_of_a_mean():
    weights = drawn(6, 4, seed=4)
    torch.testing.assert_close(importance_weighted_bound(weights), weights.exp().mean(0).log())
    torch.testing.assert_close(importance_weighted_bound(weights[:1]), weights[0])


def test_it_rises_from_the_evidence_lower_bound_to_a_likelihood_that_is_known():
    """z ~ N(0, 1), x | z ~ N(z, 1): log p(x) is that of N(0, 2), and the posterior N(x / 2, 1 / 2), which q misses."""
    x, mean, log_variance = torch.tensor(1.3).double(), torch.tensor([0.3]).double(), torch.tensor([0.0]).double()
    z = mean + drawn(200_000, 1, seed=5)
    zero = torch.zeros(()).double()
    weights = log_normal(z, zero, zero) + log_normal(x, z, zero) - log_normal(z, mean, log_variance)
    exact = stats.norm.logpdf(1.3, scale=math.sqrt(2))
    gap = kl_divergence(Normal(mean, 1), Normal(x / 2, math.sqrt(1 / 2))).item()
    bounds = [importance_weighted_bound(weights.view(k, -1)).mean().item() for k in (1, 5, 50, 200_000)]
    assert bounds[0] == pytest.approx(exact - gap, abs=0.01)
    assert bounds[0] + 0.05 < bounds[1] < bounds[2] - 0.01
    assert bounds[-1] == pytest.approx(exact, abs=0.005)


@pytest.mark.parametrize("shift", [0, -1e5, 1e5])
def test_a_stream_in_unequal_parts_comes_to_the_same(shift):
    weights = shift + 30 * drawn(50, 4, seed=6)
    running = RunningLogMeanExp()
    for part in weights.split([1, 20, 2, 27]):
        running.add(part)
    expected = torch.tensor(logsumexp(weights.numpy(), axis=0) - math.log(50))
    torch.testing.assert_close(running.value(), expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(importance_weighted_bound(weights), expected, rtol=1e-12, atol=0)


def test_a_part_without_any_weight_lowers_the_mean_and_is_no_nan():
    running = RunningLogMeanExp()
    for value in (-math.inf, -math.inf, 0.0, -math.inf):
        running.add(torch.full((1, 2), value))
    torch.testing.assert_close(running.value(), torch.full((2,), -math.log(4)))


def test_a_stream_keeps_no_graph_and_says_when_it_is_empty():
    running = RunningLogMeanExp()
    with pytest.raises(ValueError, match="no weights"):
        running.value()
    running.add(torch.zeros(3, 2, requires_grad=True))
    assert not running.value().requires_grad


def test_units_whose_means_vary():
    random = torch.Generator().manual_seed(9)
    noise = torch.randn(2000, 4, generator=random)
    noise = (noise - noise.mean(0)) / noise.std(0, correction=0)
    means = 5 + noise * torch.tensor([1.0, 0.11, 0.09, 0.0])  # variances 1, 0.0121, 0.0081, 0
    assert active_units(means) == 2
    assert active_units(means, threshold=0.005) == 3
    assert active_units(means[:1]) == 0
    assert active_units(torch.tensor([[0.0], [1.0]]), threshold=0.25) == 0, "the data's variance, and above it"


def test_free_bits_are_free():
    kl = torch.tensor([[0.1, 3.0, 0.0], [0.3, 1.0, 0.9]], requires_grad=True)  # means 0.2, 2, 0.45
    loss = free_bits(kl, 0.4)
    loss.backward()
    assert loss.item() == pytest.approx(0.4 + 2.0 + 0.45)
    torch.testing.assert_close(kl.grad, torch.tensor([[0.0, 0.5, 0.5], [0.0, 0.5, 0.5]]))
    assert free_bits(kl, 0.0).item() == pytest.approx(kl.sum(1).mean().item())


def test_a_fair_coin_is_a_bit():
    assert bits_per_dim(28 * 28 * math.log(2), 28 * 28) == pytest.approx(1)
    torch.testing.assert_close(bits_per_dim(torch.tensor([math.log(4), math.log(16)]), 2), torch.tensor([1.0, 2.0]))
