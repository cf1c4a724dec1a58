"""Principal components: what the best linear code of a length leaves of a sample."""

from collections.abc import Iterable

import torch
from torch import Tensor

from ganlab.config.types import PositiveInt


class PrincipalComponents:
    """Of training samples, their mean taken off; fitted in one pass over chunks [n, …] of them, in double precision.

    `components`: how many are kept; all, where there are fewer.
    """

    def __init__(self, chunks: Iterable[Tensor], components: PositiveInt) -> None:
        count, total, squares = 0, torch.zeros(()), torch.zeros(())
        for chunk in chunks:
            rows = chunk.flatten(1).double().cpu()
            count, total, squares = count + len(rows), total + rows.sum(0), squares + rows.T @ rows
        self.mean = total / count
        _, vectors = torch.linalg.eigh(squares / count - torch.outer(self.mean, self.mean))
        self.directions = vectors.flip(1)[:, :components]
        """[values, components], orthonormal, the largest variance first."""

    def squared_errors(self, samples: Tensor) -> Tensor:
        """The mean squared error a value, [n], of samples [n, …] that are projected on the components."""
        centred = samples.flatten(1).double().cpu() - self.mean
        rest = centred - centred @ self.directions @ self.directions.T
        return rest.square().mean(1)
