"""A comparison as a table for a person, as Markdown, and as CSV."""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Drawn
from rich.text import Text

from ganlab.config.scores import UnknownScore, kind_of
from ganlab.tasks.comparing.groups import Group, Summary, Table, value_of
from ganlab.tasks.comparing.labels import printable
from ganlab.tasks.console import number, relative
from ganlab.tasks.score_table import ARROWS
from ganlab.tasks.score_table import value_of as told_value

CONFIDENCE = 0.95
MOST_PICTURED = 10
"""Groups that a plot and a sheet of samples can hold and still be read."""
WIDTH = 160
"""A pipe or a narrow window must not cut numbers."""


def heading(table: Table) -> str:
    """What a table ranks by, and the parts of the protocol that a reader asks for first."""
    runs = f"{len(table.runs)} run{'s' * (len(table.runs) > 1)}"
    if table.tag is None:
        return f"{runs} without a score"
    told = table.protocol
    words = [f"{_name(table.tag)} ({table.better} is better)", runs]
    if "data" in told and "reference" in told:
        words.append(f"{told['data']}, against {told['reference']}")
    if isinstance(told.get("count"), int):
        words.append(f"{told['count']:,} samples")
    if told.get("weights"):
        words.append(f"{told['weights']} weights")
    return printable(" · ".join(words))


def rows(table: Table, tags: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """The heads of the columns, and the cells of each group."""
    heads = ["", "n", *(_head(tag, table) for tag in tags), "iterations", "time"]
    unit = _unit(table)
    body = [
        [
            group.label,
            str(len(group.runs)),
            *(_cell(group.summary(tag), len(group.runs)) for tag in tags),
            _range(f"{run.iterations:,}" for run in group.runs),
            _time(group, unit),
        ]
        for group in table.groups
    ]
    return heads, body


def screen(table: Table, tags: Sequence[str]) -> str:
    """The table as text."""
    heads, body = rows(table, tags)
    drawn = Drawn(box=SIMPLE_HEAD, pad_edge=False)
    drawn.add_column("", overflow="fold")
    for head in heads[1:]:
        drawn.add_column(Text(head), justify="right", no_wrap=True)
    for cells in body:
        # Text, for rich would read [10,uniform] as a colour.
        drawn.add_row(*map(Text, cells))
    console = Console(file=io.StringIO(), width=WIDTH, force_terminal=False, legacy_windows=False)
    console.print(drawn)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in lines if line.strip())


def markdown(table: Table, tags: Sequence[str]) -> str:
    """The same in Markdown."""
    heads, body = rows(table, tags)
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *([escaped(cell) for cell in cells] for cells in body)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def escaped(text: str) -> str:
    """Text that means itself in Markdown."""
    for mark in "\\`*_[]<>|":
        text = text.replace(mark, f"\\{mark}")
    return text


def notes(table: Table) -> list[str]:
    """What the numbers of a table do not say themselves, a line each."""
    lines = []
    if table.real is not None:
        lines.append(f"real samples in the generator's place: {number(table.real)}")
    lines += [verdict(table)] if table.tag is not None and len(table.groups) > 1 else []
    for tag, keys in table.mixed.items():
        where = printable(", ".join(keys))
        lines.append(f"{_name(tag)} is not compared: its protocol differs between these runs in {where}")
    if table.duplicates:
        names = named(run.folder for run in table.duplicates)
        lines.append(f"the same configuration and seed once more, the newest is counted and not: {names}")
    if len(table.groups) > MOST_PICTURED:
        lines.append(f"pictures show the {MOST_PICTURED} best of {len(table.groups)}")
    machines = {str(sorted(run.machine.items())) for run in table.runs if run.wall_seconds is not None}
    if len(machines) > 1:
        lines.append("times are of different machines, devices or versions")
    return lines


def verdict(table: Table) -> str:
    """Whether the seeds tell the best from the runner-up: the difference with Welch's interval."""
    assert table.tag is not None
    best, second = (group.summary(table.tag) for group in table.groups[:2])
    assert best is not None and second is not None
    what = f"best against second: {_name(table.tag)} {number(best.mean)} against {number(second.mean)}"
    if min(len(best.values), len(second.values)) < 2:
        return f"{what}; one seed says nothing of chance: give each at least two"
    if not all(map(math.isfinite, (*best.values, *second.values))):
        return f"{what}; some values are no finite numbers"
    difference = best.mean - second.mean
    low, high, p = welch(best, second)
    if math.isnan(p):
        same = "the same" if difference == 0 else f"difference {number(difference)}"
        return f"{what}, {same}; no spread over seeds to judge it by"
    seeds = " and ".join(dict.fromkeys(str(len(one.values)) for one in (best, second)))
    told = "told apart" if p < 1 - CONFIDENCE else "not told apart"
    among = f", not corrected for choosing among {len(table.groups)}" if len(table.groups) > 2 else ""
    return (
        f"{what}, difference {number(difference)} "
        f"({CONFIDENCE:.0%} interval {number(low)} to {number(high)}, Welch, p = {number(p)}{among}): "
        f"{told} by {seeds} seeds"
    )


