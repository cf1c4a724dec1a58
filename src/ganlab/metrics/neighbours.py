"""Scores by nearest neighbours: precision and recall, density and coverage, copies of the training data."""

from typing import Any

import torch
from torch import Tensor

from ganlab.metrics.distances import Distances
from ganlab.metrics.rows import RowsMetric


class NeighbourMetric(RowsMetric):
    """A score by Euclidean distances; those within the reference [n, d] are computed once, at the first score."""

    def __init__(self, reference: Tensor, neighbours: int = 1, **kwargs: Any) -> None:
        super().__init__(reference, **kwargs)
        self.verify_count(len(reference), neighbours + 1, "reference")
        self.neighbours = neighbours
        self._within_reference: Tensor | None = None

    def within_reference(self, distances: Distances, reference: Tensor) -> Tensor:
        """Squared distances [n, neighbours] of reference rows to the nearest others, ascending."""
        if self._within_reference is None:
            self._within_reference = distances.within(reference, self.neighbours)
        return self._within_reference.to(reference.device)


class ManifoldMetrics(NeighbourMetric):
    """Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020).

    A sample's ball is open and reaches to its k-th nearest neighbour in its own set.
    Precision: share of generated samples in a real sample's ball; recall: share of real samples in a generated
    sample's ball; both with k = `precision_neighbours`, in [0, 1]. Density: mean number of real balls that a
    generated sample is in, over k; above 0, 1 expected for equal distributions. Coverage: share of real balls with
    a generated sample in them, in [0, 1]; both with k = `density_neighbours`.
    compute() -> {"precision", "recall", "density", "coverage"}.
    """

    higher_is_better = True

    def __init__(
        self, reference: Tensor, precision_neighbours: int = 3, density_neighbours: int = 5, **kwargs: Any
    ) -> None:
        if min(precision_neighbours, density_neighbours) < 1:
            raise ValueError("the number of neighbours must be positive")
        super().__init__(reference, max(precision_neighbours, density_neighbours), **kwargs)
        self.precision_neighbours, self.density_neighbours = precision_neighbours, density_neighbours

    def compute(self) -> dict[str, Tensor]:
        reference, generated = self.gathered(self.precision_neighbours + 1)
        distances = Distances(reference, self.chunk)
        radii = self.within_reference(distances, reference)
        real = distances.open_balls(reference, radii[:, self.precision_neighbours - 1])
        dense = distances.open_balls(reference, radii[:, self.density_neighbours - 1])
        radii = distances.within(generated, self.precision_neighbours)
        fake = distances.open_balls(generated, radii[:, -1])

        precise = torch.zeros_like(fake, dtype=torch.bool)
        recalled, covered = torch.zeros_like(real, dtype=torch.bool), torch.zeros_like(real, dtype=torch.bool)
        balls = torch.zeros_like(fake)
        for these, those, squared in distances.blocks(reference, generated):
            precise[those] |= (squared < real[these, None]).any(dim=0)
            recalled[these] |= (squared < fake[those]).any(dim=1)
            inside = squared < dense[these, None]
            covered[these] |= inside.any(dim=1)
            balls[those] += inside.sum(dim=0)
        return {
            "precision": precise.double().mean(),
            "recall": recalled.double().mean(),
            "density": balls.mean() / self.density_neighbours,
            "coverage": covered.double().mean(),
        }


class Authenticity(NeighbourMetric):
    """AuthPct: percentage of generated samples that are no copies of training samples (Alaa et al. 2022).

    A sample is authentic if it is farther from its nearest training sample than that one is from its own nearest
    training sample. 0: all are copies; unseen real samples score about 50, more where training data are sparse.
    """

    higher_is_better = True

    def __init__(self, training: Tensor, **kwargs: Any) -> None:
        super().__init__(training, **kwargs)

    def compute(self) -> Tensor:
        training, generated = self.gathered(1)
        distances = Distances(training, self.chunk)
        gaps = self.within_reference(distances, training)[:, 0]
        nearest, which, _ = distances.between(generated, training)
        return 100 * (nearest > gaps[which]).double().mean()


class NearestNeighbourTest(NeighbourMetric):
    """Leave-one-out 1-nearest-neighbour two-sample test (Lopez-Paz & Oquab 2017; Xu et al. 2018).

    Share of samples whose nearest other sample, of either set, is of their own set. 0.5: not to be told apart; 1:
    apart; below 0.5: the generated samples are copies. At equal distances the other set is nearer, so that copies
    score 0. Both sets must be of one size, or chance would not be 0.5: ValueError.
    compute() -> {"accuracy", "on_reference", "on_generated"}, in [0, 1].
    """

    higher_is_better = None  # neither: 0.5 is best

    def __init__(self, reference: Tensor, **kwargs: Any) -> None:
        super().__init__(reference, **kwargs)

    def compute(self) -> dict[str, Tensor]:
        reference, generated = self.gathered()
        if len(reference) != len(generated):
            raise ValueError(f"the sets must be of one size, not {len(reference)} and {len(generated)} samples")
        distances = Distances(reference, self.chunk)
        to_generated, _, to_reference = distances.between(reference, generated)
        on_reference = (self.within_reference(distances, reference)[:, 0] < to_generated).double().mean()
        on_generated = (distances.within(generated, 1)[:, 0] < to_reference).double().mean()
        return {
            "accuracy": (on_reference + on_generated) / 2,
            "on_reference": on_reference,
            "on_generated": on_generated,
        }
