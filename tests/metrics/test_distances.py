import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ganlab.metrics.distances import Distances
from ganlab.metrics.kernel import KernelDistance
from ganlab.metrics.neighbours import Authenticity, ManifoldMetrics, NearestNeighbourTest


def features(count, dimension=5, seed=0, shift=0.0):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(count, dimension, generator=random, dtype=torch.float64) + shift


def brute_force(rows, columns):
    return ((rows[:, None] - columns[None]) ** 2).sum(axis=2)


@pytest.mark.parametrize(("count", "others", "chunk"), [(20, 33, 7), (21, 7, 7), (5, 6, 100), (1, 1, 1)])
@pytest.mark.parametrize("shift", [0.0, 1e4])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_blocks_tile_the_distances(count, others, chunk, shift, dtype):
    rows, columns = features(count, seed=1, shift=shift).to(dtype), features(others, seed=2, shift=shift).to(dtype)
    found = torch.full((count, others), torch.nan, dtype=torch.float64)
    for these, those, squared in Distances(rows, chunk).blocks(rows, columns):
        assert max(squared.shape) <= chunk and squared.dtype == torch.float64
        assert found[these, those].isnan().all()
        found[these, those] = squared
    np.testing.assert_allclose(found, brute_force(rows.double().numpy(), columns.double().numpy()), rtol=1e-9)


@pytest.mark.parametrize("chunk", [1, 4, 9, 100])
def test_the_nearest_within_a_set_and_between_sets(chunk):
    rows, columns = features(17, seed=1), features(12, seed=2)
    distances = Distances(rows, chunk)
    within = brute_force(rows.numpy(), rows.numpy())
    np.fill_diagonal(within, np.inf)
    np.testing.assert_allclose(distances.within(rows, 4), np.sort(within, axis=1)[:, :4], rtol=1e-12)
    between = brute_force(rows.numpy(), columns.numpy())
    of_rows, which, of_columns = distances.between(rows, columns)
    np.testing.assert_allclose(of_rows, between.min(axis=1), rtol=1e-12)
    np.testing.assert_array_equal(which, between.argmin(axis=1))
    np.testing.assert_allclose(of_columns, between.min(axis=0), rtol=1e-12)


@pytest.mark.parametrize("dimension", [2, 64, 500])
@pytest.mark.parametrize("chunk", [7, 50, 100])
def test_a_copy_is_at_zero_and_a_near_row_is_not(dimension, chunk):
    rows = features(51, dimension, shift=2)
    distances = Distances(rows[:30], chunk)
    assert (distances.between(rows, rows.flip(0))[0] == 0).all()
    moved = rows + 1e-5
    np.testing.assert_allclose(distances.between(rows, moved)[0], dimension * 1e-10, rtol=1e-3)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_open_balls_leave_out_the_rim_and_no_more(scale):
    centres = features(40, 64, seed=1) * scale
    rim = centres + 0.1 * scale * torch.nn.functional.normalize(features(40, 64, seed=2))
    distances = Distances(centres, 7)
    (_, _, block), *_ = Distances(centres, 40).blocks(centres, rim)
    radii = distances.open_balls(centres, torch.full((40,), (0.1 * scale) ** 2, dtype=torch.float64))
    assert (block.diag() >= radii).all()
    assert (block.diag() * (1 - 1e-8) < radii).all()


class MemoryTaken(TorchDispatchMode):
    """Bytes of each memory that an operation takes; views and results written in place take none."""

    def __init__(self):
        super().__init__()
        self.sizes = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        held = {self.memory(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)}
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        self.sizes |= {leaf.untyped_storage().nbytes() for leaf in made if self.memory(leaf) not in held}
        return result

    @staticmethod
    def memory(tensor):
        return tensor.untyped_storage()._cdata


@pytest.mark.slow
@pytest.mark.parametrize("metric", [ManifoldMetrics, Authenticity, NearestNeighbourTest, KernelDistance])
def test_memory_is_bounded_at_50000_by_2048(metric):
    """On the meta device, where all is done but the arithmetic: nothing is larger than a block, but the rows gathered.

    The block is larger than by default, which makes fewer of them. 50,000 x 50,000 distances would take 20 GB.
    """
    rows, chunk = torch.empty(50_000, 2048, device="meta"), 4096
    own = metric(rows, chunk=chunk).to("meta")
    with MemoryTaken() as taken:
        for part in rows.split(10_000):
            own.update(part)
        own.compute()
    assert taken.sizes.issuperset({chunk**2 * 8, chunk * 2048 * 8})
    assert {size for size in taken.sizes if size > chunk * (chunk + 5) * 8} == {50_000 * 2048 * 4}
    assert metric(torch.zeros(10, 1)).chunk < chunk


def test_the_recorder_sees_what_is_taken():
    with MemoryTaken() as taken:
        rows = torch.empty(100, 8, device="meta", dtype=torch.float64)
        rows[:50].mul_(2)
        assert taken.sizes == {6400}
        (rows @ rows.T).clamp_(min=0)
    assert taken.sizes == {6400, 80_000}
