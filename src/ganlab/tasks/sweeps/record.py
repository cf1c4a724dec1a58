"""What became of each job of a sweep: `sweep.csv`, kept while the sweep runs, and the table at its end."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from ganlab.errors import GanlabError, OutputError, TrainingError
from ganlab.files import write_atomically
from ganlab.tasks.sweeps.locks import locked

RECORD = "sweep.csv"
COLUMNS = ("job", "status", "exit_code", "objective", "seconds", "folder")
"""Of every job; after them a column an override key. Job numbers begin at 0, seconds are wall-clock time."""
_SHOWN = 100
"""Characters of a job's overrides in the table; the record has them all."""
LOCKS = ".locks"
"""The folder, in the sweep's, of the files by which its processes keep out of one another's way."""


@dataclass(frozen=True)
class JobRecord:
    """A job that has ended.

    `status`: completed, failed, pruned, or stopped by the user; `exit_code`: of its first process, negative for the
    signal that killed it; `objective`: the monitored score, None where there is none; `folder`: relative to the
    sweep's, empty for a job that was refused before it had one.
    """

    number: int
    status: str
    exit_code: int
    objective: float | None
    seconds: float
    folder: str
    overrides: dict[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        return self.status == "failed"


class JobFailed(TrainingError):
    """Jobs of a sweep failed; each has said why itself."""


class JobStopped(GanlabError):
    """The user has ended a job of a sweep; `exit_code`: the job's."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code

    def __str__(self) -> str:
        return "stopped"


def record_job(sweep: Path, record: JobRecord) -> None:
    """Add a job to the record of the sweep in that folder; several processes may do so at a time.

    Raises `OutputError` where it cannot be written.
    """
    try:
        (sweep / LOCKS).mkdir(exist_ok=True)
        with locked(sweep / LOCKS / "record"):
            records = sorted([*read_records(sweep), record], key=lambda one: one.number)
            text = _as_csv(records)
            write_atomically(sweep / RECORD, lambda file: file.write(text.encode()))
    except OSError as error:
        raise OutputError(f"{sweep / RECORD}: cannot be written ({error.strerror})") from None


def read_records(sweep: Path) -> list[JobRecord]:
    """The jobs of a sweep that have ended, by number; none if there is no record."""
    try:
        text = (sweep / RECORD).read_text()
    except FileNotFoundError:
        return []
    return [_from_row(row) for row in csv.DictReader(io.StringIO(text))]


def overrides_of(words: Iterable[str]) -> dict[str, str]:
    """Overrides as they were typed, by key: those that say what a job computes, and not who runs it."""
    pairs = (word.lstrip("+~").partition("=") for word in words)
    return {key: value for key, _, value in pairs if key != "sweep" and not key.startswith("callbacks.pruning.")}


def _as_csv(records: Sequence[JobRecord]) -> str:
    keys = list(dict.fromkeys(key for record in records for key in record.overrides))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, *keys])
    for one in records:
        objective = "" if one.objective is None else repr(one.objective)
        own = [one.number, one.status, one.exit_code, objective, f"{one.seconds:.1f}", one.folder]
        writer.writerow([*own, *(one.overrides.get(key, "") for key in keys)])
    return text.getvalue()


def _from_row(row: Mapping[str, str]) -> JobRecord:
    return JobRecord(
        int(row["job"]),
        row["status"],
        int(row["exit_code"]),
        float(row["objective"]) if row["objective"] else None,
        float(row["seconds"]),
        row["folder"],
        {key: value for key, value in row.items() if key not in COLUMNS and value},
    )


def objective_of(folder: Path) -> float | None:
    """The monitored score of a finished run, for the sweeper; None if nothing was scored."""
    try:
        value = _results(folder)["objective"]
        return None if value is None else float(value)
    except (KeyError, TypeError, ValueError):
        return None


def _results(folder: Path) -> Any:
    try:
        return json.loads((folder / "results.json").read_bytes())
    except (OSError, ValueError):
        return {}


def sweep_table(sweep: Path, records: Sequence[JobRecord]) -> str:
    """A row a job: what it alone was told, how it ended, its score; below it where the record lies."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from ganlab.tasks.console import number, relative

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("job", "overrides", "status", _objective_name(sweep, records), "seconds"):
        right = heading != "overrides" and heading != "status"
        table.add_column(heading, justify="right" if right else "left", no_wrap=True)
    telling = _telling_keys(records)
    for one in records:
        words = " ".join(f"{key}={value}" for key, value in one.overrides.items() if key in telling)
        words = words if len(words) <= _SHOWN else f"{words[: _SHOWN - 1]}…"
        status = one.status if one.exit_code == 0 else f"{one.status} ({one.exit_code})"
        score = "" if one.objective is None else number(one.objective)
        table.add_row(str(one.number), words, status, score, f"{one.seconds:.0f}")
    # Wide enough for the table as it is: a pipe or a narrow window must not cut overrides.
    console = Console(file=io.StringIO(), width=400, force_terminal=False, legacy_windows=False)
    console.print(table, markup=False)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    return "\n".join([*(line for line in lines if line), f"sweep: {relative(sweep / RECORD)}"])


def _objective_name(sweep: Path, records: Sequence[JobRecord]) -> str:
    """The monitored score that all jobs share, without its folder of tags."""
    folders = [sweep / one.folder for one in records if one.objective is not None and one.folder]
    names = {str(_results(folder).get("monitored")).removeprefix("metric/") for folder in folders}
    return names.pop() if len(names) == 1 else "objective"


def _telling_keys(records: Sequence[JobRecord]) -> set[str]:
    """The keys in which jobs differ; of a lone job, all."""
    keys = {key for one in records for key in one.overrides}
    if len(records) == 1:
        return keys
    return {key for key in keys if len({one.overrides.get(key) for one in records}) > 1}


class SweepSummary(Callback):
    """Remembers the sweep that this process runs, so that its end is told however it ends."""

    sweep: Path | None = None
    before: Sequence[JobRecord] = ()

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        SweepSummary.sweep = Path(config.hydra.sweep.dir)
        SweepSummary.before = read_records(SweepSummary.sweep)

    @classmethod
    def told(cls) -> tuple[str, list[JobRecord], int] | None:
        """The table of the sweep's jobs, those of now that failed, and how many of now there are; None without jobs.

        A sweep that goes on in its folder has jobs of before.
        """
        records = [] if cls.sweep is None else read_records(cls.sweep)
        new = [one for one in records if one not in cls.before]
        if cls.sweep is None or not new:
            return None
        return sweep_table(cls.sweep, records), [one for one in new if one.failed], len(new)