def welch(one: Summary, other: Summary) -> tuple[float, float, float]:
    """Interval of the difference of two means, and its two-sided p (Welch 1947); not a number without any spread."""
    from scipy.special import stdtr, stdtrit

    first, second = (float(s.sd or 0) ** 2 / len(s.values) for s in (one, other))
    error = math.sqrt(first + second)
    difference = one.mean - other.mean
    # Means that differ by less than their own rounding have no spread either.
    if error <= 1e-12 * max(abs(one.mean), abs(other.mean)):
        return difference, difference, math.nan
    freedom = (first + second) ** 2 / (first**2 / (len(one.values) - 1) + second**2 / (len(other.values) - 1))
    half = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * error
    return difference - half, difference + half, float(2 * stdtr(freedom, -abs(difference) / error))


def groups_csv(tables: Sequence[Table]) -> bytes:
    """A line a group: mean, standard deviation and count of every score and last value."""
    tags = list(dict.fromkeys(tag for table in tables for tag in table.tags))
    heads = ["table", "rank", "group", "n", "seeds", "ranked_by", "iterations", "wall_seconds"]
    heads += [f"{tag}{part}" for tag in tags for part in ("", ":sd", ":n")]
    lines = []
    for place, table in enumerate(tables, 1):
        for rank, group in enumerate(table.groups, 1):
            line: list[Any] = [place, rank, group.label, len(group.runs), " ".join(map(str, group.seeds))]
            line += [table.tag or "", _range(str(run.iterations) for run in group.runs)]
            line.append(_mean_seconds(group))
            for tag in tags:
                summary = group.summary(tag) if tag in table.tags else None
                line += ["", "", ""] if summary is None else [summary.mean, summary.sd, len(summary.values)]
            lines.append(line)
    return _csv([heads, *lines])


def runs_csv(tables: Sequence[Table]) -> bytes:
    """A line a run that was counted, with all of its scores and last values."""
    runs = [
        (place, group, run) for place, table in enumerate(tables, 1) for group in table.groups for run in group.runs
    ]
    tags = list(dict.fromkeys(tag for _, _, run in runs for tag in (*run.scores, *run.last_values)))
    heads = ["table", "group", "seed", "folder", "iterations", "wall_seconds", *tags]
    lines = [
        [place, group.label, run.seed, relative(run.folder), run.iterations, run.wall_seconds]
        + [value_of(run, tag) for tag in tags]
        for place, group, run in runs
    ]
    return _csv([heads, *lines])


def _csv(lines: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(lines)
    return text.getvalue().encode("utf-8", "surrogateescape")


def named(folders: Iterable[Any], most: int = 5) -> str:
    """Folders as a person would type them, the first few."""
    names = [printable(relative(folder)) for folder in folders]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _name(tag: str) -> str:
    return printable(tag.removeprefix("metric/"))


def _head(tag: str, table: Table) -> str:
    if tag == table.tag:
        return f"{_name(tag)} {ARROWS[table.better]}"
    try:
        return f"{_name(tag)} {ARROWS[kind_of(tag).better]}" if tag.startswith("metric/") else _name(tag)
    except UnknownScore:
        return _name(tag)


def _cell(summary: Summary | None, of: int) -> str:
    if summary is None:
        return ""
    several = {"sd": summary.sd, "values": summary.values} if summary.sd is not None else {}
    if several and not math.isfinite(summary.mean):
        several = {}
    counted = f" ({len(summary.values)})" if len(summary.values) < of else ""
    return told_value({"value": summary.mean, **several}) + counted


def _range(texts: Iterable[str]) -> str:
    different = list(dict.fromkeys(texts))
    return different[0] if len(different) == 1 else f"{different[0]}–{different[-1]}"


def _mean_seconds(group: Group) -> float | None:
    seconds = [run.wall_seconds for run in group.runs if run.wall_seconds is not None]
    return Summary(tuple(seconds)).mean if seconds else None


def _unit(table: Table) -> tuple[float, str]:
    """One unit for a whole column, so that its numbers can be compared."""
    longest = max((_mean_seconds(group) or 0 for group in table.groups), default=0)
    return (1, "s") if longest < 120 else (60, "min") if longest < 7200 else (3600, "h")


def _time(group: Group, unit: tuple[float, str]) -> str:
    seconds = _mean_seconds(group)
    return "" if seconds is None else f"{seconds / unit[0]:,.1f} {unit[1]}"
