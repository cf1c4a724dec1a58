"""Pictures of what a model's own structure does: its codes, and the levels of its images.

For models that offer `traversals` or `stages`; the same painters serve training and `ganlab.sample`.
"""

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ganlab.pictures import (
    CodeValues,
    Limits,
    Traversal,
    code_values,
    level_columns,
    plane_limits,
    shown_classes,
    traversal_block,
    traversal_panels,
    traversal_rows,
)

STEPS = 9
"""Values of a continuous code: steps of a quarter on [-1, 1], of three quarters on [-3, 3]."""
MOST_NOISES, MOST_ROWS = 3, 12
"""Rows of images a code, and of all codes together; of more codes those are shown that do most."""
POINT_NOISES = 100
LEVEL_NOISES, LEVEL_COLUMNS = 3, 10
ROWS_OF_A_CODE = "Each row is one draw of all latents; along it only what is named above changes."
ROW_A_CODE = "All rows are one draw of all latents; along each only what is named beside it changes."


class TraversalPainter:
    """One code after the other along its values: rows of images, or panels of points in the plane.

    Args:
        model: has `traversals(steps, generator)`: for each code its name and latents
            [values, latent_dim] in which nothing else changes. A continuous code takes `steps` values, a
            categorical one each of its own (12 of them are shown). Each call draws another noise. Of more
            codes than 12 those are shown along which the samples change most.
        generator: of the noises, on the CPU.
        conditions: of the noises in turn, with their captions and a legend; None for an unconditional model.
        real: points [n, 2 or more] below the generated ones, which set the limits of the plane.
    """

    def __init__(
        self,
        model: Any,
        generator: torch.Generator,
        conditions: Tensor | None = None,
        captions: Sequence[str] = (),
        legend: Sequence[str] = (),
        real: Tensor | None = None,
    ) -> None:
        self.of_images = len(model.sample_shape) == 3
        draws = [model.traversals(STEPS, generator)]
        noises = max(1, min(MOST_NOISES, MOST_ROWS // len(draws[0]))) if self.of_images else POINT_NOISES
        draws += [model.traversals(STEPS, generator) for _ in range(noises - 1)]
        self.codes: list[tuple[str, CodeValues, Tensor]] = []
        for code, (name, latents) in enumerate(draws[0]):
            shown = shown_classes(len(latents))
            rows = torch.stack([draw[code][1] for draw in draws])
            self.codes.append((name, code_values(latents).at(shown), rows[:, shown]))
        self.one_block = noises == 1 and all(values == self.codes[0][1] for _, values, _ in self.codes)
        self.conditions, self.row_captions = None, None
        if self.one_block and len(captions) > 1:
            legend = [f"all: {captions[0]}".replace("_", " "), *legend]
        self.legend = [*legend, ROW_A_CODE if self.one_block else ROWS_OF_A_CODE]
        if len(self.codes) > MOST_ROWS:
            self.legend.append(f"Shown are the {MOST_ROWS} of {len(self.codes)} that change the image most.")
        if conditions is not None:
            turn = torch.arange(noises) % len(conditions)
            self.conditions = conditions[turn]
            self.row_captions = [captions[index] for index in turn.tolist()]
        self.real = None if real is None else real[:, :2]
        self.limits: Limits | None = None if real is None else plane_limits(real[:, :2])

    def paint(self, model: Any) -> Image.Image:
        traversals = [
            Traversal(name, values, self._decoded(model, latents)) for name, values, latents in self._shown(model)
        ]
        if self.of_images and self.one_block:
            return traversal_block(traversals, self.legend)
        if self.of_images:
            return traversal_rows(traversals, self.row_captions, self.legend)
        flat = [traversal._replace(samples=traversal.samples[..., :2]) for traversal in traversals]
        title = f"iteration {int(model.iteration):,}"
        return traversal_panels(flat, self.real, limits=self.limits, title=title)

    def _shown(self, model: Any) -> list[tuple[str, CodeValues, Tensor]]:
        """All codes, or those along which the samples have the largest variance, in the order of the codes."""
        if len(self.codes) <= MOST_ROWS:
            return self.codes
        changes = torch.stack([self._decoded(model, latents).float().var(1).mean() for _, _, latents in self.codes])
        most = changes.nan_to_num(0.0).argsort(descending=True, stable=True)[:MOST_ROWS].sort().values
        return [self.codes[code] for code in most.tolist()]

    def _decoded(self, model: Any, latents: Tensor) -> Tensor:
        """[noises, steps, *sample_shape]."""
        conditions = self.conditions
        if conditions is not None:
            conditions = conditions.repeat_interleave(latents.shape[1], dim=0).to(latents.device)
        return model.decode(latents.flatten(0, 1), conditions).unflatten(0, latents.shape[:2])


class LevelPainter:
    """Images at each level of a model that makes them coarse to fine, the levels of a sample one below the other.

    Several conditions: one column each, the same noise all along; otherwise each column has its own.

    Args:
        model: has `stages(latents, condition)`: images [n, channels, height, width] of each level, coarsest
            first, the last being `decode(latents, condition)`.
        generator: of the noise, on the CPU.
        conditions: of the columns, with their captions and a legend; None for an unconditional model.
    """

    def __init__(
        self,
        model: Any,
        generator: torch.Generator,
        conditions: Tensor | None = None,
        captions: Sequence[str] = (),
        legend: Sequence[str] = (),
    ) -> None:
        self.conditions, self.captions, self.legend = None, None, list(legend)
        if conditions is None or len(conditions) == 1:
            self.columns = LEVEL_COLUMNS
            self.latents = model.latents(LEVEL_NOISES * self.columns, generator)
        else:
            self.columns, self.captions = len(conditions), list(captions)
            self.latents = model.latents(LEVEL_NOISES, generator).repeat_interleave(self.columns, dim=0)
        if conditions is not None:
            turn = torch.arange(len(self.latents)) % len(conditions)
            self.conditions = conditions[turn].to(self.latents.device)

    def paint(self, model: Any) -> Image.Image:
        levels = model.stages(self.latents, self.conditions)
        return level_columns([level.unflatten(0, (-1, self.columns)) for level in levels], self.captions, self.legend)
