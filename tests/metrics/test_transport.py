from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from ganlab.metrics.transport import Wasserstein
from two_processes import on_two_ranks


def draw(count, dimension=2, seed=0):
    return torch.randn(count, dimension, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def distance(reference, points, order, batch=1000):
    metric = Wasserstein(reference, order)
    for part in points.split(batch):
        metric.update(part)
    return metric.compute().item()


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("count", [2, 3, 5, 7])
def test_no_assignment_is_cheaper(count, order):
    x, y = draw(count, 3, seed=1).numpy(), draw(count, 3, seed=2).numpy() * 2 + 1
    costs = [(np.linalg.norm(x - y[list(assigned)], axis=1) ** order).mean() for assigned in permutations(range(count))]
    assert distance(torch.tensor(y), torch.tensor(x), order) == pytest.approx(min(costs) ** (1 / order), rel=1e-12)


def test_on_the_line_points_go_in_their_order():
    x, y = draw(200, 1, seed=1), draw(200, 1, seed=2) ** 3 + 0.5
    gaps = np.sort(x.numpy().ravel()) - np.sort(y.numpy().ravel())
    assert distance(y, x, 1) == pytest.approx(np.abs(gaps).mean(), rel=1e-12)
    assert distance(y, x, 1) == pytest.approx(wasserstein_distance(x.ravel(), y.ravel()), rel=1e-12)
    assert distance(y, x, 2) == pytest.approx(np.sqrt((gaps**2).mean()), rel=1e-12)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("size", [1e-6, 0.3, 100.0])
def test_moving_all_points_by_a_vector_costs_its_length(size, order):
    points, vector = draw(60, 5), size * torch.tensor([3.0, 0, -4, 0, 12], dtype=torch.float64)
    moved = (points + vector)[torch.randperm(60, generator=torch.Generator().manual_seed(1))]
    assert distance(points, moved, order) == pytest.approx(13 * size, rel=1e-9)


@pytest.mark.parametrize("order", [1, 2])
def test_the_order_of_points_and_their_batches_are_without_effect(order):
    points, reference = draw(80, 4, seed=1), draw(80, 4, seed=2)
    shuffled = points[torch.randperm(80, generator=torch.Generator().manual_seed(1))]
    assert distance(reference, points.flip(0), order, batch=9) == pytest.approx(
        distance(reference, shuffled, order), rel=1e-12
    )
    assert distance(points, shuffled, order) == 0


def test_two_gaussians_are_near_the_closed_form():
    """W_2 between N(0, diag a^2) and N(m, diag b^2) is sqrt(|m|^2 + |a - b|^2): 2.4495 here.

    Its sampling error at 600 points is about 0.06; with the root forgotten it would be 6.
    """
    first = draw(600, seed=1) * torch.tensor([1.0, 0.5])
    second = draw(600, seed=2) * torch.tensor([2.0, 1.5]) + torch.tensor([2.0, 0.0])
    assert distance(first, second, 2) == pytest.approx(np.sqrt(2**2 + 1 + 1), abs=0.15)
    assert distance(first, second, 1) < distance(first, second, 2)


@pytest.mark.parametrize("order", [1, 2])
def test_it_is_computed_in_float64_far_from_the_origin_too(order):
    reference = (draw(50) + 1000).float()
    points = reference.flip(0) + 2**-8
    assert distance(reference, points, order) == pytest.approx(np.sqrt(2) * 2**-8, rel=1e-12)
    metric = Wasserstein(reference, order)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        metric.update(points.requires_grad_())
        found = metric.compute()
    assert found.dtype == torch.float64 and found.ndim == 0 and not found.requires_grad
    assert found == distance(reference, points, order)
    assert list(metric.parameters()) == [] and metric.state_dict() == {}


@pytest.mark.parametrize("cut", [0, 13, 40])
def test_two_ranks_make_the_whole(cut):
    reference, points = draw(40, seed=1), draw(40, seed=2) + 1

    def score(rank):
        metric = Wasserstein(reference, 2)
        metric.update((points[:cut], points[cut:])[rank])
        return metric.compute().item()

    expected = distance(reference, points, 2)
    assert on_two_ranks(score) == [pytest.approx(expected, rel=1e-12)] * 2


def test_what_is_not_finite_has_no_distance():
    for bad in (torch.nan, torch.inf):
        points = draw(5)
        points[3, 1] = bad
        assert np.isnan(distance(draw(5), points, 1))
        with pytest.raises(ValueError, match="reference are not finite"):
            Wasserstein(points, 1)


def test_wrong_input_has_a_line():
    with pytest.raises(ValueError, match="4 points and 5 in the reference; there must be as many"):
        distance(draw(5), draw(4), 1)
    with pytest.raises(ValueError, match="order must be 1 or 2, not 3"):
        Wasserstein(draw(5), 3)
    with pytest.raises(ValueError, match="3 dimensions, those of the reference 2"):
        Wasserstein(draw(5), 1).update(draw(5, 3))
