"""Toy distributions in the plane: drawn without end, with their truth known."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ganlab.config.types import NonNegativeFloat, PositiveFloat, PositiveInt
from ganlab.data.batch import Batch
from ganlab.data.hashing import stable_seed
from ganlab.data.module import LabDataModule
from ganlab.data.source import InfiniteSource, PointSet

Draw = Callable[[int, torch.Generator], tuple[Tensor, Tensor | None]]


class PointDistribution(InfiniteSource):
    """A distribution over the plane, by a function (count, generator) -> (points [count, 2], labels or None)."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw

    @property
    def sample_shape(self) -> list[int]:
        return [2]

    def draw(self, count: int, generator: torch.Generator) -> Batch:
        return Batch(*self._draw(count, generator))


class PointsData(LabDataModule):
    """Points [2]; `test_count` of them are drawn once from a seed of their own, the same in every run."""

    def __init__(self, *, test_count: PositiveInt = 10_000, **common: Any) -> None:
        super().__init__(**common)
        self.test_count = test_count

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Points float32 [count, 2] and their class labels int64 [count], if there are classes."""
        raise NotImplementedError

    def load(self) -> tuple[PointDistribution, PointSet]:
        self.verify_classes(self.class_names())
        generator = torch.Generator().manual_seed(stable_seed("test", self.name))
        return PointDistribution(self.draw), PointSet(*self.draw(self.test_count, generator))

    def class_names(self) -> list[str]:
        return []


class GaussianModes(PointsData):
    """Equally likely round Gaussians; which one a point is from is its class.

    `modes`: their centres, float32 [k, 2]. `std`: their standard deviation along each axis.
    """

    modes: Tensor

    def __init__(self, *, std: NonNegativeFloat, **common: Any) -> None:
        super().__init__(**common)
        self.std = std

    @property
    def mixture(self) -> tuple[Tensor, float] | None:
        return self.modes, self.std

    def class_names(self) -> list[str]:
        return [str(mode) for mode in range(len(self.modes))]

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        labels = torch.randint(len(self.modes), (count,), generator=generator)
        noise = torch.randn(count, 2, generator=generator)
        return self.modes.index_select(0, labels).add_(noise, alpha=self.std), labels if self.num_classes else None


class RingData(GaussianModes):
    """`num_modes` Gaussians at equal distances on a circle."""

    def __init__(self, *, num_modes: PositiveInt = 8, radius: PositiveFloat = 2.0, **common: Any) -> None:
        super().__init__(**common)
        # arange, not linspace: with both ends included the first and the last mode would be one.
        angles = torch.arange(num_modes, dtype=torch.float64) * (2 * math.pi / num_modes)
        self.modes = radius * torch.stack([angles.cos(), angles.sin()], dim=1).float()


class GridData(GaussianModes):
    """`side` x `side` Gaussians, `spacing` apart, centred at the origin; class = row * side + column."""

    def __init__(self, *, side: PositiveInt = 5, spacing: PositiveFloat = 1.0, **common: Any) -> None:
        super().__init__(**common)
        ticks = (torch.arange(side, dtype=torch.float32) - (side - 1) / 2) * spacing
        self.modes = torch.cartesian_prod(ticks, ticks).view(-1, 2).flip(1).contiguous()


class UniformData(PointsData):
    """Uniform on the square [-1, 1] x [-1, 1]."""

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        return torch.rand(count, 2, generator=generator).mul_(2).sub_(1), None


class SwissRollData(PointsData):
    """A spiral of one and a half turns that ends at distance 1 from the origin; `noise` is Gaussian."""

    def __init__(self, *, noise: NonNegativeFloat = 0.02, **common: Any) -> None:
        super().__init__(**common)
        self.noise = noise

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        share = torch.rand(count, generator=generator)
        angle = 1.5 * math.pi * (1 + 2 * share)
        spiral = torch.stack([angle.cos(), angle.sin()], dim=1) * (angle / (4.5 * math.pi)).unsqueeze(1)
        return spiral.add_(torch.randn(count, 2, generator=generator), alpha=self.noise), None
