"""What an experiment found: checks, each a number a seed with the bound that the claim sets."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from matplotlib.figure import Figure

from ganlab.errors import ConfigError


@dataclass(frozen=True)
class Check:
    """A quantity that the claim says something of, measured once for each seed.

    It holds where every seed's value is within the bounds: `at_least` ≤ value ≤ `at_most`. A value that is not a
    number is within none. Raises `ConfigError` where no bound is given: what cannot fail is no check.
    """

    what: str
    values: Sequence[float]
    at_least: float | None = None
    at_most: float | None = None
    unit: str = ""

    def __post_init__(self) -> None:
        # Of arrays, too: what is compared and written are plain numbers.
        object.__setattr__(self, "values", [float(value) for value in self.values])
        if self.at_least is None and self.at_most is None:
            raise ConfigError(f"check {self.what}: has no bound")

    @property
    def expected(self) -> str:
        """The bounds in words."""
        unit = f" {self.unit}" if self.unit else ""
        if self.at_least is None:
            return f"≤ {self.at_most:g}{unit}"
        if self.at_most is None:
            return f"≥ {self.at_least:g}{unit}"
        return f"{self.at_least:g} to {self.at_most:g}{unit}"

    @property
    def held(self) -> list[bool]:
        """For each seed, whether it is so."""
        low = -math.inf if self.at_least is None else self.at_least
        high = math.inf if self.at_most is None else self.at_most
        return [low <= value <= high for value in self.values]

    @property
    def holds(self) -> bool:
        return bool(self.values) and all(self.held)

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def sd(self) -> float | None:
        """Standard deviation over seeds, with n - 1; None of one seed, NaN where a value is no number."""
        if not all(map(math.isfinite, self.values)):
            return math.nan if len(self.values) > 1 else None
        return statistics.stdev(self.values) if len(self.values) > 1 else None


def listed(values: Sequence[float], form: str) -> str:
    """Values of the seeds in a sentence, each written in that form: ".2f", ".0%"."""
    return ", ".join(f"{value:{form}}" for value in values)


@dataclass(frozen=True)
class Finding:
    """All that an experiment found.

    `figure`: drawn by `claims.drawing`. `seen`: what the experiment shows beyond its checks, and where the claim does
    not hold as it is told, in a sentence or two. `numbers`: further figures for claim.json.
    """

    checks: Sequence[Check]
    figure: Figure
    seen: str = ""
    numbers: dict[str, Any] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        return bool(self.checks) and all(check.holds for check in self.checks)
