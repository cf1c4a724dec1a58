"""Against a linear critic, whose gradient is known, and finite differences in float64."""

import numpy as np
import pytest
import torch
from torch import nn

from ganlab.objectives.penalties import (
    centred_penalty,
    gradient_norms,
    input_gradients,
    mixtures,
    zero_centred_penalty,
)

WEIGHT = torch.tensor([3.0, -4.0, 12.0], dtype=torch.float64)  # of norm 13
POINTS = torch.randn(5, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def smooth_critic(inputs=3):
    torch.manual_seed(4)
    return nn.Sequential(nn.Linear(inputs, 6), nn.Tanh(), nn.Linear(6, 1), nn.Flatten(0)).double()


def numeric_gradients(score, points, step=1e-5):
    rows = []
    for point in points:
        moved = [score((point + sign * step * unit)[None]).item() for unit in torch.eye(len(point)) for sign in (1, -1)]
        rows.append([(up - down) / (2 * step) for up, down in zip(moved[::2], moved[1::2], strict=True)])
    return np.array(rows)


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("centre", [0, 1])
def test_a_linear_critic_pays_for_the_norm_of_its_weight_whatever_the_batch(count, centre):
    norms = gradient_norms(lambda x: x @ WEIGHT, POINTS[:count])
    assert norms.tolist() == pytest.approx([13.0] * count, rel=1e-12)
    assert centred_penalty(norms, centre).item() == pytest.approx((13 - centre) ** 2, rel=1e-12)
    assert zero_centred_penalty(lambda x: x @ WEIGHT, POINTS[:count]).item() == pytest.approx(169 / 2, rel=1e-12)


def test_each_sample_has_its_own_norm():
    """D(x) = |x|²: gradient 2x. A norm over the batch, or a mean over the values, would give other numbers."""
    points = torch.tensor([[0.3, 0.4], [3.0, 4.0]], dtype=torch.float64)
    norms = gradient_norms(lambda x: x.square().sum(1), points)
    assert norms.tolist() == pytest.approx([1.0, 10.0])
    assert centred_penalty(norms, 1).item() == pytest.approx((0 + 81) / 2)
    assert zero_centred_penalty(lambda x: x.square().sum(1), points).item() == pytest.approx((1 + 100) / 4)


def test_an_image_is_one_sample():
    images = torch.rand(2, 3, 4, 4, dtype=torch.float64)
    weight = torch.randn(3, 4, 4, dtype=torch.float64)
    norms = gradient_norms(lambda x: (x * weight).sum((1, 2, 3)), images)
    assert norms.tolist() == pytest.approx([weight.square().sum().sqrt().item()] * 2, rel=1e-12)


def test_input_gradients_by_finite_differences():
    critic = smooth_critic()
    np.testing.assert_allclose(input_gradients(critic, POINTS).detach(), numeric_gradients(critic, POINTS), atol=1e-8)


PENALTIES = {
    "one-centred": lambda critic: centred_penalty(gradient_norms(critic, POINTS), 1),
    "zero-centred": lambda critic: centred_penalty(gradient_norms(critic, POINTS), 0),
    "half of the square": lambda critic: zero_centred_penalty(critic, POINTS),
}
BY_HAND = {
    "one-centred": lambda rows: np.mean((np.sqrt((rows**2).sum(1)) - 1) ** 2),
    "zero-centred": lambda rows: np.mean((rows**2).sum(1)),
    "half of the square": lambda rows: np.mean((rows**2).sum(1)) / 2,
}


@pytest.mark.parametrize("name", PENALTIES)
def test_what_the_weights_descend_by_finite_differences(name):
    """The double backward: the penalty's slope along each weight, from gradients that autograd had no part in."""
    critic = smooth_critic()
    PENALTIES[name](critic).backward()
    weight, step = critic[0].weight, 1e-4
    for row, column in [(0, 0), (2, 1), (5, 2)]:
        values = []
        with torch.no_grad():
            for sign in (1, -1, 0):
                moved = weight.clone()
                moved[row, column] += sign * step
                kept, weight.data = weight.data, moved
                values.append(BY_HAND[name](numeric_gradients(critic, POINTS)))
                weight.data = kept
        assert PENALTIES[name](critic).item() == pytest.approx(values[2], rel=1e-6)
        numeric = (values[0] - values[1]) / (2 * step)
        assert weight.grad[row, column].item() == pytest.approx(numeric, rel=1e-4, abs=1e-7)


def test_a_flat_critic_has_finite_slopes():
    critic = smooth_critic()
    nn.init.zeros_(critic[2].weight)
    PENALTIES["one-centred"](critic).backward()
    assert PENALTIES["one-centred"](critic).item() == 1
    assert all(p.grad.isfinite().all() for p in critic.parameters() if p.grad is not None)


def test_each_mixture_lies_on_its_own_pair():
    real, fakes = torch.randn(3, 2, 4, 4), torch.randn(3, 2, 4, 4)
    mixed = mixtures(real, fakes, torch.tensor([1.0, 0.0, 0.25]))
    torch.testing.assert_close(mixed[0], real[0])
    torch.testing.assert_close(mixed[1], fakes[1])
    torch.testing.assert_close(mixed[2], 0.25 * real[2] + 0.75 * fakes[2])


def test_the_samples_are_left_alone():
    samples = torch.randn(2, 3)
    gradient_norms(lambda x: x.sum(1), samples)
    assert not samples.requires_grad and samples.grad is None
