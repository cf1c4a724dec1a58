"""What a completion is compared with: a hole filled smoothly, with means, or from the nearest training image."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ganlab.metrics.blending import pasted, poisson_blended
from ganlab.metrics.fills import mean_image, mean_of_visible, nearest_by_visible
from ganlab.tasks.rows import Rows

AT_A_TIME = 1024


@dataclass(frozen=True)
class Originals:
    """Images to complete, [n, channels, height, width] in [-1, 1] on the CPU, and what is known of them.

    `conditions` [n] or [n, k], or None; `names`: of their classes or files, or none; `where` they come from; `rows` of
    the training split, if they are from there.
    """

    images: Tensor
    conditions: Tensor | None
    names: list[str]
    where: str
    rows: Tensor | None

    @property
    def labels(self) -> Tensor | None:
        known = self.conditions
        return known if known is not None and known.ndim == 1 else None


@dataclass(frozen=True)
class Fills:
    """Filled images by the name of what filled them; `training`: how many training images were at hand."""

    images: dict[str, Tensor]
    training: int

    @property
    def mean(self) -> Tensor:
        """By the mean training image, or without one by the mean of the visible pixels."""
        return self.images.get(MEAN, self.images[VISIBLE])


MEAN, VISIBLE = "mean training image", "mean of the visible pixels"
SMOOTH = "smooth, from the rim"
NEAREST, OF_CLASS = "nearest training image", "nearest of its class"


def fills_of(data: object | None, originals: Originals, hidden: Tensor) -> Fills:
    """All fillings that can be had, without data those of the visible pixels; the hidden part is not looked at."""
    given = torch.where(hidden, 0.0, originals.images)

    def filled(by: Tensor) -> Tensor:
        return pasted(by.expand_as(given), given, hidden)

    smooth = poisson_blended(torch.zeros_like(given), given, hidden)
    alone = {SMOOTH: smooth, VISIBLE: filled(mean_of_visible(given, hidden))}
    if data is None:
        return Fills(alone, 0)
    known = Rows(data, "train")

    def parts() -> Iterator[tuple[Tensor, Tensor | None]]:
        return ((part.samples, part.conditions) for part in known.batches(AT_A_TIME))

    nearest = {NEAREST: nearest_by_visible(given, hidden, parts(), own=originals.rows)}
    if originals.labels is not None and known.labels is not None:
        nearest[OF_CLASS] = nearest_by_visible(given, hidden, parts(), originals.labels, originals.rows)
    # Of a class without another image there is none.
    found = {name: filled(known.at(rows).samples) for name, rows in nearest.items() if (rows >= 0).all()}
    return Fills(found | {MEAN: filled(mean_image(part for part, _ in parts()))} | alone, len(known))
