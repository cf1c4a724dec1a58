"""Nearest training samples, against a loop over all of them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ganlab.data.image_source import MemoryImages
from ganlab.data.source import PointSet
from ganlab.tasks.exploring import nearest
from ganlab.tasks.exploring.nearest import Nearest
from ganlab.tasks.rows import Rows


def rows_of(source):
    return Rows(SimpleNamespace(train=source, test=source, name="some"), "train")


@pytest.fixture
def images():
    return torch.randint(256, (40, 3, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.mark.parametrize("chunk", [48, 100, 1 << 22])
def test_images_by_the_bytes_that_are_shown(images, monkeypatch, chunk):
    monkeypatch.setattr(nearest, "CHUNK", chunk)
    labels = torch.arange(40) % 4
    found = Nearest(rows_of(MemoryImages(images, labels)), ["a", "b", "c", "d"])
    asked = torch.rand(3, 4, 4, generator=torch.Generator().manual_seed(1)) * 2 - 1
    shown = np.round((asked.numpy().astype(np.float64) + 1) * 127.5)
    distances = [np.sqrt(np.mean((image.astype(np.float64) - shown) ** 2)) / 255 for image in images.numpy()]
    order = np.argsort(distances)[:5]
    neighbours = found.find(asked, 5)
    assert [neighbour.row for neighbour in neighbours] == order.tolist()
    assert np.allclose([neighbour.distance for neighbour in neighbours], np.array(distances)[order], atol=1e-6)
    assert [neighbour.name for neighbour in neighbours] == ["abcd"[row % 4] for row in order]
    assert torch.allclose(neighbours[0].sample, images[order[0]].float() / 127.5 - 1, atol=1e-6)


def test_a_copy_is_at_no_distance_and_black_against_white_at_one(images):
    images[7], images[3] = 0, images[11]
    found = Nearest(rows_of(MemoryImages(images, None)), [])
    copies = found.find(images[11].float() / 127.5 - 1, 2)
    assert [(copy.row, copy.distance, copy.name) for copy in copies] == [(3, 0.0, ""), (11, 0.0, "")]
    assert found.find(torch.ones(3, 4, 4), 40)[-1][0] == 7
    assert found.find(torch.ones(3, 4, 4), 40)[-1].distance == 1.0


def test_points_by_euclidean_distance():
    points = torch.tensor([[0.0, 0.0], [3.0, 4.0], [10.0, 0.0]])
    found = Nearest(rows_of(PointSet(points, None)), [])
    assert [(near.row, near.distance) for near in found.find(torch.tensor([0.0, 0.0]), 2)] == [(0, 0.0), (1, 5.0)]


def test_of_many_samples_the_first_are_looked_through(images, monkeypatch):
    assert Nearest(rows_of(MemoryImages(images, None)), []).of_all
    monkeypatch.setattr(nearest, "MOST_ROWS", 12)
    found = Nearest(rows_of(MemoryImages(images, None)), [])
    assert (found.count, found.of_all) == (12, False)
    assert max(near.row for near in found.find(torch.ones(3, 4, 4), 40)) < 12
    monkeypatch.setattr(nearest, "MOST_VALUES", 48 * 5)
    assert Nearest(rows_of(MemoryImages(images, None)), []).count == 5
