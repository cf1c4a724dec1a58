"""Speeds of several ways to do the same, measured in rounds, beside the first of them."""

import statistics
from collections.abc import Mapping, Sequence


def beside_the_first(speeds: Mapping[str, Sequence[float]], line: str) -> list[str]:
    """A line for each way: its name, the median speed, and the ratio to the first one in the same round with its range.

    `line`: a format that takes these five.
    """
    first = next(iter(speeds.values()))
    lines = []
    for name, own in speeds.items():
        ratios = [one / other for one, other in zip(own, first, strict=True)]
        lines.append(line.format(name, statistics.median(own), statistics.median(ratios), min(ratios), max(ratios)))
    return lines
