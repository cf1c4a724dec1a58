"""Pictures of what autoencoders do: reconstructions, filters, and the space of their codes.

The real samples are of the test split (of the training split, if nothing is held out), the same ones each time.
"""

import math
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from ganlab.pictures import (
    between_originals,
    code_plane,
    filter_grid,
    manifold,
    manifold_codes,
    manifold_side,
    manifolds,
    peak_signal_to_noise,
    plane,
    plane_limits,
    reconstruction_rows,
    shown_classes,
    walk_between,
)

LEAST_COLUMNS, BLOCKS = 10, 2
INTERPOLATIONS, STEPS = 6, 9
MOST_VALUES, MOST_SEARCHED = 1 << 24, 5000
"""Of the samples among which those of each class are looked for: values together, and samples."""
CHUNK = 256
"""Samples that are encoded at a time."""


class RealSamples(NamedTuple):
    """Some samples of the data, on the CPU."""

    samples: Tensor
    conditions: Tensor | None
    """Labels or vectors as the data have them, None if the model is unconditional."""
    labels: Tensor | None
    """Class labels, where there are classes."""
    split: str

    def at(self, rows: Tensor) -> "RealSamples":
        conditions, labels = (None if told is None else told[rows] for told in (self.conditions, self.labels))
        return RealSamples(self.samples[rows], conditions, labels, self.split)


def real_samples(model: Any, data: Any, count: int) -> RealSamples:
    """The first samples of the test split; of the training split, if nothing is held out."""
    split = "test"
    examples = data.examples(count, split)
    if not len(examples.samples):
        split = "train"
        examples = data.examples(count, split)
    labels = examples.conditions if data.num_classes else None
    return RealSamples(examples.samples, examples.conditions if model.condition_size else None, labels, split)


