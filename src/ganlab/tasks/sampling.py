"""Pictures and arrays from a trained model: the part of `python -m ganlab.sample` that needs no command line.

Noise is drawn once, up front, on the CPU: what is written depends on the seed and not on the
size of the chunks or on the device that decodes them.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganlab.callbacks.code_pictures import LevelPainter, TraversalPainter
from ganlab.errors import ConfigError, OutputError
from ganlab.files import write_atomically
from ganlab.pictures import (
    Prior,
    back_and_forth,
    image_grid,
    interpolation_frames,
    interpolation_strip,
    plane,
    plane_limits,
    save_atomically,
    save_gif,
    shown_classes,
    to_pil,
    walk_between,
)

Condition = int | Sequence[int] | Sequence[float] | None

GRID_ROWS = 24
FRAMES_A_STEP = 4
UNCONDITIONAL_WALKS = 6


class SampledModel(Protocol):
    """What sampling asks of a model."""

    iteration: int
    sample_shape: list[int]
    condition_size: int

    def latents(self, count: int, generator: torch.Generator) -> Tensor: ...

    def decode(self, latents: Tensor, condition: Tensor | None = None) -> Tensor: ...


def write_generated(
    model: SampledModel,
    parent: Path,
    *,
    count: int = 64,
    seed: int = 0,
    condition: Condition = None,
    interpolate: int = 0,
    batch: int = 256,
    prior: Prior = "normal",
    num_classes: int | None = None,
    names: Sequence[str] = (),
) -> Path:
    """All that `ganlab.sample` writes, in a fresh folder under `parent` (001, 002, …), which is returned.

    Everything is checked before the folder is made. For the arguments see `write_samples` and
    `write_interpolation`; `interpolate=0` writes no interpolation. Of a model with codes (`traversals`) there
    is traversal.png, of one that makes images coarse to fine (`stages`) levels.png.
    """
    _check_counts(count, batch)
    condition_cycle(model, condition, num_classes)
    if interpolate:
        _check_interpolation(model, interpolate)
    folder = fresh_folder(parent)
    write_samples(model, folder, count, seed, condition, batch=batch, num_classes=num_classes, names=names)
    write_structure(model, folder, seed, condition, num_classes=num_classes, names=names)
    if interpolate:
        write_interpolation(
            model, folder, interpolate, seed, condition, prior=prior, batch=batch, num_classes=num_classes, names=names
        )
    return folder


def write_samples(
    model: SampledModel,
    folder: Path,
    count: int,
    seed: int = 0,
    condition: Condition = None,
    *,
    batch: int = 256,
    num_classes: int | None = None,
    names: Sequence[str] = (),
) -> None:
    """Write `count` samples: samples.npz, and of images grid.png and images/000000.png …, of points points.png.

    samples.npz holds samples (float32; images [n, channels, height, width] in [-1, 1]), latents,
    conditions (where the model has some), seed and iteration; it loads with allow_pickle=False.
    The grid has one column for each condition of the cycle (up to 12, evenly spaced) and 24 rows at most.

    Args:
        condition: None lets a conditional model cycle through its classes, or through its attributes,
            one on at a time; a class (an attribute); classes to cycle through; or one vector of
            `model.condition_size` numbers.
        batch: samples that are decoded at once.
        num_classes: 0 for a model of attribute vectors; None means that every condition is a class.
        names: of the conditions, for the legend.

    Raises:
        ConfigError: count or condition that cannot be.
        OutputError: the folder cannot be written, or holds samples already.
    """
    _check_counts(count, batch)
    cycle = condition_cycle(model, condition, num_classes)
    conditions = None if cycle is None else cycle[torch.arange(count) % len(cycle)]
    _refuse_overwriting(folder, "samples.npz", "images", "grid.png", "points.png")
    latents = model.latents(count, torch.Generator().manual_seed(seed))
    samples = _decoded(model, latents, conditions, batch)
    arrays = {"samples": samples, "latents": latents.cpu()} | ({} if conditions is None else {"conditions": conditions})
    contents: dict[str, Any] = {name: array.numpy() for name, array in arrays.items()}
    contents |= {"seed": np.int64(seed), "iteration": np.int64(model.iteration)}
    if len(model.sample_shape) == 3:
        _write_images(samples, folder / "images")
        save_atomically(_sample_grid(samples, cycle, _captions(cycle, names)), folder / "grid.png")
    elif list(model.sample_shape) == [2]:
        save_atomically(_points(model, samples, conditions, names), folder / "points.png")
    write_atomically(folder / "samples.npz", lambda file: np.savez(file, **contents))


def write_interpolation(
    model: SampledModel,
    folder: Path,
    steps: int,
    seed: int = 0,
    condition: Condition = None,
    *,
    ends: Tensor | None = None,
    prior: Prior = "normal",
    batch: int = 256,
    num_classes: int | None = None,
    names: Sequence[str] = (),
) -> None:
    """Write walks between latents: interpolation.png (`steps` images a row) and interpolation.gif (finer, looping).

    Each row is one walk; a conditional model walks once for each condition of the cycle (12 at most).

    Args:
        ends: latents [2, walks, latent_dim] to walk between; None draws them from the seed.
        prior: "normal" walks on great circles (`ganlab.pictures.walk.slerp`), "uniform" straight.
    """
    _check_interpolation(model, steps)
    _refuse_overwriting(folder, "interpolation.png", "interpolation.gif")
    cycle = condition_cycle(model, condition, num_classes)
    shown = list(range(UNCONDITIONAL_WALKS)) if cycle is None else shown_classes(len(cycle))
    if cycle is not None and len(cycle) == 1:
        shown = [0] * UNCONDITIONAL_WALKS
    if ends is None:
        ends = model.latents(2 * len(shown), torch.Generator().manual_seed(seed)).unflatten(0, (2, -1))
    walks = ends.shape[1]
    shown = [shown[walk % len(shown)] for walk in range(walks)]
    captions = _captions(cycle, names)
    captions = [captions[index] for index in shown] if captions and len(set(shown)) > 1 else []

    latents = walk_between(ends[0], ends[1], (steps - 1) * FRAMES_A_STEP + 1, prior)
    conditions = None if cycle is None else cycle[shown].repeat_interleave(latents.shape[1], dim=0)
    images = _decoded(model, latents.flatten(0, 1), conditions, batch).unflatten(0, (walks, -1))
    save_atomically(interpolation_strip(images[:, ::FRAMES_A_STEP], captions or None), folder / "interpolation.png")
    save_gif(back_and_forth(interpolation_frames(images, captions or None)), folder / "interpolation.gif")


def write_structure(
    model: SampledModel,
    folder: Path,
    seed: int = 0,
    condition: Condition = None,
    *,
    num_classes: int | None = None,
    names: Sequence[str] = (),
) -> None:
    """Write what the model's own structure does, where it offers it: traversal.png and levels.png.

    They are the pictures of training (`ganlab.callbacks.code_pictures`), with the noise of this seed and, of a
    conditional model, the conditions of the cycle (12 at most).
    """
    _refuse_overwriting(folder, "traversal.png", "levels.png")
    cycle = condition_cycle(model, condition, num_classes)
    shown = [] if cycle is None else shown_classes(len(cycle))
    captions = [_captions(cycle, names)[index] for index in shown]
    legend = [f"all: {captions[0].replace('_', ' ')}"] if len(captions) == 1 else []
    asked = (None if cycle is None else cycle[shown], captions, legend)
    if hasattr(model, "traversals"):
        traversal = TraversalPainter(model, torch.Generator().manual_seed(seed), *asked)
        save_atomically(traversal.paint(model), folder / "traversal.png")
    if hasattr(model, "stages") and len(model.sample_shape) == 3:
        levels = LevelPainter(model, torch.Generator().manual_seed(seed), *asked)
        save_atomically(levels.paint(model), folder / "levels.png")


def condition_cycle(model: SampledModel, condition: Condition, num_classes: int | None = None) -> Tensor | None:
    """The conditions that samples cycle through: int64 [k], or float32 [k, condition_size]; None without conditions.

    Raises:
        ConfigError: a condition for a model that has none, a class out of range, a vector of wrong length.
    """
    size = model.condition_size
    if not size:
        if condition is not None:
            raise ConfigError(f"condition={condition}: this model is unconditional; leave condition out")
        return None
    by_attributes = num_classes == 0
    if condition is None:
        return torch.eye(size) if by_attributes else torch.arange(size)
    given = list(condition) if isinstance(condition, Sequence) and not isinstance(condition, str) else [condition]
    if not given or not all(map(_is_number, given)):
        expected = f"a class from 0 to {size - 1}, a list of them, or {size} numbers"
        raise ConfigError(f"condition={condition}: give {expected}")
    is_list = isinstance(condition, Sequence)
    if any(isinstance(value, float) for value in given) or (by_attributes and is_list):
        if len(given) != size:
            raise ConfigError(f"condition={condition}: a vector has {size} numbers for this model, not {len(given)}")
        return torch.tensor([given], dtype=torch.float32)
    for value in given:
        if not 0 <= value < size:
            kind = "attribute" if by_attributes else "class"
            raise ConfigError(f"condition={condition}: there is no {kind} {value}; they go from 0 to {size - 1}")
    classes = torch.tensor(given)
    return torch.eye(size)[classes] if by_attributes else classes


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def fresh_folder(parent: Path, stem: str = "") -> Path:
    """Make and return the next of parent/001, parent/002, … (with a stem: parent/stem_001, …).

    Raises:
        OutputError: it cannot be made.
    """
    prefix = f"{stem}_" if stem else ""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        taken = [entry.name.removeprefix(prefix) for entry in parent.glob(f"{prefix}*")]
        number = 1 + max((int(name) for name in taken if name.isdecimal()), default=0)
        while True:
            folder = parent / f"{prefix}{number:03d}"
            try:
                folder.mkdir()
                return folder
            except FileExistsError:  # another process was faster
                number += 1
    except OSError as error:
        raise OutputError(f"{parent}: no folder can be made there ({error.strerror or error})") from error


def _check_counts(count: int, batch: int) -> None:
    if count < 1:
        raise ConfigError(f"count={count}: ask for at least 1 sample")
    if batch < 1:
        raise ConfigError(f"batch={batch}: at least 1 sample must be decoded at once")


def _check_interpolation(model: SampledModel, steps: int) -> None:
    if steps < 2:
        raise ConfigError(f"interpolate={steps}: a walk has at least 2 steps, its two ends")
    if len(model.sample_shape) != 3:
        raise ConfigError("interpolate: walks are drawn of images, and this model makes points; leave interpolate out")


def _decoded(model: SampledModel, latents: Tensor, conditions: Tensor | None, batch: int) -> Tensor:
    """float32 samples on the CPU."""
    parts = []
    for start in range(0, len(latents), batch):
        chunk = latents[start : start + batch]
        chosen = None if conditions is None else conditions[start : start + batch].to(chunk.device)
        parts.append(model.decode(chunk, chosen).detach().float().cpu())
    return torch.cat(parts)


def _captions(cycle: Tensor | None, names: Sequence[str]) -> list[str]:
    """A name for each condition of the cycle."""
    if cycle is None:
        return []
    if cycle.ndim == 1:
        return [names[index] if index < len(names) else str(index) for index in cycle.tolist()]
    return [", ".join(_names_on(vector, names)) or "none" for vector in cycle]


def _names_on(vector: Tensor, names: Sequence[str]) -> list[str]:
    return [names[index] if index < len(names) else str(index) for index in (vector > 0.5).nonzero().flatten().tolist()]


def _sample_grid(samples: Tensor, cycle: Tensor | None, captions: list[str]) -> Image.Image:
    count = len(samples)
    if cycle is None or len(cycle) == 1:
        columns = min(math.ceil(math.sqrt(count)), GRID_ROWS)
        legend = [caption.replace("_", " ") for caption in captions]
        return image_grid(samples[: columns * GRID_ROWS], columns, legend=[f"all: {legend[0]}"] if legend else [])
    shown = shown_classes(min(len(cycle), count))
    places = [row * len(cycle) + column for row in range(GRID_ROWS) for column in shown]
    chosen = [place for place in places if place < count]
    return image_grid(samples[chosen], len(shown), captions=[captions[index] for index in shown])


def _write_images(samples: Tensor, folder: Path) -> None:
    """000000.png, 000001.png, …; plainly, since thousands of them would wait long for the disk one by one."""
    try:
        folder.mkdir(parents=True)
        for index, image in enumerate(samples):
            to_pil(image).save(folder / f"{index:06d}.png", format="PNG")
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror or error})") from error


def _points(model: SampledModel, samples: Tensor, conditions: Tensor | None, names: Sequence[str]) -> Image.Image:
    classes = conditions if conditions is not None and conditions.ndim == 1 else None
    class_names = [] if classes is None else _captions(torch.arange(model.condition_size), names)
    title = f"{len(samples):,} points at iteration {model.iteration:,}"
    limits = plane_limits(samples)
    return plane(samples, limits=limits, generated_classes=classes, class_names=class_names, title=title)


def _refuse_overwriting(folder: Path, *names: str) -> None:
    for name in names:
        if (folder / name).exists():
            raise OutputError(f"{folder / name} is there already; give another folder")
