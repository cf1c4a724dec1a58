import math

import pytest
import torch

from ganlab.errors import DataError


def drawn(module, count=40_000):
    return module.train.draw(count, torch.Generator().manual_seed(0))[:2]


def test_the_ring_has_eight_distinct_modes_at_equal_distances(loaded):
    modes = loaded("ring").modes
    assert modes.shape == (8, 2)
    assert torch.allclose(modes.norm(dim=1), torch.full((8,), 2.0))
    nearest = torch.cdist(modes, modes).fill_diagonal_(math.inf).min(1).values
    assert torch.allclose(nearest, torch.full((8,), 4 * math.sin(math.pi / 8)), atol=1e-5)


def test_the_grid_is_centred_and_numbered_by_rows(loaded):
    module = loaded("grid")
    assert module.modes.shape == (25, 2)
    expected = [(column - 2.0, row - 2.0) for row in range(5) for column in range(5)]
    assert [tuple(mode) for mode in module.modes.tolist()] == expected


@pytest.mark.parametrize(("name", "std"), [("ring", 0.02), ("grid", 0.025)])
def test_points_scatter_around_the_mode_that_labels_them(loaded, name, std):
    module = loaded(name)
    samples, labels = drawn(module)
    assert module.std == std
    assert torch.equal(torch.cdist(samples, module.modes).argmin(1), labels)
    residuals = samples - module.modes[labels]
    assert torch.allclose(residuals.std(0), torch.full((2,), std), rtol=0.02)
    assert residuals.mean(0).abs().max() < 5 * std / math.sqrt(len(samples))
    share = torch.bincount(labels, minlength=len(module.modes)) / len(labels)
    assert (share * len(module.modes) - 1).abs().max() < 0.15
    assert labels.dtype == torch.int64 and samples.dtype == torch.float32
    assert module.condition_names == [str(mode) for mode in range(len(module.modes))]


def test_other_rings_and_grids(loaded):
    ring = loaded("ring", "num_modes=5", "radius=1", "std=0")
    assert ring.condition_size == 5
    samples, labels = drawn(ring, 100)
    assert torch.equal(samples, ring.modes[labels])
    grid = loaded("grid", "side=2", "num_classes=4", "spacing=0.5")
    assert sorted(map(tuple, grid.modes.tolist())) == [(-0.25, -0.25), (-0.25, 0.25), (0.25, -0.25), (0.25, 0.25)]


def test_uniform_has_the_squares_moments(loaded):
    samples, labels = drawn(loaded("uniform"))
    assert labels is None
    assert samples.min() >= -1 and samples.max() <= 1
    assert samples.mean(0).abs().max() < 0.015
    assert torch.allclose(samples.T.cov(), torch.eye(2) / 3, atol=0.01)


def test_the_swiss_roll_is_a_spiral_with_noise(loaded):
    samples, _ = drawn(loaded("swiss_roll", "noise=0"))
    radius = samples.norm(dim=1)
    assert radius.min() > 1 / 3 - 1e-4 and radius.max() < 1 + 1e-4
    turned = torch.atan2(samples[:, 1], samples[:, 0]) - radius * 4.5 * math.pi
    assert (turned.remainder(2 * math.pi) - math.pi).abs().min() > math.pi - 1e-3
    noisy, _ = drawn(loaded("swiss_roll"))
    assert torch.allclose((noisy - samples).std(0), torch.full((2,), 0.02), rtol=0.02)


@pytest.mark.parametrize("name", ["ring", "grid", "uniform", "swiss_roll"])
def test_held_out_points_are_the_same_in_every_run_and_new(loaded, name):
    one, other = loaded(name, "test_count=500"), loaded(name, "test_count=500")
    other.seed = 99
    assert len(one.test) == 500 and not one.test.infinite and one.train.infinite
    assert torch.equal(one.examples(500, "test").samples, other.examples(500, "test").samples)
    assert torch.equal(one.examples(20).samples, other.examples(20).samples)
    assert not torch.equal(one.examples(500).samples, one.examples(500, "test").samples)


def test_labels_that_are_not_there_are_refused(build):
    with pytest.raises(DataError, match=r"data\.num_classes=4: data=uniform has no class labels"):
        build("uniform", "num_classes=4").setup()
    with pytest.raises(DataError, match=r"data\.num_classes=25: data=grid has 9 classes .*data\.num_classes=9"):
        build("grid", "side=3").setup()
    ring = build("ring", "num_classes=0")
    ring.setup()
    assert next(iter(ring.train_dataloader())).conditions is None
