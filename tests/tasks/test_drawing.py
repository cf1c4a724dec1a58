"""What is drawn: the same noise whatever the batch, attributes as conditions, bytes in their order."""

from types import SimpleNamespace

import pytest
import torch

from ganlab.data.image_source import to_bytes
from ganlab.errors import TrainingError
from ganlab.metrics.extractors.base import Extracted, Extractor
from ganlab.metrics.ranks import Ranks
from ganlab.models.base import derived_seed
from ganlab.tasks.drawing import Drawing

ATTRIBUTES = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])


class Model:
    """Points that are its latents, moved by the condition."""

    generates, condition_size, iteration, device = True, 0, 5, torch.device("cpu")

    def __init__(self, **options):
        vars(self).update(options)

    def latents(self, count, generator):
        return torch.randn(count, 2, generator=generator)

    def decode(self, latents, condition=None):
        return latents if condition is None else latents + 10 * condition


class Real:
    data = SimpleNamespace(examples=lambda count, split: SimpleNamespace(samples=torch.full((count, 2), 0.5)))

    def conditions(self, split, count):
        return ATTRIBUTES[torch.arange(count) % 3]

    def classes(self, conditions):
        return None


def drawing(extractor=None, **options):
    return Drawing(Real(), {"count": 7, "batch_size": 3, **options}, extractor, None)


def noise(count=7, seed=4):
    return torch.randn(count, 2, generator=torch.Generator().manual_seed(derived_seed("scores", seed)))


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_the_noise_is_the_seeds_and_not_the_batches(batch_size):
    seen, channels = drawing(batch_size=batch_size).observe(Model(), "test", 4, Ranks())
    assert seen.features.equal(noise()) and seen.samples.equal(noise()) and channels is None


@pytest.mark.parametrize("size", [2, 3])
def test_ranks_keep_the_pixels_of_the_first_rows_whatever_their_number(size, monkeypatch):
    """5 of 7 kept, shared by ranks that divide neither number."""
    monkeypatch.setattr("ganlab.tasks.drawing.PIXELS_KEPT", 5)
    images = torch.rand(7, 1, 4, 4) * 2 - 1
    model = Model(latents=lambda count, generator: torch.arange(count), decode=lambda rows, condition: images[rows])

    class Apart(Ranks):
        """Collects what each rank hands over, and puts it together as `gather` does."""

        def gather(self, rows, count):
            handed.setdefault((*rows.shape[1:], str(rows.dtype)), []).append(rows)
            return torch.ones(1, dtype=torch.bool) if rows.dtype == torch.bool else rows

    handed = {}
    for rank in range(size):
        drawing(Flat(), batch_size=2).observe(model, "test", 4, Apart(rank, size))
    for parts in handed.values():
        assert len({len(part) for part in parts}) == 1, "all ranks hand over as many rows"
    pixels = torch.stack(handed[1, 4, 4, "torch.uint8"], dim=1).flatten(0, 1)[:5]
    assert pixels.equal(to_bytes(images[:5]))


class Flat(Extractor):
    name, resizer, channels, num_classes = "flat", "none", "as they are", 2

    def forward(self, images):
        assert images.dtype == torch.uint8
        flat = images.flatten(1).float()
        return Extracted(flat, flat[:, :2])


def test_attributes_are_given_as_they_are():
    seen, _ = drawing().observe(Model(condition_size=2), "test", 4, Ranks())
    assert seen.features.equal(noise() + 10 * ATTRIBUTES[torch.arange(7) % 3])
    assert seen.labels is None


def test_an_autoencoder_is_given_real_samples():
    model = Model(generates=False, reconstruct=lambda samples, condition: samples * 3)
    seen, _ = drawing().observe(model, "test", 4, Ranks())
    assert seen.features.equal(torch.full((7, 2), 1.5))


def test_what_is_not_finite_is_told_with_its_iteration():
    model = Model(decode=lambda latents, condition: latents / 0)
    with pytest.raises(TrainingError, match="samples of iteration 5 are not finite numbers"):
        drawing().observe(model, "test", 4, Ranks())


def test_images_become_bytes_before_anything_looks_at_them():
    images = torch.rand(7, 1, 4, 4) * 3 - 1.5
    model = Model(latents=lambda count, generator: torch.arange(count), decode=lambda rows, condition: images[rows])
    seen, _ = drawing(Flat()).observe(model, "test", 4, Ranks())
    assert seen.samples.equal(to_bytes(images))
    assert seen.features.equal(to_bytes(images).flatten(1).float()) and seen.logits.equal(seen.features[:, :2])
