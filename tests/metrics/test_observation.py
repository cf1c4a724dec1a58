"""What metrics see: the same bytes for real and generated images, and rows that belong together."""

import pytest
import torch

from ganlab.data.image_source import to_bytes, to_unit_range
from ganlab.metrics import observation as module
from ganlab.metrics.extractors.base import Extracted, Extractor
from ganlab.metrics.observation import Observation, observe


class Means(Extractor):
    name, resizer, channels, num_classes = "means", "none", "as they are", 2

    def forward(self, images):
        means = images.float().mean((2, 3))
        return Extracted(means, torch.stack([means[:, 0], -means[:, 0]], 1))


def test_quantising_is_the_inverse_of_how_real_images_are_read():
    every = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    assert to_bytes(to_unit_range(every)).equal(every)
    noise = torch.rand(50, 3, 4, 4) * 3 - 1.5
    assert to_bytes(noise).equal((noise * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8))


@pytest.mark.parametrize(
    ("value", "byte"), [(1.01, 255), (1.0, 255), (-1.0, 0), (-7.0, 0), (0.0, 128), (-0.004, 127), (0.9999, 255)]
)
def test_it_rounds_to_the_nearest_and_never_wraps(value, byte):
    assert to_bytes(torch.full((1,), value)).item() == byte


def test_images_keep_their_features_and_the_first_of_their_pixels(monkeypatch):
    monkeypatch.setattr(module, "PIXELS_KEPT", 3)
    images = torch.randint(256, (7, 3, 4, 4), dtype=torch.uint8)
    seen = observe(images, torch.arange(7), Means(), batch_size=2)
    assert torch.allclose(seen.features, images.float().mean((2, 3)))
    assert seen.samples.equal(images[:3]) and len(seen) == 7
    first = seen.first(2)
    assert isinstance(first, Observation) and first.labels.tolist() == [0, 1]
    assert first.features.equal(seen.features[:2]) and first.logits.equal(seen.logits[:2])


def test_points_are_their_own_features():
    points = torch.randn(5, 2)
    seen = observe(points, None, None, batch_size=2)
    assert seen.features.equal(points) and seen.logits is None and seen.labels is None
