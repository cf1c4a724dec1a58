"""Which samples keep their label, for semi-supervised learning: so many of each class, chosen by a seed."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ganlab.data.batch import Batch
from ganlab.data.hashing import stable_seed, stable_share
from ganlab.data.source import FiniteSource, InfiniteSource, PointSet, select
from ganlab.errors import DataError

CHUNK = 1024
"""Samples drawn at once from a distribution."""
PATIENCE = 50
"""Draws for each wanted one, after which a class that has not come up often enough is taken to be absent.
Of equally likely classes one is missed with a probability below 1e-18."""


class SomeRows(FiniteSource):
    """The rows int64 [n] of a finite source, as a source of its own; `mirrored` as that one is."""

    def __init__(self, source: FiniteSource, rows: Tensor, *, mirrored: bool = False) -> None:
        self.source = source
        rows = rows.to(source.index_device)
        self.length = len(rows)
        self.places = torch.cat([rows, rows + len(source)]) if mirrored else rows
        self.conditions = select(source.conditions, rows)

    @property
    def sample_shape(self) -> list[int]:
        return self.source.sample_shape

    @property
    def index_device(self) -> torch.device:
        return self.source.index_device

    def __len__(self) -> int:
        return self.length

    def gather(self, rows: Tensor) -> Batch:
        return self.source.gather(self.places.index_select(0, rows))


def labelled_rows(labels: Tensor, per_class: int, seed: int) -> Tensor:
    """Rows int64 [classes · per_class], in their order, of `labels` int64 [n]; each class has enough.

    The choice is by hash: of one seed, the rows of a smaller `per_class` are among those of a larger one.
    """
    shares = torch.tensor([stable_share(f"labelled/{seed}/{row}") for row in range(len(labels))], dtype=torch.float64)
    chosen = []
    for label in labels.unique():
        rows = (labels == label).nonzero().squeeze(1)
        chosen.append(rows[shares[rows].argsort()[:per_class]])
    return torch.cat(chosen).sort().values


def drawn_with_labels(source: InfiniteSource, per_class: int, names: Sequence[str], seed: int, data: str) -> PointSet:
    """The first `per_class` samples of each class that a distribution gives, by a generator of the seed's own.

    Raises `DataError` for a class that hardly ever comes.
    """
    generator = torch.Generator().manual_seed(stable_seed("labelled set", seed))
    found = torch.zeros(len(names), dtype=torch.int64)
    kept: list[Batch] = []
    drawn = 0
    while int(found.min()) < per_class:
        if drawn > PATIENCE * per_class * len(names) + CHUNK:
            label = int(found.argmin())
            raise DataError(
                f"data.labels_per_class={per_class}: of {drawn:,} samples of data={data} only {found[label]} are of "
                f"class {names[label]}"
            )
        batch = source.draw(CHUNK, generator)
        drawn += CHUNK
        assert batch.conditions is not None
        rows = (found[batch.conditions] + _turns(batch.conditions, len(names)) < per_class).nonzero().squeeze(1)
        kept.append(Batch(batch.samples[rows], batch.conditions[rows]))
        found += torch.bincount(batch.conditions[rows], minlength=len(names))
    labels = [batch.conditions for batch in kept if batch.conditions is not None]
    return PointSet(torch.cat([batch.samples for batch in kept]), torch.cat(labels))


def verify_count(labels: Tensor, per_class: int, names: Sequence[str], data: str) -> None:
    """Refuse, with a `DataError`, more labels of each class than some class has samples."""
    counts = torch.bincount(labels, minlength=len(names))
    fewest = int(counts.min())
    if per_class > fewest:
        remedy = f"set data.labels_per_class={fewest} or less" if fewest else "leave it at 0, for all labels"
        raise DataError(
            f"data.labels_per_class={per_class}: class {names[int(counts.argmin())]} of data={data} has {fewest} "
            f"training samples; {remedy}"
        )


def _turns(labels: Tensor, classes: int) -> Tensor:
    """How many of the same class have come before each label: [2, 2, 0, 2] to [0, 1, 0, 2]."""
    counts = torch.bincount(labels, minlength=classes)
    order = labels.argsort(stable=True)
    turns = torch.empty_like(labels)
    turns[order] = torch.arange(len(labels)) - (counts.cumsum(0) - counts)[labels[order]]
    return turns
