"""Euclidean distances between many rows, a block at a time, in float64."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ganlab.metrics.rows import mean_of

ROUND_OFF = 1e-13
"""Share of |x|² + |y|² that rounding can make of a squared distance; at 2,048 dimensions about 1e-15 is seen."""


class Distances:
    """Squared distances |x|² + |y|² - 2 x·y of rows about the reference's mean, `chunk` by `chunk` at a time.

    About the mean, as far from zero the difference would cancel. What is not told from rounding is zero, so that
    a copy is a copy: at a distance of exactly 0, wherever it lies.
    """

    def __init__(self, reference: Tensor, chunk: int) -> None:
        self.centre = mean_of(reference)
        self.chunk = chunk

    def blocks(self, rows: Tensor, columns: Tensor) -> Iterator[tuple[slice, slice, Tensor]]:
        """Which rows, which columns, and their squared distances [rows, columns], block by block."""
        for these in self._slices(len(rows)):
            for those in self._slices(len(columns)):
                yield these, those, self._squared(rows[these], columns[those])

    def within(self, rows: Tensor, neighbours: int) -> Tensor:
        """Squared distances [n, neighbours], ascending, of each row [n, d] to the nearest of all other rows."""
        nearest = self._full(len(rows), neighbours)
        for these, those, squared in self.blocks(rows, rows):
            if these == those:
                squared.fill_diagonal_(torch.inf)
            candidates = torch.cat([nearest[these], squared], dim=1)
            nearest[these] = candidates.topk(neighbours, largest=False).values
        return nearest

    def between(self, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Squared distances [n] of rows to the nearest column and that column's number [n]; of columns [m] to rows."""
        of_rows, of_columns = self._full(len(rows)), self._full(len(columns))
        which = torch.zeros(len(rows), dtype=torch.int64, device=rows.device)
        for these, those, squared in self.blocks(rows, columns):
            least, index = squared.min(dim=1)
            which[these] = torch.where(least < of_rows[these], index + those.start, which[these])
            of_rows[these] = torch.minimum(of_rows[these], least)
            of_columns[those] = torch.minimum(of_columns[those], squared.amin(dim=0))
        return of_rows, which, of_columns

    def open_balls(self, centres: Tensor, squared: Tensor) -> Tensor:
        """Squared radii [n] about centres [n, d], less what rounding can do: what lies on the rim stays outside.

        Else chance would decide where that happens for sure: a copy of the k-th neighbour. A row y on the rim has
        |y|² ≤ 2|x|² + 2r².
        """
        norms = torch.cat([self._about_mean(part).square().sum(dim=1) for part in centres.split(self.chunk)])
        return squared - ROUND_OFF * (3 * norms + 2 * squared)

    def _squared(self, rows: Tensor, columns: Tensor) -> Tensor:
        rows, columns = self._about_mean(rows), self._about_mean(columns)
        norms = rows.square().sum(dim=1, keepdim=True) + columns.square().sum(dim=1)
        squared = torch.addmm(norms, rows, columns.T, alpha=-2)
        return squared.masked_fill_(squared <= ROUND_OFF * norms, 0)

    def _about_mean(self, rows: Tensor) -> Tensor:
        return rows.double() - self.centre

    def _full(self, *shape: int) -> Tensor:
        return torch.full(shape, torch.inf, dtype=torch.float64, device=self.centre.device)

    def _slices(self, count: int) -> list[slice]:
        return [slice(start, min(start + self.chunk, count)) for start in range(0, count, self.chunk)]
