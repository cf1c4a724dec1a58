from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from ganlab.callbacks import autoencoder_pictures
from ganlab.callbacks.autoencoder_pictures import (
    CodePainter,
    FilterPainter,
    InterpolationPainter,
    ManifoldPainter,
    PointReconstructionPainter,
    RealSamples,
    ReconstructionPainter,
    spread,
)
from ganlab.pictures import (
    between_originals,
    code_plane,
    filter_grid,
    manifold,
    manifold_codes,
    manifolds,
    peak_signal_to_noise,
    plane_limits,
    reconstruction_rows,
    shown_classes,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Batch(NamedTuple):
    samples: Tensor
    conditions: Tensor | None


class Data:
    """Samples of two splits in a shuffled order of classes, or with attributes, or with nothing."""

    def __init__(self, shape=(1, 8, 8), num_classes=0, attributes=0, test=200):
        self.num_classes = num_classes
        self.condition_names = [f"class_{index}" for index in range(num_classes)]
        self.splits = {}
        for split, count in (("train", 90), ("test", test)):
            generator = seeded(count)
            samples = torch.rand(count, *shape, generator=generator) * 2 - 1
            conditions = None
            if num_classes:
                conditions = torch.randint(num_classes, (count,), generator=generator)
            elif attributes:
                conditions = (torch.rand(count, attributes, generator=generator) > 0.5).float()
            self.splits[split] = Batch(samples, conditions)

    def examples(self, count, split="train"):
        samples, conditions = self.splits[split]
        return Batch(samples[:count], None if conditions is None else conditions[:count])


class Linear(nn.Module):
    """Codes are a linear map of samples and back; conditions move what is decoded."""

    iteration = 1500
    corrupts = False

    def __init__(self, shape=(1, 8, 8), latent_dim=2, condition_size=0):
        super().__init__()
        self.sample_shape, self.latent_dim, self.condition_size = list(shape), latent_dim, condition_size
        size = int(np.prod(shape))
        self.weight = nn.Parameter(torch.randn(latent_dim, size, generator=seeded(1)) / size**0.5)
        self.moves = nn.Parameter(torch.randn(max(1, condition_size), size, generator=seeded(2)) / 4)
        self.device = torch.device("cpu")
        self.encoded: list[tuple[Tensor, Tensor | None]] = []

    def encode(self, samples, condition=None):
        self.encoded.append((samples, condition))
        with torch.no_grad():
            return (samples.flatten(1) - self._moved(condition)) @ self.weight.T

    def decode(self, latents, condition=None):
        with torch.no_grad():
            return (latents @ self.weight + self._moved(condition)).unflatten(1, self.sample_shape)

    def reconstruct(self, samples, condition=None):
        return self.decode(self.encode(samples, condition), condition)

    def corrupt(self, samples, generator):
        return samples + torch.randn(samples.shape, generator=generator) / 10

    def filters(self):
        return self.weight.unflatten(1, self.sample_shape)

    def _moved(self, condition):
        if condition is None:
            assert not self.condition_size
            return 0.0
        vectors = one_hot(condition, self.condition_size).float() if condition.ndim == 1 else condition
        return vectors @ self.moves


def same(picture, other) -> bool:
    return np.array_equal(np.asarray(picture), np.asarray(other))


# -- which samples ------------------------------------------------------------------------------------------------


def test_samples_are_spread_over_the_classes():
    labels = torch.tensor([2, 2, 0, 2, 0, 5, 1, 0])
    real = RealSamples(torch.zeros(8, 1), None, labels, "test")
    assert spread(real, [0, 1, 2], 5).tolist() == [2, 6, 0, 4, 1]
    assert spread(real, [0, 1, 2, 3], 99).tolist() == [2, 6, 0, 4, 1, 7, 3], "those there are, of the classes asked for"
    assert spread(real._replace(labels=None), [], 3).tolist() == [0, 1, 2]


@pytest.mark.parametrize(("classes", "columns"), [(0, 10), (3, 10), (10, 10), (11, 11), (30, 12)])
def test_there_is_a_column_for_each_class_and_ten_at_least(classes, columns):
    data, model = Data(num_classes=classes, test=5000), Linear()
    painter = ReconstructionPainter(model, data, seed=0)
    assert painter.columns == columns and len(painter.real.samples) == 2 * columns
    if classes in (10, 30):
        samples, labels = data.splits["test"]
        assert painter.real.labels.tolist() == shown_classes(classes) * 2
        first = [int((labels == index).nonzero()[0]) for index in shown_classes(classes)]
        assert torch.equal(painter.real.samples[:columns], samples[first])


def test_few_samples_are_shown_in_whole_rows():
    painter = ReconstructionPainter(Linear(), Data(test=13), seed=0)
    assert painter.columns == 10 and len(painter.real.samples) == 10
    painter = ReconstructionPainter(Linear(), Data(test=4), seed=0)
    assert painter.columns == 4 and len(painter.real.samples) == 4


def test_large_images_are_searched_in_bounded_memory():
    model = Linear()
    assert autoencoder_pictures.searched(model) == 5000
    model.sample_shape = [3, 256, 256]
    assert autoencoder_pictures.searched(model) == 85
    model.sample_shape = [3, 8192, 8192]
    assert autoencoder_pictures.searched(model) == 1


# -- reconstructions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("condition_size", [0, 4])
def test_originals_stand_above_their_reconstructions(condition_size):
    data, model = Data(num_classes=4), Linear(condition_size=condition_size)
    painter = ReconstructionPainter(model, data, seed=0)
    samples, labels = painter.real.samples, painter.real.labels
    made = model.reconstruct(samples, labels if condition_size else None)
    legend = f"PSNR of these 20 test images: {peak_signal_to_noise(made, samples):.1f} dB."
    expected = reconstruction_rows([("original", samples), ("reconstruction", made)], 10, legend=[legend])
    assert same(painter.paint(model), expected) and same(painter.paint(model), expected)


def test_what_the_encoder_saw_stands_between_clean_and_restored():
    data, model = Data(), Linear()
    model.corrupts = True
    painter = ReconstructionPainter(model, data, seed=3)
    clean = data.splits["test"].samples[:20]
    corrupted = model.corrupt(clean, seeded(3))
    restored = model.reconstruct(corrupted)
    psnr = [peak_signal_to_noise(images, clean) for images in (corrupted, restored)]
    legend = f"PSNR of these 20 test images: corrupted {psnr[0]:.1f} dB, restored {psnr[1]:.1f} dB."
    kinds = [("clean", clean), ("corrupted", corrupted), ("restored", restored)]
    expected = reconstruction_rows(kinds, 10, legend=[legend])
    assert same(painter.paint(model), expected) and same(painter.paint(model), expected), "the same corruption"


def test_without_held_out_samples_those_of_training_are_shown_and_named(monkeypatch):
    seen = {}
    monkeypatch.setattr(autoencoder_pictures, "reconstruction_rows", lambda *given, **named: seen.update(named))
    data, model = Data(test=0), Linear()
    painter = ReconstructionPainter(model, data, seed=0)
    painter.paint(model)
    assert torch.equal(painter.real.samples, data.splits["train"].samples[:20])
    assert seen["legend"][0].startswith("PSNR of these 20 train images")


@pytest.mark.parametrize("corrupts", [False, True])
def test_points_are_joined_to_their_reconstructions_in_fixed_limits(monkeypatch, corrupts):
    data, model, seen = Data((3,)), Linear((3,), 1), []
    model.corrupts = corrupts
    monkeypatch.setattr(autoencoder_pictures, "plane", lambda *given, **named: seen.append((given, named)))
    painter = PointReconstructionPainter(model, data, 50, seed=4)
    painter.paint(model)
    painter.paint(model)
    samples = data.splits["test"].samples[:50]
    inputs = model.corrupt(samples, seeded(4)) if corrupts else samples
    for (made, real), named in seen:
        assert torch.equal(real, samples[:, :2]) and torch.equal(made, model.reconstruct(inputs)[:, :2])
        assert named["limits"] == plane_limits(samples[:, :2]) and named["joined"]
        assert named["made"] == ("restored" if corrupts else "reconstructed") and named["title"] == "iteration 1,500"
        assert "field" not in named


def test_points_are_drawn():
    model = Linear((2,), 1, condition_size=3)
    painter = PointReconstructionPainter(model, Data((2,), num_classes=3), 50, seed=0)
    assert painter.paint(model).size == (600, 560)
    assert torch.equal(model.encoded[-1][1], painter.real.labels), "of a conditional model, by their classes"


# -- filters and the plane of codes -----------------------------------------------------------------------------------


def test_filters_are_the_models_own():
    model = Linear(latent_dim=7)
    assert same(FilterPainter().paint(model), filter_grid(model.weight.view(7, 1, 8, 8)))


def test_the_manifold_is_decoded_from_quantiles():
    model = Linear()
    picture = ManifoldPainter(model, None, [], []).paint(model)
    legend = (
        "Decoded codes: the first number grows to the right, the second upwards, both at 15 quantiles of the normal "
        "prior."
    )
    assert same(picture, manifold(model.decode(manifold_codes(15)), [legend]))


@pytest.mark.parametrize("conditions", [torch.tensor([2, 0, 1]), torch.eye(3)[[0, 2]]])
def test_each_condition_has_its_manifold(conditions):
    model = Linear(condition_size=3)
    names = ["cat", "ant", "bee"][: len(conditions)]
    painter = ManifoldPainter(model, conditions, names, ["a legend"])
    codes = manifold_codes(7)
    images = [model.decode(codes, condition.expand(49, *condition.shape)) for condition in conditions]
    assert same(painter.paint(model), manifolds(torch.stack(images), names, painter.legend))
    assert painter.legend[0] == "a legend" and "at 7 quantiles" in painter.legend[1]


def test_codes_are_those_of_the_first_held_out_samples_in_their_classes():
    data, model = Data(num_classes=4, test=700), Linear()
    painter = CodePainter(model, data, 600)
    samples, labels = data.splits["test"]
    expected = code_plane(
        (samples[:600].flatten(1) @ model.weight.T).detach(),
        labels[:600],
        data.condition_names,
        title="iteration 1,500",
        note="codes of 600 test samples",
    )
    assert same(painter.paint(model), expected)
    assert [len(part) for part, _ in model.encoded] == [256, 256, 88], "in chunks"
    assert all(condition is None for _, condition in model.encoded)


def test_a_conditional_model_encodes_with_the_conditions():
    data, model = Data(num_classes=4), Linear(condition_size=4)
    CodePainter(model, data, 50).paint(model)
    assert torch.equal(model.encoded[0][1], data.splits["test"].conditions[:50])
    plain = Linear()
    assert CodePainter(plain, Data(), 50).paint(plain).size == (600, 560)


# -- interpolations -------------------------------------------------------------------------------------------------


def line(start: Tensor, end: Tensor) -> Tensor:
    """[rows, 9, n]."""
    return torch.stack([start + (end - start) * step / 8 for step in range(9)], 1)


def test_interpolations_go_straight_between_the_codes_of_different_classes():
    data, model = Data(num_classes=10), Linear(latent_dim=5)
    painter = InterpolationPainter(model, data)
    labels = data.splits["test"].conditions
    assert painter.rows == 6
    assert painter.starts.labels.tolist() == [0, 2, 4, 6, 8, 0] and painter.ends.labels.tolist() == [1, 3, 5, 7, 9, 1]
    first = data.splits["test"].samples[int((labels == 0).nonzero()[0])]
    assert torch.equal(painter.starts.samples[0], first)
    codes = line(model.encode(painter.starts.samples), model.encode(painter.ends.samples))
    decoded = model.decode(codes.flatten(0, 1)).unflatten(0, (6, 9))
    expected = between_originals(painter.starts.samples, decoded, painter.ends.samples, None, painter.legend)
    assert np.abs(np.asarray(painter.paint(model)).astype(int) - np.asarray(expected)).max() <= 1
    assert same(painter.paint(model), painter.paint(model))


def test_a_conditional_model_goes_between_two_of_a_class(monkeypatch):
    data, model, seen = Data(num_classes=3), Linear(condition_size=3), []
    monkeypatch.setattr(autoencoder_pictures, "between_originals", lambda *given: seen.append(given))
    painter = InterpolationPainter(model, data)
    painter.paint(model)
    ((starts, decoded, ends, captions, _),) = seen
    assert captions == ["class_0", "class_1", "class_2"]
    assert painter.starts.labels.tolist() == painter.ends.labels.tolist() == [0, 1, 2]
    assert not torch.equal(starts, ends)
    for row in range(3):
        condition = torch.full((9,), row)
        codes = line(*(model.encode(end[row : row + 1], condition[:1]) for end in (starts, ends)))[0]
        torch.testing.assert_close(decoded[row], model.decode(codes, condition))


def test_between_attributes_it_goes_straight(monkeypatch):
    data, model, seen = Data(attributes=4), Linear(condition_size=4), []
    monkeypatch.setattr(autoencoder_pictures, "between_originals", lambda *given: seen.append(given))
    InterpolationPainter(model, data).paint(model)
    ((starts, decoded, ends, captions, _),) = seen
    samples, attributes = data.splits["test"]
    assert captions is None and torch.equal(starts, samples[0:12:2]) and torch.equal(ends, samples[1:12:2])
    conditions = line(attributes[0:12:2], attributes[1:12:2])
    codes = line(model.encode(starts, attributes[0:12:2]), model.encode(ends, attributes[1:12:2]))
    expected = model.decode(codes.flatten(0, 1), conditions.flatten(0, 1)).unflatten(0, (6, 9))
    torch.testing.assert_close(decoded, expected)


@pytest.mark.parametrize(("count", "condition_size", "rows"), [(1, 0, 0), (5, 0, 2), (1, 3, 0)])
def test_where_there_are_no_two_samples_there_is_no_row(count, condition_size, rows):
    data = Data(num_classes=3 if condition_size else 0, test=count)
    assert InterpolationPainter(Linear(condition_size=condition_size), data).rows == rows


def test_the_global_random_state_is_not_drawn_from():
    data, points = Data(num_classes=3), Data((2,))
    model, of_points = Linear(), Linear((2,), 2)
    model.corrupts = True
    state = torch.get_rng_state()
    for painter in (
        ReconstructionPainter(model, data, 0),
        CodePainter(model, data, 9),
        InterpolationPainter(model, data),
    ):
        painter.paint(model)
    PointReconstructionPainter(of_points, points, 20, 0).paint(of_points)
    assert torch.equal(state, torch.get_rng_state())
