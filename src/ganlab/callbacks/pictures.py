"""Pictures of a run as it goes: the same noise and samples each time, so that one sees what training does to them."""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from PIL import Image
from torch import Tensor

from ganlab.callbacks.autoencoder_pictures import (
    CodePainter,
    FilterPainter,
    InterpolationPainter,
    ManifoldPainter,
    PointReconstructionPainter,
    ReconstructionPainter,
)
from ganlab.callbacks.code_pictures import LevelPainter, TraversalPainter
from ganlab.callbacks.missed import Missed
from ganlab.config.types import NonNegativeInt, PositiveInt
from ganlab.errors import OutputError
from ganlab.pictures import (
    FieldKind,
    class_columns,
    image_grid,
    plane,
    plane_lattice,
    plane_limits,
    save_atomically,
    shown_classes,
)

log = logging.getLogger(__name__)

ATTRIBUTE_COLUMNS = 8
FIELD_RESOLUTION = 96
FIELD_CHUNK = 1 << 14
SAMPLES = "samples"


class SamplePictures(Callback):
    """Writes pictures into the run's samples folder, and to TensorBoard at the same step.

    They are drawn at the start, at every multiple of `every` iterations and at the end.

    `iteration_000500.png` (in TensorBoard `samples`), if the model generates. The noise comes once from a private
    generator. Images of a class-conditional model: one column a class; conditioned on attributes: one column for
    each of the first real examples, with its attributes named below. Points in the plane: real and generated ones
    on the discriminator's field.

    `KIND_iteration_000500.png`, by what a model offers:
    - `traversal` (`traversals`): what each code does; `levels` (`stages`): images coarse to fine.
    - `reconstructions` (it `reconstructs`): real images above what is made of them, with what the encoder saw in
      between if it `corrupts`; points, each joined to its reconstruction.
    - `filters` (`filters()`), of images: the first layer's weights.
    - `interpolations` (it `encodes` and decodes), of images: between the codes of two of them.
    - `codes` (it `encodes` into two numbers): where real samples lie; `manifold` (and `generates`), of images: what
      the plane of codes decodes to.

    Training is the same, bit for bit, with and without this callback.

    Args:
        folder: the run's samples folder; made when the first picture is written.
        every: iterations between pictures.
        rows: rows of images; without conditions there are as many columns.
        count: how many images instead (with conditions: rounded down to whole rows, at least one).
        points: points on a picture of the plane, real and generated each; codes on that of their plane.
        seed: of the noise, and of a corruption's.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        every: PositiveInt,
        rows: PositiveInt = 8,
        count: PositiveInt | None = None,
        points: PositiveInt = 1000,
        seed: NonNegativeInt = 0,
    ) -> None:
        self.folder = Path(folder)
        self.every = every
        self.rows = rows
        self.count = count
        self.points = points
        self.seed = seed
        self._painters: list[tuple[str, Painter]] = []
        self._drawn: int | None = None
        self._missed = Missed("pictures", "training goes on, and tries again with the next one", log)

    def path(self, iteration: int, kind: str = SAMPLES) -> Path:
        name = f"iteration_{iteration:06d}.png"
        return self.folder / (name if kind == SAMPLES else f"{kind}_{name}")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        iteration = int(pl_module.iteration)  # type: ignore[arg-type]
        self._painters, self._drawn = [], None
        if iteration > 0 and trainer.is_global_zero and self._all_there(trainer, pl_module, iteration):
            self._drawn = iteration
        if iteration % self.every == 0:
            self._draw(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if pl_module.iteration % self.every == 0:  # type: ignore[operator]
            self._draw(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._draw(trainer, pl_module)
        self._missed.sum_up()

    def _draw(self, trainer: Trainer, model: Any) -> None:
        iteration = int(model.iteration)
        if not trainer.is_global_zero or iteration == self._drawn:
            return
        self._drawn = iteration
        with _random_state_kept(model):
            pictures = [(kind, painter.paint(model)) for kind, painter in self._chosen(trainer, model)]
        for kind, picture in pictures:
            self._save(picture, self.path(iteration, kind))
            for logger in trainer.loggers:
                add_image = getattr(getattr(logger, "experiment", None), "add_image", None)
                if add_image is not None:
                    add_image(kind, np.asarray(picture), iteration, dataformats="HWC")

    def _save(self, picture: Image.Image, path: Path) -> None:
        try:
            save_atomically(picture, path)
        except OutputError as error:
            self._missed.tell(str(error))

    def _all_there(self, trainer: Trainer, model: Any, iteration: int) -> bool:
        """Whether the pictures of an iteration were drawn before: the last one is the sign that all are there."""
        with _random_state_kept(model):
            painters = self._chosen(trainer, model)
        return bool(painters) and self.path(iteration, painters[-1][0]).exists()

    def _chosen(self, trainer: Trainer, model: Any) -> "list[tuple[str, Painter]]":
        self._painters = self._painters or self._choose_painters(model, trainer.datamodule)  # type: ignore[attr-defined]
        return self._painters

    def _choose_painters(self, model: Any, data: Any) -> "list[tuple[str, Painter]]":
        """By kind, in the order in which the pictures are written."""
        of_images = len(model.sample_shape) == 3
        painters = self._of_images(model, data) if of_images else self._of_points(model, data)
        if getattr(model, "encodes", False) and model.latent_dim == 2:
            painters.append(("codes", CodePainter(model, data, self.points)))
        if getattr(model, "generates", False):
            samples: Painter
            if of_images:
                samples = ImagePainter(model, data, self.rows, self.count, self._noise())
            else:
                samples = PlanePainter(model, data, self.points, self._noise())
            painters.append((SAMPLES, samples))
        return painters

    def _of_images(self, model: Any, data: Any) -> "list[tuple[str, Painter]]":
        """All but samples and codes."""
        encodes, reconstructs = (getattr(model, ability, False) for ability in ("encodes", "reconstructs"))
        painters: list[tuple[str, Painter]] = []
        if hasattr(model, "traversals"):
            painters.append(("traversal", TraversalPainter(model, self._noise(), *_columns(model, data))))
        if hasattr(model, "stages"):
            painters.append(("levels", LevelPainter(model, self._noise(), *_columns(model, data))))
        if encodes and getattr(model, "generates", False) and model.latent_dim == 2:
            painters.append(("manifold", ManifoldPainter(model, *_columns(model, data))))
        if encodes and reconstructs:
            between = InterpolationPainter(model, data)
            painters += [("interpolations", between)] if between.rows else []
        if callable(getattr(model, "filters", None)) and model.filters() is not None:
            painters.append(("filters", FilterPainter()))
        if reconstructs:
            painters.append(("reconstructions", ReconstructionPainter(model, data, self.seed)))
        return painters

    def _of_points(self, model: Any, data: Any) -> "list[tuple[str, Painter]]":
        """All but samples and codes."""
        painters: list[tuple[str, Painter]] = []
        if hasattr(model, "traversals"):
            real = data.examples(self.points).samples
            painters.append(("traversal", TraversalPainter(model, self._noise(), *_columns(model, data), real)))
        if getattr(model, "reconstructs", False):
            painters.append(("reconstructions", PointReconstructionPainter(model, data, self.points, self.seed)))
        return painters

    def _noise(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed)


class Painter(Protocol):
    """Holds what stays the same over a run: noise, conditions, captions, limits."""

    def paint(self, model: Any) -> Image.Image: ...


class ImagePainter:
    """Rows of images; where there are conditions, one column each and the same noise all along a row."""

    def __init__(self, model: Any, data: Any, rows: int, count: int | None, generator: torch.Generator) -> None:
        self.conditions, self.captions, self.legend = _columns(model, data)
        if self.conditions is None:
            count = count or rows * rows
            self.columns = math.ceil(math.sqrt(count))
            self.latents = model.latents(count, generator)
            return
        self.columns = len(self.conditions)
        rows = max(1, count // self.columns) if count else rows
        self.latents = model.latents(rows, generator).repeat_interleave(self.columns, dim=0)
        repeats = (rows,) + (1,) * (self.conditions.ndim - 1)
        self.conditions = self.conditions.repeat(repeats).to(self.latents.device)

    def paint(self, model: Any) -> Image.Image:
        images = model.decode(self.latents, self.conditions)
        if self.conditions is None:
            return image_grid(images, self.columns)
        return class_columns(images.unflatten(0, (-1, self.columns)), self.captions, self.legend)


class PlanePainter:
    """Real and generated points on the discriminator's field, within limits that the real points set once.

    A conditional discriminator is shown by the highest of its answers over the conditions. Points of
    other than two dimensions are drawn by their first two coordinates, without a field.
    """

    def __init__(self, model: Any, data: Any, count: int, generator: torch.Generator) -> None:
        self.latents = model.latents(count, generator)
        examples = data.examples(count)
        self.real = examples.samples[:, :2]
        self.limits = plane_limits(self.real)
        self.class_names: list[str] = []
        self.conditions: Tensor | None = None
        self.real_classes = self.generated_classes = None
        if model.condition_size and data.num_classes:
            self.class_names, self.real_classes = list(data.condition_names), examples.conditions
            self.conditions = torch.arange(data.num_classes)
            self.generated_classes = torch.arange(count) % data.num_classes
        elif model.condition_size:
            self.conditions = examples.conditions[:ATTRIBUTE_COLUMNS]

    def paint(self, model: Any) -> Image.Image:
        conditions = None
        if self.conditions is not None:
            conditions = self.conditions[torch.arange(len(self.latents)) % len(self.conditions)].to(self.latents.device)
        kind: FieldKind = "probability" if getattr(model, "score_is_logit", True) else "raw"
        absolute = getattr(model, "relativistic", "none") == "none"
        who = "critic" if absolute and getattr(model, "threshold", None) is None else "discriminator"
        label = "discriminator: probability of real" if kind == "probability" else f"{who}'s score"
        return plane(
            model.decode(self.latents, conditions)[:, :2],
            self.real,
            limits=self.limits,
            field=self._field(model, kind),
            field_kind=kind,
            field_label=f"{label}, highest over conditions" if self.conditions is not None else label,
            generated_classes=self.generated_classes,
            real_classes=self.real_classes,
            class_names=self.class_names,
            title=f"iteration {int(model.iteration):,}",
        )

    def _field(self, model: Any, kind: FieldKind) -> Tensor | None:
        if list(model.sample_shape) != [2] or not hasattr(model, "score"):
            return None
        if getattr(model, "scores_depend_on_batch", False):
            return None  # a lattice of places is no batch of samples
        places = plane_lattice(self.limits, FIELD_RESOLUTION).to(self.latents.device)
        asked = [None] if self.conditions is None else list(self.conditions.to(self.latents.device))
        highest = torch.stack([_scores(model, places, condition) for condition in asked]).amax(0)
        field = highest.unflatten(0, (FIELD_RESOLUTION, FIELD_RESOLUTION)).float()
        return field.sigmoid() if kind == "probability" else field


def _columns(model: Any, data: Any) -> tuple[Tensor | None, list[str], list[str]]:
    """The condition of each column, its caption, and the legend below."""
    if not model.condition_size:
        return None, [], []
    if data.num_classes:
        shown = shown_classes(data.num_classes)
        return torch.tensor(shown), [data.condition_names[index] for index in shown], []
    vectors = data.examples(ATTRIBUTE_COLUMNS).conditions
    numbers = [str(number + 1) for number in range(len(vectors))]
    return vectors, numbers, [f"{number}: {_named(row, data)}" for number, row in zip(numbers, vectors, strict=True)]


def _named(attributes: Tensor, data: Any) -> str:
    on = [name.replace("_", " ") for name, value in zip(data.condition_names, attributes, strict=True) if value > 0.5]
    return ", ".join(on) or "none of the attributes"


def _scores(model: Any, places: Tensor, condition: Tensor | None) -> Tensor:
    """The raw score [n] of each place under one condition, in chunks that need little memory."""
    scores = []
    for chunk in places.split(FIELD_CHUNK):
        repeated = None if condition is None else condition.expand(len(chunk), *condition.shape)
        scores.append(model.score(chunk, repeated))
    return torch.cat(scores)


@contextmanager
def _random_state_kept(model: Any) -> Iterator[None]:
    """Whatever a model or data set draws inside, the training's random numbers are those of a run without pictures."""
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield
