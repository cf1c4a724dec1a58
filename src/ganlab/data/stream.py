"""The order of the data: endless, and a pure function of (seed, iteration, rank, number of processes).

A finite set is one endless sequence of positions. Position p is row perm(seed, p // n)[p % n], so every n
positions visit each of the n rows once. An iteration takes as many global batches as a plan says, one after
another; a process takes its block of each. Where a run stopped, or how many processes share the work, changes
nothing in what comes next, and no random state has to be saved.
"""

import functools
from collections.abc import Iterator

import torch
from torch import Tensor

from ganlab.counting import UpdatePlan
from ganlab.data.batch import Batch
from ganlab.data.hashing import stable_seed
from ganlab.data.source import FiniteSource, InfiniteSource


class Positions:
    """The rows of a finite set in the order in which a seed visits them.

    With `mirrored`, half of the visits (drawn per position) are to the flipped image, row `length + i`.
    """

    def __init__(self, length: int, seed: int, *, mirrored: bool = False, device: torch.device | None = None) -> None:
        self.length = length
        self.seed = seed
        self.mirrored = mirrored
        self.device = device or torch.device("cpu")
        # A batch may touch the end of an epoch and the beginning of the next.
        self.epoch = functools.lru_cache(maxsize=4)(self._epoch)

    def block(self, start: int, count: int) -> Tensor:
        """Rows int64 [count] at positions start, start + 1, …"""
        epoch, offset = divmod(start, self.length)
        parts = [self.epoch(epoch)[offset : offset + count]]
        missing = count - len(parts[0])
        while missing:
            epoch += 1
            parts.append(self.epoch(epoch)[:missing])
            missing -= len(parts[-1])
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _epoch(self, epoch: int) -> Tensor:
        generator = torch.Generator().manual_seed(stable_seed("order", self.seed, epoch))
        rows = torch.randperm(self.length, generator=generator)
        if self.mirrored:
            rows += self.length * torch.randint(2, (self.length,), generator=generator)
        return rows.to(self.device)


class BatchStream:
    """Endless batches for one process; iterating begins at `start_iteration`.

    `batch_size` is one update's batch on one process; a batch of the stream holds the blocks of all updates that
    `plan` gives an iteration, in their order: samples [plan.at(iteration) * batch_size, *sample_shape].
    """

    def __init__(
        self,
        source: FiniteSource | InfiniteSource,
        batch_size: int,
        *,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        plan: UpdatePlan | None = None,
        start_iteration: int = 0,
        mirrored: bool = False,
        labelled: "BatchStream | None" = None,
    ) -> None:
        self.source = source
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.plan = plan or UpdatePlan()
        self.start_iteration = start_iteration
        self.labelled = labelled
        if isinstance(source, FiniteSource):
            self.positions = Positions(len(source), seed, mirrored=mirrored, device=source.index_device)

    def __iter__(self) -> Iterator[Batch]:
        iteration = self.start_iteration
        while True:
            yield self.batch(iteration)
            iteration += 1

    def batch(self, iteration: int) -> Batch:
        """What this process is given in an iteration; beside a `labelled` stream no other label is known."""
        batch = self._batch(iteration)
        return batch if self.labelled is None else Batch(batch.samples, None, self.labelled.batch(iteration))

    def _batch(self, iteration: int) -> Batch:
        if isinstance(self.source, FiniteSource):
            return self.source.gather(self.rows(iteration))
        return _joined([self._drawn(self.source, update) for update in self._updates(iteration)])

    def rows(self, iteration: int) -> Tensor:
        """Of a finite source: the rows that this process is given in an iteration, in the order of its updates."""
        starts = map(self._first_position, self._updates(iteration))
        blocks = [self.positions.block(start, self.batch_size) for start in starts]
        return blocks[0] if len(blocks) == 1 else torch.cat(blocks)

    def _updates(self, iteration: int) -> range:
        first = self.plan.before(iteration)
        return range(first, first + self.plan.at(iteration))

    def _first_position(self, update: int) -> int:
        return (update * self.world_size + self.rank) * self.batch_size

    def _drawn(self, source: InfiniteSource, update: int) -> Batch:
        """This process's block of the global batch, which every process draws alike."""
        generator = torch.Generator().manual_seed(stable_seed("draw", self.seed, update))
        drawn = source.draw(self.batch_size * self.world_size, generator)
        block = slice(self.rank * self.batch_size, (self.rank + 1) * self.batch_size)
        return Batch(drawn.samples[block], None if drawn.conditions is None else drawn.conditions[block])


def _joined(batches: list[Batch]) -> Batch:
    if len(batches) == 1:
        return batches[0]
    conditions = [batch.conditions for batch in batches if batch.conditions is not None]
    return Batch(torch.cat([batch.samples for batch in batches]), torch.cat(conditions) if conditions else None)
