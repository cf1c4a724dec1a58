"""What belongs to an iteration: how many updates of the discriminator, and which phase of the run."""

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class UpdatePlan:
    """`updates` in every iteration; but `warmup_updates` in the first `warmup_iterations`, and again at every multiple
    of `warmup_every`, the 0th included (0: never). Iterations count from 0.

    Arjovsky et al. 2017 train the critic 100 times in each of the first 25 iterations and in every 500th (their code).
    The same numbers serve for batches of data: see `times`.
    """

    updates: int = 1
    warmup_iterations: int = 0
    warmup_updates: int = 1
    warmup_every: int = 0

    def at(self, iteration: int) -> int:
        """Of one iteration."""
        if iteration < self.warmup_iterations or (self.warmup_every and iteration % self.warmup_every == 0):
            return self.warmup_updates
        return self.updates

    def before(self, iteration: int) -> int:
        """Of all iterations before one, however many: no loop."""
        warm = min(iteration, self.warmup_iterations)
        if self.warmup_every:
            warm += _multiples_below(iteration, self.warmup_every) - _multiples_below(warm, self.warmup_every)
        return iteration * self.updates + warm * (self.warmup_updates - self.updates)

    def times(self, factor: int) -> "UpdatePlan":
        """Where each update takes `factor` batches."""
        return replace(self, updates=self.updates * factor, warmup_updates=self.warmup_updates * factor)


def _multiples_below(limit: int, step: int) -> int:
    """How many of 0, step, 2·step, … are below `limit`."""
    return -(-limit // step)


@dataclass(frozen=True)
class Phase:
    """A part of a run in which one network is trained: iterations `first` + 1 to `last`, counted from 1."""

    name: str
    first: int
    last: int

    @property
    def iterations(self) -> int:
        return self.last - self.first


def phases_of(lengths: Mapping[str, int], last: str, total: int) -> tuple[Phase, ...]:
    """Phases of given lengths one after the other, and a last one that takes what is left of `total` iterations.

    Raises `ValueError` if nothing is left.
    """
    phases, first = [], 0
    for name, length in lengths.items():
        phases.append(Phase(name, first, first + length))
        first += length
    if first >= total:
        raise ValueError(f"{first} iterations in phases before the last one, of {total} in all")
    return (*phases, Phase(last, first, total))
