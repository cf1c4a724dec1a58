"""What metrics over feature vectors share: the check of what comes in, and rows kept until all ranks have theirs."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

CHUNK = 1024
"""Rows at a time wherever rows meet rows, or are widened to float64: it bounds the memory."""


def verified_features(features: Tensor, dimension: int | None = None) -> Tensor:
    """The features, detached. ValueError unless they are floating point [rows, dimension]."""
    if features.ndim != 2 or not features.is_floating_point():
        raise ValueError(
            f"features must be floating point [rows, dimensions], not {features.dtype} {list(features.shape)}"
        )
    if dimension is not None and features.shape[1] != dimension:
        raise ValueError(f"features have {features.shape[1]} dimensions, those of the reference {dimension}")
    return features.detach()


def mean_of(features: Tensor) -> Tensor:
    """Mean over rows, float64 [dimensions], of features [rows, dimensions] of any precision."""
    sums = [part.double().sum(dim=0) for part in features.split(CHUNK)]
    return torch.stack(sums).sum(dim=0) / len(features)


class RowsMetric(Metric):
    """A score that needs all generated rows at once, beside reference features [rows, dimensions].

    Rows are kept in the reference's precision; scores are computed in float64. A rank may have seen no row.
    `chunk`: so many rows meet so many at a time. Raises ValueError on features of another shape.
    """

    is_differentiable = False
    full_state_update = False
    rows: list[Tensor]

    def __init__(self, reference: Tensor, *, chunk: int = CHUNK, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reference = verified_features(reference)
        self.chunk = chunk
        self.verify_count(len(self.reference), 2, "reference")
        self.add_state("rows", default=[], dist_reduce_fx="cat")

    def update(self, features: Tensor) -> None:
        """Generated features [rows, dimensions]."""
        features = verified_features(features, self.reference.shape[1])
        self.rows.append(features.to(device=self.device, dtype=self.reference.dtype))

    def sync(self, *args: Any, **kwargs: Any) -> None:
        if isinstance(self.rows, list) and not self.rows:
            # torchmetrics would gather a vector here and a matrix from the others, and fail.
            self.update(self.reference[:0])
        super().sync(*args, **kwargs)

    def gathered(self, least: int = 2) -> tuple[Tensor, Tensor]:
        """The reference and all generated rows, on one device; ValueError if there are fewer than `least`."""
        generated = dim_zero_cat(self.rows)
        self.verify_count(len(generated), least, "generated")
        return self.reference.to(generated.device), generated

    def verify_count(self, count: int, least: int, which: str) -> None:
        if count < least:
            raise ValueError(f"{type(self).__name__} needs at least {least} {which} samples, there are {count}")
