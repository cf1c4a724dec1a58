"""Fréchet distance between Gaussians fitted to features: FID, when the features are Inception's."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from ganlab.metrics.rows import CHUNK, mean_of, verified_features

ROUND_OFF = 1e-9
"""Share of the total variance under which a negative distance is rounding, and zero."""


@dataclass(frozen=True, eq=False)
class GaussianStatistics:
    """Moments of features, float64, and what a distance to them needs of their covariance.

    `mean` [d]. `covariance` [d, d], unbiased. `factor` [d, rank] with factor @ factor.T the covariance; its
    columns are orthogonal and shrink from left to right. `count`: the samples behind them.
    """

    mean: Tensor
    covariance: Tensor
    factor: Tensor
    count: int

    @classmethod
    def of(cls, features: Tensor) -> "GaussianStatistics":
        """Of features [n, d], n at least 2, of any precision."""
        features = verified_features(features)
        if len(features) < 2:
            raise ValueError(f"a covariance needs at least 2 samples, there are {len(features)}")
        mean = mean_of(features)
        outer = torch.zeros_like(mean).diag()
        for part in features.split(CHUNK):
            centred = part.double() - mean
            outer += centred.T @ centred
        return cls.of_moments(mean, outer / (len(features) - 1), len(features))

    @classmethod
    def of_moments(cls, mean: Tensor, covariance: Tensor, count: int) -> "GaussianStatistics":
        """Of a mean [d] and an unbiased covariance [d, d] of `count` samples, float64."""
        if not (mean.isfinite().all() and covariance.isfinite().all()):
            raise ValueError("features of the reference are not finite")
        values, vectors = torch.linalg.eigh(covariance)
        values, vectors = values.flip(0), vectors.flip(1)
        rank = int((values > values[0] * len(values) * torch.finfo(values.dtype).eps).sum())
        rank = min(rank, count - 1)
        return cls(mean, covariance, vectors[:, :rank] * values[:rank].sqrt(), count)


def frechet_distance(reference: GaussianStatistics, shift: Tensor, covariance: Tensor, count: int) -> Tensor:
    """|shift|² + tr(S1 + S2 - 2 (S1 S2)^½), a float64 scalar (Dowson & Landau 1982; Heusel et al. 2017, equation 6).

    `shift` [d]: the other mean less the reference's. `covariance` [d, d]: the other one, S2, of `count` samples.
    NaN if they aren't finite.

    The eigenvalues of S1 S2 are those of hᵀ S2 h for S1 = h hᵀ, which is symmetric: cheaper, real, and exact to
    the last digits because h's columns shrink (graded matrices keep their small eigenvalues). Of few samples
    only as many are non-zero as the ranks allow; the roots of the others' rounding would add up.
    """
    if not covariance.isfinite().all():
        return torch.full_like(shift.sum(), torch.nan)
    squares = torch.linalg.eigvalsh(reference.factor.T @ covariance @ reference.factor)
    rank = min(count - 1, len(squares))
    overlap = squares[len(squares) - rank :].clamp(min=0).sqrt().sum()
    variance = reference.covariance.trace() + covariance.trace()
    distance = shift.square().sum() + variance - 2 * overlap
    return torch.where(distance > -ROUND_OFF * variance, distance.clamp(min=0), distance)


class FrechetDistance(Metric):
    """Fréchet distance of generated features to reference statistics; 0 is best. Its bias falls with the count.

    The states are sums about the reference's mean: they add over ranks, and nothing cancels where features are
    far from zero.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    count: Tensor
    total: Tensor
    outer: Tensor

    def __init__(self, reference: GaussianStatistics, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reference = reference
        dimension = len(reference.mean)
        self.add_state("count", default=torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("total", default=torch.zeros(dimension, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("outer", default=torch.zeros(dimension, dimension, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, features: Tensor) -> None:
        """Generated features [n, d]."""
        mean = self.reference.mean.to(self.total.device)
        for part in verified_features(features, len(mean)).split(CHUNK):
            centred = part.to(mean) - mean
            self.count += len(centred)
            self.total += centred.sum(dim=0)
            self.outer += centred.T @ centred

    def compute(self) -> Tensor:
        count = int(self.count)
        if count < 2:
            raise ValueError(f"a Fréchet distance needs at least 2 generated samples, there are {count}")
        shift = self.total / count
        covariance = (self.outer - count * shift.outer(shift)) / (count - 1)
        return frechet_distance(self._reference_here(), shift, covariance, count)

    def _reference_here(self) -> GaussianStatistics:
        own, device = self.reference, self.total.device
        return GaussianStatistics(own.mean.to(device), own.covariance.to(device), own.factor.to(device), own.count)
