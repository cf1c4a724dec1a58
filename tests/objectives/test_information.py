"""InfoGAN's terms against scipy's densities and entropies, by hand, and with a Q that knows the truth."""

import math

import pytest
import torch
from scipy import stats

from ganlab.objectives.information import LEAST_LOG_STD, Categorical, Uniform, codes_of


def test_codes_by_their_configuration():
    assert codes_of([10, "uniform", 3]) == [Categorical(10), Uniform(), Categorical(3)]
    assert [code.size for code in codes_of([10, "uniform"])] == [10, 1]
    assert [code.parameters for code in codes_of([10, "uniform"])] == [10, 2]


def test_the_categorical_term_is_minus_the_mean_log_probability_of_what_was_drawn():
    random = torch.Generator().manual_seed(0)
    told = torch.randn(6, 4, generator=random, dtype=torch.float64)
    values = torch.tensor([0, 3, 1, 1, 2, 0])
    code = torch.eye(4, dtype=torch.float64)[values]
    expected = 0.0
    for row, value in zip(told.tolist(), values.tolist(), strict=True):
        total = sum(math.exp(number) for number in row)
        expected -= math.log(math.exp(row[value]) / total) / 6
    assert float(Categorical(4).loss(told, code)) == pytest.approx(expected, rel=1e-12)


def test_the_uniform_term_is_minus_the_mean_gaussian_log_density():
    random = torch.Generator().manual_seed(1)
    told = torch.randn(7, 2, generator=random, dtype=torch.float64)
    code = torch.rand(7, 1, generator=random, dtype=torch.float64) * 2 - 1
    std = (LEAST_LOG_STD + (1 + (told[:, 1] - LEAST_LOG_STD).exp()).log()).exp()
    expected = -stats.norm.logpdf(code[:, 0], loc=told[:, 0], scale=std).mean()
    assert float(Uniform().loss(told, code)) == pytest.approx(expected, rel=1e-12)


def log_std_told(log_std):
    """What Q has to say for a standard deviation, given the smooth floor."""
    return LEAST_LOG_STD + math.log(math.expm1(log_std - LEAST_LOG_STD))


def test_a_code_on_its_range_is_not_asked_to_be_sharper_than_a_twentieth():
    sure = torch.tensor([[0.0, -60.0]], dtype=torch.float64)
    expected = -stats.norm.logpdf(0, scale=math.exp(LEAST_LOG_STD))
    assert Uniform().loss(sure, torch.zeros(1, 1, dtype=torch.float64)).item() == pytest.approx(expected, rel=1e-9)
    assert math.exp(LEAST_LOG_STD) == pytest.approx(0.05, abs=0.001)


def test_a_sharp_and_wrong_answer_is_widened():
    told = torch.tensor([[0.0, LEAST_LOG_STD - 1]]).requires_grad_()
    Uniform().loss(told, torch.ones(1, 1)).backward()
    assert told.grad[0, 1] < -50, "descent raises the standard deviation"


@pytest.mark.parametrize("code", [Categorical(2), Categorical(10), Uniform()])
def test_draws_follow_the_prior_and_its_entropy(code):
    shares = torch.rand(40_000, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    drawn = code.of_uniform(shares)
    assert drawn.shape == (40_000, code.size)
    if isinstance(code, Categorical):
        assert set(drawn.unique().tolist()) == {0, 1} and set(drawn.sum(1).tolist()) == {1}
        counts = drawn.sum(0)
        assert stats.chisquare(counts).pvalue > 1e-4
        assert code.entropy == pytest.approx(stats.entropy([1 / code.size] * code.size))
    else:
        assert stats.kstest(drawn[:, 0], stats.uniform(-1, 2).cdf).pvalue > 1e-4
        assert code.entropy == pytest.approx(stats.uniform(-1, 2).entropy())


def test_the_last_share_is_a_value_too():
    """1 itself may come of rounding a draw to float32."""
    assert Categorical(3).of_uniform(torch.tensor([0.0, 1.0])).tolist() == [[1, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize("code", [Categorical(5), Uniform()])
def test_the_bound_is_tight_where_q_is_the_posterior(code):
    """Samples x = code + noise: H(c) + E[log Q] with the true posterior is the mutual information itself."""
    random = torch.Generator().manual_seed(3)
    drawn = code.of_uniform(torch.rand(200_000, generator=random, dtype=torch.float64))
    if isinstance(code, Categorical):
        # A channel that forgets the value with probability 0.3 and then says any.
        keep = torch.rand(200_000, generator=random, dtype=torch.float64) > 0.3
        said = torch.where(keep, drawn.argmax(1), torch.randint(5, (200_000,), generator=random))
        posterior = 0.3 / 5 + 0.7 * torch.eye(5, dtype=torch.float64)[said]
        told, right = posterior.log(), 0.3 / 5 + 0.7
        expected = math.log(5) + right * math.log(right) + 4 * (0.3 / 5) * math.log(0.3 / 5)
    else:
        # Far from the ends the posterior is a Gaussian of the noise's deviation.
        noise = 0.06 * torch.randn(200_000, generator=random, dtype=torch.float64)
        told = torch.stack([drawn[:, 0] + noise, torch.full_like(noise, log_std_told(math.log(0.06)))], dim=1)
        expected = math.log(2) - stats.norm(scale=0.06).entropy()
    assert code.entropy - float(code.loss(told, drawn)) == pytest.approx(float(expected), abs=0.01)
    worse = told.flip(0)
    assert code.loss(worse, drawn) > code.loss(told, drawn) + 0.5


def test_no_guide_is_log_k_and_the_best_constant_gaussian():
    assert float(Categorical(10).loss(torch.zeros(1, 10), torch.eye(10)[:1])) == pytest.approx(math.log(10))
    code = torch.linspace(-1, 1, 20_001, dtype=torch.float64).unsqueeze(1)
    told = torch.tensor([[0.0, log_std_told(math.log(3**-0.5))]], dtype=torch.float64).expand(len(code), 2)
    assert float(Uniform().loss(told, code)) == pytest.approx(0.87, abs=0.005)


def test_values_walk_over_the_whole_code():
    assert torch.equal(Categorical(3).values(7), torch.eye(3))
    assert Uniform().values(5).squeeze(1).tolist() == [-1.0, -0.5, 0.0, 0.5, 1.0]
