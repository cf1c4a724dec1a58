"""Runs in tables of one protocol, and in groups of one configuration."""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ganlab.config.nearest import nearest
from ganlab.config.scores import UnknownScore, generic
from ganlab.errors import ConfigError
from ganlab.tasks.comparing.labels import labels_of, of_configuration, printable, written
from ganlab.tasks.comparing.runs import Run, Score, flat

NO_PROTOCOL = ("seed", "seeds", "iteration", "real")
"""What may differ between comparable scores: the draw, how long was trained, which the table shows, and which real
samples stand beside it."""
MOST_TOLD = 4
"""Differences of a protocol that are named."""


@dataclass(frozen=True)
class Summary:
    """Mean and standard deviation (n - 1) of n values, one a seed; of one value there is no deviation."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return float(np.mean(self.values))

    @property
    def sd(self) -> float | None:
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else None


@dataclass(frozen=True)
class Group:
    """Runs of one configuration, by seed, each seed once."""

    runs: list[Run]
    label: str = ""

    @property
    def seeds(self) -> list[int]:
        return [run.seed for run in self.runs]

    def summary(self, tag: str) -> Summary | None:
        """Of a score or a last value over the runs that have it; None if none has."""
        values = [value for value in (value_of(run, tag) for run in self.runs) if value is not None]
        return Summary(tuple(values)) if values else None


@dataclass(frozen=True)
class Table:
    """Groups whose ranking score has one protocol, best first; `tag` None: runs without a score, in no order."""

    tag: str | None
    better: str
    protocol: dict[str, Any]
    groups: list[Group]
    real: float | None = None
    duplicates: list[Run] = field(default_factory=list)

    @property
    def runs(self) -> list[Run]:
        return [run for group in self.groups for run in group.runs]

    @cached_property
    def tags(self) -> list[str]:
        """All scores and last values of its runs whose protocols agree, the ranking score first."""
        tags = dict.fromkeys([self.tag] if self.tag else [])
        tags |= dict.fromkeys(tag for run in self.runs for tag in run.scores)
        tags |= dict.fromkeys(tag for run in self.runs for tag in run.last_values)
        return [tag for tag in tags if tag not in self.mixed]

    @cached_property
    def mixed(self) -> dict[str, list[str]]:
        """Scores that are not comparable here though the ranking one is, and in which words of their protocols."""
        protocols: dict[str, list[dict[str, Any]]] = {}
        for run in self.runs:
            for tag, score in run.scores.items():
                protocols.setdefault(tag, []).append(score.protocol)
        differing = {tag: _differing(map(comparable, told)) for tag, told in protocols.items()}
        return {tag: keys for tag, keys in differing.items() if keys}


def value_of(run: Run, tag: str) -> float | None:
    """A score, or else a last value."""
    return run.scores[tag].value if tag in run.scores else run.last_values.get(tag)


def comparable(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """All of a protocol that must agree, by dotted key."""
    return flat({key: value for key, value in protocol.items() if key not in NO_PROTOCOL})


def tables_of(runs: Sequence[Run], by: str | None = None) -> tuple[list[Table], list[Run]]:
    """Tables, the largest first, and the runs that lack the score `by`; raises `ConfigError` if all do.

    Without `by`, runs are ranked by the score that they monitored; those without any are the last table.
    """
    choose = (lambda run: run.monitored) if by is None else _chooser(runs, by)
    tables: dict[str, list[Run]] = {}
    lacking = []
    for run in runs:
        tag = choose(run)
        if by is not None and tag is None:
            lacking.append(run)
            continue
        score = None if tag is None else run.scores[tag]
        told = [tag, score and [score.better, comparable(score.protocol)]]
        tables.setdefault(json.dumps(told, sort_keys=True), []).append(run)
    ordered = sorted(tables.values(), key=lambda part: (choose(part[0]) is None, -len(part)))
    return [_table(part, choose(part[0])) for part in ordered], lacking


def resolve_tag(name: str, known: Iterable[str]) -> list[str]:
    """The tags that a name means: itself, with metric/ before it, or fd for fd_digits; empty if none."""
    known = list(known)
    exact = [tag for tag in (name, f"metric/{name}") if tag in known]
    return exact[:1] or [tag for tag in known if tag.startswith("metric/") and _generic(tag) == name]


def _generic(tag: str) -> str | None:
    try:
        return generic(tag)
    except UnknownScore:
        return None


def _chooser(runs: Sequence[Run], by: str) -> Callable[[Run], str | None]:
    known = dict.fromkeys(tag for run in runs for tag in run.scores)
    if not resolve_tag(by, known):
        if any(resolve_tag(by, run.last_values) for run in runs):
            raise ConfigError(f"by={by}: it has no protocol to compare by; show it with columns=[{by}]")
        names = [tag.removeprefix("metric/") for tag in known]
        raise ConfigError(f"by={by}: no run has this score{nearest(by.removeprefix('metric/'), names)}")
    return lambda run: next(iter(resolve_tag(by, run.scores)), None)


def _table(runs: Sequence[Run], tag: str | None) -> Table:
    scores: list[Score] = [] if tag is None else [run.scores[tag] for run in runs]
    better = scores[0].better if scores else "lower"
    told = comparable(scores[0].protocol) if scores else {}
    groups: dict[str, list[Run]] = {}
    for run in runs:
        # A moved data set is the same one where the protocol holds its hash, and only there.
        settings = of_configuration(run, with_root="reference_sha256" not in told)
        key = json.dumps({name: written(value) for name, value in settings.items()}, sort_keys=True)
        groups.setdefault(key, []).append(run)
    once = [_each_seed_once(group) for group in groups.values()]
    duplicates = [run for group, kept in zip(groups.values(), once, strict=True) for run in group if run not in kept]
    labelled = [Group(kept, label) for kept, label in zip(once, labels_of(once), strict=True)]
    reals = {score.real for score in scores}
    real = reals.pop() if len(reals) == 1 else None
    return Table(tag, better, told, _ranked(labelled, tag, better), real, duplicates)


def _each_seed_once(runs: Sequence[Run]) -> list[Run]:
    """The newest run of each seed, by seed."""
    by_seed: dict[int, list[Run]] = {}
    for run in runs:
        by_seed.setdefault(run.seed, []).append(run)
    return [newest(by_seed[seed]) for seed in sorted(by_seed)]


def newest(runs: Sequence[Run]) -> Run:
    """By the dates in the folders' names if all have one, else by when their configuration was written."""
    dates = [re.findall(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", str(run.folder.absolute())) for run in runs]
    written_at = [(run.folder / ".hydra" / "config.yaml").stat().st_mtime for run in runs]
    keys = [(date[-1] if all(dates) else "", at) for date, at in zip(dates, written_at, strict=True)]
    return max(zip(keys, range(len(runs)), runs, strict=True))[2]


def _ranked(groups: Sequence[Group], tag: str | None, better: str) -> list[Group]:
    """Best first; what is no number comes last."""
    if tag is None:
        return sorted(groups, key=lambda group: group.label)

    def rank(group: Group) -> tuple[bool, float]:
        summary = group.summary(tag)
        mean = math.nan if summary is None else summary.mean
        return (not math.isfinite(mean), mean if better == "lower" else -mean)

    return sorted(groups, key=rank)


def why_apart(table: Table, before: Sequence[Table]) -> str:
    """In what a table's protocol is not that of the earlier table which is nearest to it, in words."""
    place, other, keys = min(
        ((place, one, _differing([table.protocol, one.protocol])) for place, one in enumerate(before, 1)),
        key=lambda found: (found[1].tag != table.tag, len(found[2])),
    )
    if table.tag is None:
        return "it has no score"
    # What was made of other data, or is another score, differs in much that follows from it.
    decisive = next((key for key in ("data", "metric") if key in keys), None)
    told = [decisive] if decisive else sorted(keys, key=lambda key: "sha256" in key)[:MOST_TOLD]
    more = f" and {len(keys) - len(told)} more" if len(told) < len(keys) and not decisive else ""
    words = (f"{key} {_brief(table.protocol.get(key))}, not {_brief(other.protocol.get(key))}" for key in told)
    return printable(f"against table {place}: " + ("; ".join(words) + more or f"{table.tag}, not {other.tag}"))


def _differing(protocols: Iterable[Mapping[str, Any]]) -> list[str]:
    protocols = list(protocols)
    keys = dict.fromkeys(key for protocol in protocols for key in protocol)
    return [key for key in keys if len({json.dumps(protocol.get(key)) for protocol in protocols}) > 1]


def _brief(value: Any) -> str:
    text = written(value)
    return text[:12] if re.fullmatch(r"[0-9a-f]{32,}", text) else text
