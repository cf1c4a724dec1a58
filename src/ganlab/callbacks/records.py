"""Loggers that keep to the run's own folder and count, and go on cleanly when a run is resumed."""

import csv
import io
import logging
import os
from argparse import Namespace
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only

from ganlab.callbacks.missed import Missed
from ganlab.errors import OutputError
from ganlab.files import write_atomically, write_whole

log = logging.getLogger(__name__)

KEPT = 10_000
"""Rows that are kept in memory while the disk takes none."""


class RunTensorBoard(TensorBoardLogger):
    """TensorBoard's event file in the run's folder; on resume what lies after `iteration` is purged.

    Every event is in the file when the call returns, so that a run that is killed loses none. What the disk does not
    take is kept and written with the next one that it takes; training goes on meanwhile.
    """

    def __init__(self, folder: Path, iteration: int) -> None:
        purge: dict[str, Any] = {"purge_step": iteration + 1} if iteration else {}
        super().__init__(str(folder), name="", version="", default_hp_metric=False, **purge)
        self._missed = Missed("of TensorBoard's events", "training goes on; they are written when there is room", log)

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        if self._experiment is None:
            # It takes long to import, for a run that has no use for it.
            from ganlab.callbacks.events import EventWriter

            self._experiment = EventWriter(self.log_dir, self._missed, **self._kwargs)
        return self._experiment

    @rank_zero_only
    def save(self) -> None:
        """The configuration lies in .hydra already, so no second copy of it is written."""
        self.experiment.flush()


class CSVRecord(Logger):
    """metrics.csv: one row an iteration, one column a tag. Only the last row is held in memory, and written again when
    more is logged at its iteration; a new tag, which is rare, makes the file anew, line by line.

    Rows that the disk does not take are kept, the newest `KEPT` of them, and written with the next one; training goes
    on meanwhile.

    On resume, rows after `iteration` belong to a future that did not happen: they are dropped.
    """

    def __init__(self, folder: Path, iteration: int) -> None:
        super().__init__()
        self.path = folder / "metrics.csv"
        self._columns = ["iteration"]
        self._last: dict[str, str] = {}
        self._place = 0
        """Where in the file the last row begins."""
        self._held = ""
        """The iteration of that row; empty if there is none."""
        self._waiting: deque[dict[str, str]] = deque(maxlen=KEPT)
        self._missed = Missed("rows of metrics.csv", "training goes on; they are written when there is room", log)
        if iteration and self.path.is_file():
            self._read(iteration)

    @property
    def name(self) -> str:
        return "csv"

    @property
    def version(self) -> str:
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Hyper-parameters lie in .hydra/config.yaml."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add values at an iteration; a second call at the same iteration fills the same row."""
        values = {tag: _number(value) for tag, value in metrics.items()}
        if self._last.get("iteration") != str(step):
            self._last = {"iteration": str(step)}
        self._last |= values
        if not self._waiting or self._waiting[-1] is not self._last:
            self._waiting.append(self._last)
        self._write_waiting()

    @rank_zero_only
    def finalize(self, status: str) -> None:
        if self._waiting:
            self._write_waiting()
        self._missed.sum_up(len(self._waiting))

    def _write_waiting(self) -> None:
        try:
            columns = list(dict.fromkeys([*self._columns, *(tag for row in self._waiting for tag in row)]))
            if len(columns) > len(self._columns) or not self.path.is_file():
                self._widen(columns)
            with self.path.open("r+b", buffering=0) as file:
                while self._waiting:
                    self._write(file, self._waiting[0])
                    self._waiting.popleft()
        except OutputError as error:
            self._missed.tell(str(error))
        except OSError as error:
            self._missed.add(self.path, error)

    def _write(self, file: io.FileIO, row: dict[str, str]) -> None:
        """At the end, or over the last row if it is of the same iteration, without a moment in which that is gone."""
        place = self._place if row["iteration"] == self._held else file.seek(0, os.SEEK_END)
        write_whole(file, place, _line(row.get(column, "") for column in self._columns))
        self._place, self._held = place, row["iteration"]

    def _widen(self, columns: list[str]) -> None:
        """The file with more columns, or a new one; the earlier rows get a gap in each new column."""
        gap = b"," * (len(columns) - len(self._columns))
        there = self.path.is_file()

        def write(file: IO[bytes]) -> None:
            file.write(_line(columns))
            self._place = file.tell()
            if not there:
                self._held = ""
            else:
                with self.path.open("rb") as old:
                    old.readline()
                    for line in old:
                        # Values are numbers: no line is broken within quotes.
                        self._place = file.tell()
                        file.write(line.rstrip(b"\r\n") + gap + LINE_END)

        write_atomically(self.path, write)
        self._columns = columns

    @rank_zero_only
    def _read(self, iteration: int) -> None:
        """Take up the file of an earlier part of the run, up to an iteration; damaged rows are dropped."""

        def write(file: IO[bytes]) -> None:
            with self.path.open(newline="") as old:
                reader = csv.DictReader(old)
                self._columns = list(reader.fieldnames or ["iteration"])
                file.write(_line(self._columns))
                for row in reader:
                    whole = None not in row.values() and row["iteration"].isdigit()
                    if whole and int(row["iteration"]) <= iteration:
                        self._last = {column: row[column] for column in self._columns}
                        self._place, self._held = file.tell(), row["iteration"]
                        file.write(_line(self._last.values()))

        write_atomically(self.path, write)


LINE_END = b"\r\n"
"""As Python's csv module ends lines."""


def _line(cells: Iterable[str]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(cells)
    return text.getvalue().encode()


def _number(value: float) -> str:
    return repr(float(value))
