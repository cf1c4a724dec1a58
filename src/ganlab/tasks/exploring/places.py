"""What can be asked to be seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

Kind = Literal["principal", "own"]
Chosen = int | Sequence[int] | None
"""A class; the attributes that are on; None for an unconditional model."""


@dataclass(frozen=True)
class Place:
    """What is asked to be seen: a start, and what was done to it.

    The start is the latent of a seed or, with `row`, the code of that test sample. `coordinates` along the axes of a
    kind, and the `codes`, are those of the start where they are None. A code is a class (from 0) or a number.
    """

    seed: int = 0
    row: int | None = None
    kind: Kind = "principal"
    coordinates: tuple[float, ...] | None = None
    codes: tuple[float, ...] | None = None
    condition: Chosen = None


@dataclass(frozen=True)
class CodeControl:
    """A code among the latents, from dimension `start` on: one of `size` classes, or one number on [-1, 1]."""

    name: str
    start: int
    size: int

    @property
    def categorical(self) -> bool:
        return self.size > 1


class End(NamedTuple):
    """An end of a walk: a latent [d], and its condition [c] where there is one."""

    latent: Tensor
    condition: Tensor | None


def code_controls(model: Any) -> list[CodeControl]:
    """The codes of a model that has some (`codes`, and `parts_of_latents`: the noise's length, then each code's)."""
    if not hasattr(model, "codes"):
        return []
    starts = torch.tensor(model.parts_of_latents).cumsum(0).tolist()
    return [
        CodeControl(f"code {number}", start, code.size)
        for number, (code, start) in enumerate(zip(model.codes, starts[:-1], strict=True), start=1)
    ]
