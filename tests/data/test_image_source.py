import numpy as np
import pytest
import torch

from ganlab.data.image_source import MappedImages, MemoryImages, to_bytes, to_unit_range
from ganlab.data.source import PointSet


def test_bytes_cover_minus_one_to_one_exactly():
    values = to_unit_range(torch.arange(256, dtype=torch.uint8))
    assert values.dtype == torch.float32
    assert values[0] == -1 and values[255] == 1
    exact = np.linspace(-1, 1, 256)
    assert np.abs(values.double().numpy() - exact).max() < 2e-7


def test_bytes_come_back_and_outliers_are_clamped():
    every = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_bytes(to_unit_range(every)), every)
    assert to_bytes(torch.tensor([-3.0, 1.01, 7.0])).tolist() == [0, 255, 255]


@pytest.fixture
def stored(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (40, 3, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "images.npy", array)
    return array, np.load(tmp_path / "images.npy", mmap_mode="r")


def test_a_memory_map_gives_what_is_asked_in_the_order_asked(stored):
    array, mapped = stored
    members = torch.tensor([5, 30, 2, 17, 11, 39, 0])
    source = MappedImages(mapped, members, torch.arange(7))
    assert len(source) == 7
    rows = torch.tensor([6, 0, 3, 3, 5])
    batch = source.gather(rows)
    expected = array[[0, 5, 17, 17, 39]].astype(np.float64) / 127.5 - 1
    assert np.abs(batch.samples.numpy() - expected).max() < 1e-6
    assert batch.conditions.tolist() == rows.tolist()
    assert torch.equal(source.in_memory().gather(rows).samples, batch.samples)


def test_the_first_samples_are_the_same_each_time_and_at_most_all(stored):
    source = MappedImages(stored[1], torch.arange(10, 20), None)
    assert torch.equal(source.first(4).samples, source.first(10).samples[:4])
    assert len(source.first(1000).samples) == 10
    assert source.first(3).conditions is None


def test_attribute_vectors_are_mirrored_with_their_images():
    attributes = torch.rand(6, 4)
    source = MemoryImages(torch.zeros(6, 1, 4, 4, dtype=torch.uint8), attributes).on(torch.device("cpu"), True)
    assert len(source) == 6
    assert torch.equal(source.gather(torch.tensor([1, 7])).conditions, attributes[[1, 1]])


def test_what_is_no_uint8_image_is_refused():
    with pytest.raises(ValueError, match="uint8"):
        MemoryImages(torch.zeros(2, 1, 4, 4), None)
    with pytest.raises(ValueError, match="left and right"):
        PointSet(torch.zeros(3, 2), None).on(torch.device("cpu"), mirrored=True)
