"""Against scipy's relative entropy, closed-form slopes, and descent from units that are stuck."""

import pytest
import torch
from scipy import stats

from ganlab.objectives.sparsity import kl_sparsity, l1_sparsity

MEANS = torch.tensor([0.01, 0.05, 0.2, 0.5, 0.97], dtype=torch.float64)


@pytest.mark.parametrize("rho", [0.02, 0.05, 0.5, 0.9])
def test_the_divergence_is_a_sum_over_units(rho):
    expected = sum(stats.entropy([rho, 1 - rho], [mean, 1 - mean]) for mean in MEANS.tolist())
    assert kl_sparsity(MEANS, rho).item() == pytest.approx(expected, rel=1e-4)


def test_its_slope_is_the_closed_form_one():
    means, rho = MEANS.clone().requires_grad_(), 0.05
    kl_sparsity(means, rho).backward()
    torch.testing.assert_close(means.grad, -rho / MEANS + (1 - rho) / (1 - MEANS), rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("rho", [0.001, 0.05, 0.5])
def test_it_is_0_and_flat_where_the_mean_is_rho(rho):
    means = torch.full((4,), rho, dtype=torch.float64).requires_grad_()
    loss = kl_sparsity(means, rho)
    loss.backward()
    assert 0 <= loss.item() < 1e-8 and means.grad.abs().max() < 2e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("stuck", "sign"), [(0.0, -1), (1.0, 1)])
def test_a_stuck_unit_is_finite_and_led_back(dtype, stuck, sign):
    means = torch.full((2,), stuck, dtype=dtype).requires_grad_()
    loss = kl_sparsity(means, 0.05)
    loss.backward()
    assert loss.isfinite() and loss > 0
    if dtype != torch.float16:  # whose largest number is below the slope
        assert means.grad.isfinite().all()
    assert (sign * means.grad > 1000).all()


def test_the_l1_norm_is_a_sum_over_the_code_and_a_mean_over_samples():
    codes = torch.tensor([[1.0, -2.0, 0.0], [0.5, 0.5, -4.0]])
    assert l1_sparsity(codes).item() == pytest.approx((3 + 5) / 2)
    assert l1_sparsity(codes[:, :, None, None].expand(-1, -1, 2, 2)).item() == pytest.approx(4 * (3 + 5) / 2)
