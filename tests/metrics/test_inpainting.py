"""Against loops over pixels and their neighbours, and scipy's density."""

import pytest
import torch
from scipy import stats

from ganlab.metrics.inpainting import context_losses, context_weights, normal_losses

RANDOM = torch.Generator().manual_seed(0)
HIDDEN = torch.rand(3, 1, 6, 9, generator=RANDOM) < 0.3
HIDDEN[1] = False
HIDDEN[1, 0, 2:4, 3:5] = True


def weights_by_loops(hidden, window):
    height, width = hidden.shape
    reach = window // 2
    weights = torch.zeros(height, width, dtype=torch.float64)
    for y in range(height):
        for x in range(width):
            if hidden[y, x]:
                continue
            near = [
                bool(hidden[v, u])
                for v in range(max(0, y - reach), min(height, y + reach + 1))
                for u in range(max(0, x - reach), min(width, x + reach + 1))
                if (v, u) != (y, x)
            ]
            weights[y, x] = sum(near) / len(near) if window > 1 else 1.0
    return weights / weights.sum()


@pytest.mark.parametrize("window", [1, 3, 7, 21])
def test_weights_are_the_shares_of_hidden_neighbours(window):
    weights = context_weights(HIDDEN, window)
    assert weights.shape == HIDDEN.shape
    for found, hidden in zip(weights, HIDDEN, strict=True):
        torch.testing.assert_close(found[0].double(), weights_by_loops(hidden[0], window), rtol=1e-5, atol=1e-8)


def test_pixels_that_see_nothing_of_the_hole_do_not_count():
    weights = context_weights(HIDDEN[1:2], 3)[0, 0]
    assert weights[0].eq(0).all() and weights[1, 2] > 0 and weights[2, 2] > weights[1, 2]
    assert weights[HIDDEN[1, 0]].eq(0).all()


@pytest.mark.parametrize("window", [0, 2, -3])
def test_a_window_has_a_middle(window):
    with pytest.raises(ValueError, match="a window has a middle"):
        context_weights(HIDDEN, window)


@pytest.mark.parametrize("fill", [True, False])
def test_something_is_hidden_and_something_visible(fill):
    hidden = HIDDEN.clone()
    hidden[2] = fill
    with pytest.raises(ValueError, match="some pixels must be hidden, and some visible"):
        context_weights(hidden, 3)


@pytest.mark.parametrize("squared", [False, True])
def test_the_context_is_a_weighted_mean_of_differences(squared):
    made, given = (torch.randn(3, 2, 6, 9, generator=RANDOM, dtype=torch.float64) for _ in range(2))
    weights = context_weights(HIDDEN, 5).double()
    expected = [
        sum(
            float(weights[i, 0, y, x]) * abs(float(made[i, c, y, x] - given[i, c, y, x])) ** (1 + squared) / 2
            for c in range(2)
            for y in range(6)
            for x in range(9)
        )
        for i in range(3)
    ]
    found = context_losses(made, given, weights, squared=squared)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_an_image_that_is_off_by_a_constant_is_off_by_it():
    given = torch.zeros(3, 3, 6, 9)
    assert torch.allclose(context_losses(given + 0.5, given, context_weights(HIDDEN, 7)), torch.full((3,), 0.5))


def test_normal_losses_are_the_density_up_to_a_constant():
    latents = torch.randn(4, 5, generator=RANDOM, dtype=torch.float64)
    expected = torch.from_numpy(-stats.norm.logpdf(latents.numpy()).sum(1))
    offsets = expected - normal_losses(latents)
    torch.testing.assert_close(offsets, offsets[:1].expand(4))
