"""Kernel distance: squared maximum mean discrepancy under a cubic kernel. KID, when the features are Inception's."""

from typing import Any

import torch
from torch import Tensor

from ganlab.metrics.rows import CHUNK, RowsMetric


class KernelDistance(RowsMetric):
    """Unbiased squared MMD with k(x, y) = (x·y / d + 1)³ over all samples (Bińkowski et al. 2018), and an interval.

    It may be negative: for equal distributions its mean is 0. The interval holds the central `level` of
    `replicates` bootstrap draws of both sets, from a private generator with that seed. It is wider than need be
    where the distributions are equal (the first-order term vanishes there).
    compute() -> {"distance", "low", "high"}.
    """

    higher_is_better = False

    def __init__(
        self,
        reference: Tensor,
        replicates: int = 200,
        level: float = 0.95,
        seed: int = 0,
        chunk: int = CHUNK,
        **kwargs: Any,
    ) -> None:
        super().__init__(reference, chunk=chunk, **kwargs)
        if replicates < 1 or not 0 < level < 1:
            raise ValueError(f"replicates must be positive and 0 < level < 1, not {replicates} and {level}")
        self.replicates, self.level, self.seed = replicates, level, seed
        self._reference_term: Tensor | None = None

    def compute(self) -> dict[str, Tensor]:
        reference, generated = self.gathered()
        generated = _in_order_of_content(generated)
        random = torch.Generator().manual_seed(self.seed)
        of_reference = _draws(len(reference), self.replicates, random).to(reference.device)
        of_generated = _draws(len(generated), self.replicates, random).to(reference.device)
        if self._reference_term is None:
            self._reference_term = mean_within(reference, of_reference, self.chunk)
        values = self._reference_term.to(reference.device) + mean_within(generated, of_generated, self.chunk)
        values = values - 2 * mean_between(reference, of_reference, generated, of_generated, self.chunk)
        tail = (1 - self.level) / 2
        # A replicate that drew one single row has no pair: NaN, and left out. It takes a handful of samples.
        low, high = values[1:].nanquantile(values.new_tensor([tail, 1 - tail]))
        return {"distance": values[0], "low": low, "high": high}


def mean_within(rows: Tensor, weights: Tensor, chunk: int) -> Tensor:
    """Weighted mean of the kernel over pairs of different rows [n, d], for each column of weights [n, columns].

    A row drawn twice makes no pair with itself: k(x, x) is above the mean of other pairs and would bias it.
    """
    total = weights.new_zeros(weights.shape[1])
    starts = range(0, len(rows), chunk)
    for start in starts:
        these = slice(start, start + chunk)
        for other in starts[start // chunk :]:
            those = slice(other, other + chunk)
            kernel = _kernel(rows[these], rows[those])
            if other == start:
                kernel.fill_diagonal_(0)
            sums = (weights[these] * (kernel @ weights[those])).sum(dim=0)
            total += sums if other == start else 2 * sums
    return total / (weights.sum(dim=0).square() - weights.square().sum(dim=0))


def mean_between(rows: Tensor, weights: Tensor, others: Tensor, of_others: Tensor, chunk: int) -> Tensor:
    """Weighted mean of the kernel over pairs of a row [n, d] and another [m, d], for each column of both weights."""
    total = weights.new_zeros(weights.shape[1])
    for part, weight in zip(rows.split(chunk), weights.split(chunk), strict=True):
        for other, of_other in zip(others.split(chunk), of_others.split(chunk), strict=True):
            total += (weight * (_kernel(part, other) @ of_other)).sum(dim=0)
    return total / (weights.sum(dim=0) * of_others.sum(dim=0))


def _kernel(rows: Tensor, columns: Tensor) -> Tensor:
    return (rows.double() @ columns.double().T / rows.shape[1] + 1) ** 3


def _draws(count: int, replicates: int, random: torch.Generator) -> Tensor:
    """Float64 [count, 1 + replicates]: how often each row counts; in the first column once, as it was seen."""
    columns = [torch.ones(count, dtype=torch.float64)]
    for _ in range(replicates):
        drawn = torch.randint(count, (count,), generator=random)
        columns.append(torch.bincount(drawn, minlength=count).double())
    return torch.stack(columns, dim=1)


def _in_order_of_content(rows: Tensor) -> Tensor:
    """Rows in an order that does not tell which rank saw which: the draws are of rows by their number."""
    keys = torch.cat([part.double().sum(dim=1) for part in rows.split(CHUNK)])
    return rows[keys.argsort(stable=True)]
