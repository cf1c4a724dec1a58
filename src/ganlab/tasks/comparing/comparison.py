"""Runs compared: read, grouped, told on the screen and written down."""

import io
import math
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from ganlab.config.nearest import nearest
from ganlab.config.scores import UnknownScore, generic
from ganlab.errors import CheckpointError, ConfigError, OutputError
from ganlab.files import write_atomically
from ganlab.tasks import console
from ganlab.tasks.compare import CompareOptions
from ganlab.tasks.comparing.command import again
from ganlab.tasks.comparing.groups import Group, Table, resolve_tag, tables_of, why_apart
from ganlab.tasks.comparing.report import (
    MOST_PICTURED,
    escaped,
    groups_csv,
    heading,
    markdown,
    named,
    notes,
    runs_csv,
    screen,
)
from ganlab.tasks.comparing.runs import Run, read_runs
from ganlab.typed_path import typed_path

BESIDE = 4
"""Further scores that are shown unasked."""
DEFAULT_OUTPUT = Path("outputs") / "compare"


def compare_runs(options: CompareOptions) -> None:
    """Print the tables, and write them with their pictures to the output folder."""
    if not options.patterns:
        raise ConfigError("runs=[]: name at least one folder")
    found = read_runs(options.patterns, options.evaluations)
    left_out = [f"left out, {reason}: {named(folders)}" for reason, folders in found.left_out.items()]
    if not found.runs:
        where = ", ".join(options.patterns)
        raise CheckpointError("\n".join([f"runs={where}: no finished run is there", *left_out]))
    tables, lacking = tables_of(found.runs, options.by)
    if lacking:
        left_out.append(f"left out, without {options.by}: {named(run.folder for run in lacking)}")
    columns = [_columns(table, options.shown, tables) for table in tables]
    console.say(_tell(tables, columns, left_out))
    files = _files(tables, columns, left_out, options)
    folder = _output(options.output)
    for name, content in files.items():
        _write(folder / name, content)
    console.say(f"\nwritten: {console.relative(folder)}/  ({', '.join(files)})")


def _columns(table: Table, asked: Sequence[str] | None, tables: Sequence[Table]) -> list[str]:
    """The tags that a table shows, its ranking score first; raises `ConfigError` for one that no run has."""
    first = [table.tag] if table.tag else []
    if asked is None:
        return first + [tag for tag in table.tags if tag not in first and _told_unasked(tag)][:BESIDE]
    known = dict.fromkeys(tag for other in tables for run in other.runs for tag in (*run.scores, *run.last_values))
    for name in asked:
        if not resolve_tag(name, known):
            near = nearest(name.removeprefix("metric/"), (tag.removeprefix("metric/") for tag in known))
            raise ConfigError(f"columns={name}: no run has it{near}")
    wanted = [tag for name in asked for tag in resolve_tag(name, known)]
    return list(dict.fromkeys([*first, *(tag for tag in wanted if tag in table.tags)]))


def _told_unasked(tag: str) -> bool:
    try:
        return tag.startswith("metric/") and generic(tag) in console.TOLD
    except UnknownScore:
        return False


def _tell(tables: Sequence[Table], columns: Sequence[list[str]], left_out: Sequence[str]) -> str:
    parts = []
    for place, (table, tags) in enumerate(zip(tables, columns, strict=True)):
        lines = [_title(tables, place)]
        if place:
            lines.append(_apart(tables, place))
        best = (f"the best again: {command}" for command in _again(table))
        parts.append("\n".join([*lines, "", screen(table, tags), "", *notes(table), *best]))
    return "\n\n\n".join(parts) + ("\n\n" + "\n".join(left_out) if left_out else "")


def _title(tables: Sequence[Table], place: int) -> str:
    return (f"table {place + 1}: " if len(tables) > 1 else "") + heading(tables[place])


def _apart(tables: Sequence[Table], place: int) -> str:
    return f"not comparable, and so a table of its own; {why_apart(tables[place], tables[:place])}"


def _again(table: Table) -> list[str]:
    """The command for the best run of the best group; none if it is not known which that is."""
    if table.tag is None:
        return []
    tag, sign = table.tag, 1 if table.better == "lower" else -1
    numbers = [run for run in table.groups[0].runs if math.isfinite(run.scores[tag].value)]
    if not numbers:
        return []
    return [again(min(numbers, key=lambda run: sign * run.scores[tag].value))]


def _files(
    tables: Sequence[Table], columns: Sequence[list[str]], left_out: Sequence[str], options: CompareOptions
) -> dict[str, bytes]:
    """From name to content; all is made before the first is written."""
    files = {"compare.csv": groups_csv(tables), "runs.csv": runs_csv(tables)}
    document = ["# Comparison"]
    for place, (table, tags) in enumerate(zip(tables, columns, strict=True)):
        ending = f"_{place + 1}" if place else ""
        document.append(f"## {escaped(_title(tables, place))}")
        if place:
            document.append(escaped(_apart(tables, place)))
        document += [markdown(table, tags), *map(escaped, notes(table))]
        document += [f"The best again:\n\n    {command}" for command in _again(table)]
        # A single run that is comparable with nothing has its pictures in its own folder.
        pictured = place == 0 or len(table.runs) > 1
        pictures = _pictures(table, tags if options.shown is not None else []) if pictured else {}
        for name, content in pictures.items():
            files[f"{name}{ending}.png"] = content
            document.append(f"![{name}]({name}{ending}.png)")
    files["compare.md"] = ("\n\n".join([*document, *map(escaped, left_out)]) + "\n").encode("utf-8", "replace")
    return files


def _pictures(table: Table, asked: Sequence[str]) -> dict[str, bytes]:
    from ganlab.tasks.comparing.curves import curves_figure, png
    from ganlab.tasks.comparing.sheet import contact_sheet, last_picture

    pictures = {}
    figure = curves_figure(table, asked)
    if figure is not None:
        pictures["curves"] = png(figure)
    first = [(group, last_picture(group.runs[0])) for group in table.groups[:MOST_PICTURED]]
    shown = [(group, picture) for group, picture in first if picture is not None]
    if shown:
        sheet = contact_sheet([picture for _, picture in shown], [_caption(group, table) for group, _ in shown])
        buffer = io.BytesIO()
        sheet.save(buffer, format="PNG")
        pictures["samples"] = buffer.getvalue()
    return pictures


def _caption(group: Group, table: Table) -> tuple[str, str]:
    """The label, and whose picture it is: of the first seed, so that none is chosen for its looks."""
    run: Run = group.runs[0]
    told = f"seed {run.seed}, iteration {run.iterations:,}"
    if table.tag is not None:
        name, value = table.tag.removeprefix("metric/"), console.number(run.scores[table.tag].value)
        told = f"{name} {value}, {told}"
    return group.label, told


def _output(wanted: str | None) -> Path:
    """The folder to write to: the one that was named, or a fresh one."""
    if wanted is not None:
        return typed_path(wanted, "output", OutputError)
    stem = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    number = 1
    try:
        DEFAULT_OUTPUT.mkdir(parents=True, exist_ok=True)
        while True:
            folder = DEFAULT_OUTPUT / (stem if number == 1 else f"{stem}_{number}")
            try:
                folder.mkdir()
                return folder
            except FileExistsError:
                number += 1
    except OSError as error:
        raise OutputError(f"{DEFAULT_OUTPUT}: no folder can be made there ({error.strerror or error})") from None


def _write(path: Path, content: bytes) -> None:
    write_atomically(path, lambda file: file.write(content))