def searched(model: Any) -> int:
    """Among how many samples those of each class are looked for."""
    return max(1, min(MOST_SEARCHED, MOST_VALUES // math.prod(model.sample_shape)))


def spread(real: RealSamples, classes: list[int], count: int) -> Tensor:
    """Rows of `count` samples (fewer, if there are fewer): the first of each class, the second of each, …

    Without classes the first samples.
    """
    if real.labels is None:
        return torch.arange(min(count, len(real.samples)))
    members = [(real.labels == index).nonzero().flatten().tolist() for index in classes]
    turns = range(max(map(len, members), default=0))
    in_turn = [rows[turn] for turn in turns for rows in members if turn < len(rows)]
    return torch.tensor(in_turn[:count], dtype=torch.int64)


class ReconstructionPainter:
    """Images of the test split and their reconstructions; if the model corrupts: clean, corrupted, restored.

    Args:
        model: has `reconstruct(samples, condition)`, and `corrupt(samples, generator)` if it `corrupts`.
        seed: of the corruption, which is the same at each painting.
    """

    def __init__(self, model: Any, data: Any, seed: int) -> None:
        classes = shown_classes(data.num_classes)
        columns = max(LEAST_COLUMNS, len(classes))
        real = real_samples(model, data, searched(model))
        rows = spread(real, classes, BLOCKS * columns)
        self.columns = min(columns, len(rows))
        self.real = real.at(rows[: len(rows) // max(1, self.columns) * self.columns])
        self.seed = seed

    def paint(self, model: Any) -> Image.Image:
        samples, conditions = on_device(model, self.real.samples, self.real.conditions)
        if not getattr(model, "corrupts", False):
            restored = model.reconstruct(samples, conditions)
            kinds = [("original", samples), ("reconstruction", restored)]
            told = f"{decibels(restored, samples)} dB"
        else:
            corrupted = model.corrupt(samples, torch.Generator().manual_seed(self.seed))
            restored = model.reconstruct(corrupted, conditions)
            kinds = [("clean", samples), ("corrupted", corrupted), ("restored", restored)]
            told = f"corrupted {decibels(corrupted, samples)} dB, restored {decibels(restored, samples)} dB"
        legend = f"PSNR of these {len(samples)} {self.real.split} images: {told}."
        return reconstruction_rows(kinds, self.columns, legend=[legend])


class PointReconstructionPainter:
    """Points of the test split, each joined to its reconstruction, within limits that the real points set once.

    If the model corrupts, what is given back is the corrupted point. Points of other than two dimensions are drawn by
    their first two coordinates.
    """

    def __init__(self, model: Any, data: Any, count: int, seed: int) -> None:
        self.real = real_samples(model, data, count)
        self.limits = plane_limits(self.real.samples[:, :2])
        self.seed = seed

    def paint(self, model: Any) -> Image.Image:
        samples, conditions = on_device(model, self.real.samples, self.real.conditions)
        corrupts = getattr(model, "corrupts", False)
        inputs = model.corrupt(samples, torch.Generator().manual_seed(self.seed)) if corrupts else samples
        return plane(
            model.reconstruct(inputs, conditions)[:, :2],
            samples[:, :2],
            limits=self.limits,
            made="restored" if corrupts else "reconstructed",
            joined=True,
            title=f"iteration {int(model.iteration):,}",
        )


class FilterPainter:
    """The weights of the first layer, of a model whose `filters()` are images."""

    def paint(self, model: Any) -> Image.Image:
        return filter_grid(model.filters())


class ManifoldPainter:
    """What codes of two numbers decode to at quantiles of their prior; for each condition, where there are some.

    Args:
        model: has `decode(latents, condition)` of latents [n, 2].
        conditions: with their captions and a legend; None for an unconditional model.
    """

    def __init__(self, model: Any, conditions: Tensor | None, captions: list[str], legend: list[str]) -> None:
        self.conditions, self.captions = conditions, captions
        side = manifold_side(max(model.sample_shape[-2:]), 1 if conditions is None else len(conditions))
        self.codes = manifold_codes(side)
        self.legend = [
            *legend,
            f"Decoded codes: the first number grows to the right, the second upwards, both at {side} quantiles of the "
            "normal prior.",
        ]

    def paint(self, model: Any) -> Image.Image:
        if self.conditions is None:
            return manifold(model.decode(self.codes.to(model.device)), self.legend)
        images = []
        for condition in self.conditions.to(model.device):
            asked = condition.expand(len(self.codes), *condition.shape)
            images.append(model.decode(self.codes.to(model.device), asked))
        return manifolds(torch.stack(images), self.captions, self.legend)


class CodePainter:
    """Codes of two numbers of the test split's first samples, coloured by class."""

    def __init__(self, model: Any, data: Any, count: int) -> None:
        self.real = real_samples(model, data, min(count, searched(model)))
        self.class_names = list(data.condition_names) if data.num_classes else []

    def paint(self, model: Any) -> Image.Image:
        codes = encoded(model, self.real)
        return code_plane(
            codes,
            self.real.labels,
            self.class_names,
            title=f"iteration {int(model.iteration):,}",
            note=f"codes of {len(codes):,} {self.real.split} samples",
        )


class InterpolationPainter:
    """Between two images of the test split on the straight line between their codes.

    A conditional model goes between images of one class; between attributes it goes as straight.

    Args:
        model: has `encode(samples, condition)` and `decode(latents, condition)`.
    """

    def __init__(self, model: Any, data: Any) -> None:
        real = real_samples(model, data, searched(model))
        classes = shown_classes(data.num_classes)
        self.row_captions: list[str] | None = None
        if model.condition_size and real.labels is not None:
            pairs = [spread(real, [index], 2) for index in classes]
            pairs = [pair for pair in pairs if len(pair) == 2]
            self.row_captions = [data.condition_names[int(real.labels[pair[0]])] for pair in pairs]
            rows = torch.stack(pairs) if pairs else torch.empty(0, 2, dtype=torch.int64)
        else:
            rows = spread(real, classes, 2 * INTERPOLATIONS)
            rows = rows[: len(rows) // 2 * 2].view(-1, 2)
        self.rows = len(rows)
        self.starts, self.ends = real.at(rows[:, 0]), real.at(rows[:, 1])
        self.legend = [
            "Between the originals: what the straight line from the code of one to that of the other decodes to."
        ]

    def paint(self, model: Any) -> Image.Image:
        codes = walk_between(encoded(model, self.starts), encoded(model, self.ends), STEPS, "uniform")
        conditions = self._conditions()
        asked = None if conditions is None else conditions.flatten(0, 1).to(model.device)
        decoded = model.decode(codes.flatten(0, 1), asked).unflatten(0, codes.shape[:2])
        starts, ends = (real.samples.to(decoded) for real in (self.starts, self.ends))
        return between_originals(starts, decoded, ends, self.row_captions, self.legend)

    def _conditions(self) -> Tensor | None:
        """[rows, steps], or [rows, steps, condition_size]."""
        start, end = self.starts.conditions, self.ends.conditions
        if start is None or end is None:
            return None
        if start.dtype == torch.int64:
            return start[:, None].expand(-1, STEPS)
        return walk_between(start, end, STEPS, "uniform")


def encoded(model: Any, real: RealSamples) -> Tensor:
    """Codes [n, latent_dim] on the model's device, in chunks that need little memory."""
    codes = []
    for rows in torch.arange(len(real.samples)).split(CHUNK):
        part = real.at(rows)
        codes.append(model.encode(*on_device(model, part.samples, part.conditions)))
    return torch.cat(codes)


def on_device(model: Any, samples: Tensor, conditions: Tensor | None) -> tuple[Tensor, Tensor | None]:
    return samples.to(model.device), None if conditions is None else conditions.to(model.device)


def decibels(images: Tensor, originals: Tensor) -> str:
    return f"{peak_signal_to_noise(images, originals):.1f}"
