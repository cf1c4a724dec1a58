"""Scores as a table for a person: generated beside real, and which way is better."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from ganlab.config.scores import generic, kind_of
from ganlab.tasks.console import number

ARROWS = {"lower": "↓", "higher": "↑"}


@dataclass(frozen=True)
class Column:
    """A heading, and from tag to score; a score that a column lacks is left empty there."""

    heading: str
    scores: Mapping[str, Mapping[str, Any]]


def score_table(title: str, columns: Sequence[Column], notes: Sequence[str] = ()) -> str:
    """The table as text: a row a score, with what it means; the title above it and the notes below."""
    with_real = any(score.get("real") is not None for column in columns for score in column.scores.values())
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("score", no_wrap=True)
    table.add_column("")
    for column in columns:
        table.add_column(column.heading, justify="right", no_wrap=True)
        if with_real:
            table.add_column("real", justify="right", no_wrap=True, style="dim")
    table.add_column("")
    for tag in columns[0].scores:
        cells = []
        for column in columns:
            score = column.scores.get(tag)
            cells.append("" if score is None else value_of(score))
            if with_real:
                cells.append("" if score is None or score.get("real") is None else number(score["real"]))
        kind = kind_of(tag)
        mark = "½" if generic(tag) == "one_nn" else ARROWS[kind.better]
        table.add_row(tag.removeprefix("metric/"), mark, *cells, kind.title)
    # Wide enough for the table as it is: a pipe or a narrow window must not cut numbers.
    console = Console(file=StringIO(), width=160, force_terminal=False, legacy_windows=False)
    console.print(table)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    return "\n".join([title, *lines, *notes]).replace("\n\n\n", "\n\n")


def extractor_note(described: Mapping[str, Any]) -> str:
    """An extractor's description in a line."""
    return f"extractor {described['extractor']} (sha256 {described['weights_sha256'][:12]}), {described['resizer']}"


def value_of(score: Mapping[str, Any]) -> str:
    """The value, with the standard deviation over seeds if there are several, to the same place."""
    if "values" not in score:
        return number(score["value"])
    value = number(score["value"])
    places = len(value.partition(".")[2])
    if "e" in value:
        return f"{value} ± {number(score['sd'])}"
    deviation = f"{score['sd']:.{places}f}" if places else number(score["sd"])
    small = score["sd"] > 0 and not float(deviation.replace(",", ""))
    return f"{value} ± {number(score['sd']) if small else deviation}"
