"""The training samples nearest to a picture: is it new, or a copy?"""

from typing import NamedTuple

import torch
from torch import Tensor

from ganlab.pictures import to_bytes
from ganlab.tasks.rows import Rows

MOST_ROWS, MOST_VALUES = 10_000, 1 << 27
"""Training samples that are looked through at most, and values (bytes of images) that they may have together."""
CHUNK = 1 << 22


class Neighbour(NamedTuple):
    """A training sample: its number, itself, its class (empty: none is known), and how far away it is."""

    row: int
    sample: Tensor
    name: str
    distance: float


class Nearest:
    """Brute force over the first training samples of a run.

    A distance between images is the root of the mean square difference of their bytes, as a share of the range from
    black to white: 0 for a copy, 1 for black against white. Between points it is Euclidean.
    """

    def __init__(self, train: Rows, names: list[str]) -> None:
        values = train.at(torch.tensor([0])).samples[0].numel()
        self.count = max(1, min(len(train), MOST_ROWS, MOST_VALUES // values))
        self.of_all = self.count == len(train) and not train.source.infinite
        self.train, self.names = train, names
        parts = torch.arange(self.count).split(max(1, CHUNK // values))
        self.known = torch.cat([_compared(train.at(rows).samples) for rows in parts])
        self.chunk = max(1, CHUNK // values)

    def find(self, sample: Tensor, count: int) -> list[Neighbour]:
        """The nearest ones of a sample [*sample_shape] (images in [-1, 1]), the nearest first."""
        asked = _compared(sample[None]).float()
        squares = torch.cat([(part.float() - asked).square().sum(1) for part in self.known.split(self.chunk)])
        # Of equals the first: topk makes no promise.
        nearest = squares.argsort(stable=True)[:count]
        return [self._neighbour(row, float(squares[row])) for row in nearest.tolist()]

    def _neighbour(self, row: int, squared: float) -> Neighbour:
        sample = self.train.at(torch.tensor([row])).samples[0]
        labels = self.train.labels
        name = "" if labels is None or not self.names else self.names[int(labels[row])]
        distance = (squared / self.known.shape[1]) ** 0.5 / 255 if sample.ndim == 3 else squared**0.5
        return Neighbour(row, sample, name, distance)


def _compared(samples: Tensor) -> Tensor:
    """[n, values]: images as the bytes that are shown, points as they are."""
    return (to_bytes(samples) if samples.ndim == 4 else samples).flatten(1)
