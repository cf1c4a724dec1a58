"""Where samples come from: a finite set of rows, or a distribution to draw from without end."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from ganlab.data.batch import Batch
from ganlab.data.hashing import stable_seed


class Source(ABC):
    """Samples of one split."""

    infinite: ClassVar[bool]

    @property
    @abstractmethod
    def sample_shape(self) -> list[int]: ...

    @abstractmethod
    def first(self, count: int) -> Batch:
        """`count` samples that are the same at every call; fewer if there are fewer."""


class FiniteSource(Source):
    """`len(source)` rows that can be gathered in any order."""

    infinite = False
    conditions: Tensor | None
    """Of all rows, in their order."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def gather(self, rows: Tensor) -> Batch:
        """The samples at `rows`, int64 [n] on `index_device`, in that order."""

    def first(self, count: int) -> Batch:
        return self.gather(torch.arange(min(count, len(self)), device=self.index_device))

    def on(self, device: torch.device, mirrored: bool) -> "FiniteSource":
        """The same rows with their batches on `device`; with `mirrored`, row `len(self) + i` is row i flipped
        left to right."""
        if mirrored:
            raise ValueError(f"{type(self).__name__} has no left and right")
        return self

    @property
    def index_device(self) -> torch.device:
        return torch.device("cpu")


class InfiniteSource(Source):
    """A distribution; it holds no random state of its own."""

    infinite = True

    @abstractmethod
    def draw(self, count: int, generator: torch.Generator) -> Batch:
        """`count` independent samples; everything random comes from `generator` (on the CPU)."""

    def first(self, count: int) -> Batch:
        return self.draw(count, torch.Generator().manual_seed(stable_seed("examples")))


class PointSet(FiniteSource):
    """Points [n, dimensions] in memory."""

    def __init__(self, points: Tensor, conditions: Tensor | None) -> None:
        self.points = points
        self.conditions = conditions

    @property
    def sample_shape(self) -> list[int]:
        return list(self.points.shape[1:])

    def __len__(self) -> int:
        return len(self.points)

    def gather(self, rows: Tensor) -> Batch:
        return Batch(self.points.index_select(0, rows), select(self.conditions, rows))


def select(conditions: Tensor | None, rows: Tensor) -> Tensor | None:
    """The conditions of some rows, if there are any."""
    return None if conditions is None else conditions.index_select(0, rows)
