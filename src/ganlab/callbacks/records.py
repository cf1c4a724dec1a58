"""Loggers that keep to the run's own folder and count, and go on cleanly when a run is resumed."""

import csv
import io
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from ganlab.files import write_atomically


class RunTensorBoard(TensorBoardLogger):
    """TensorBoard's event file in the run's folder; on resume what lies after `iteration` is purged."""

    def __init__(self, folder: Path, iteration: int) -> None:
        purge: dict[str, Any] = {"purge_step": iteration + 1} if iteration else {}
        super().__init__(str(folder), name="", version="", default_hp_metric=False, **purge)

    @rank_zero_only
    def save(self) -> None:
        """Flush; the configuration lies in .hydra already, so no second copy of it is written."""
        self.experiment.flush()


class CSVRecord(Logger):
    """metrics.csv: one row an iteration, one column a tag. Rows are appended; a new tag rewrites the file.

    On resume, rows after `iteration` belong to a future that did not happen: they are dropped.
    """

    def __init__(self, folder: Path, iteration: int) -> None:
        super().__init__()
        self.path = folder / "metrics.csv"
        self._rows: list[dict[str, str]] = []
        self._columns = ["iteration"]
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
        new = [tag for tag in values if tag not in self._columns]
        row = {"iteration": str(step), **values}
        if self._rows and self._rows[-1]["iteration"] == str(step):
            self._rows[-1] |= values
            appended = False
        else:
            self._rows.append(row)
            appended = True
        self._columns += new
        if new or not appended:
            self._rewrite()
        else:
            with self.path.open("a", newline="") as file:
                csv.DictWriter(file, self._columns).writerow(row)

    @rank_zero_only
    def _rewrite(self) -> None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self._columns)
        writer.writeheader()
        writer.writerows(self._rows)
        write_atomically(self.path, lambda file: file.write(text.getvalue().encode()))

    def _read(self, iteration: int) -> None:
        with self.path.open(newline="") as file:
            reader = csv.DictReader(file)
            self._columns = list(reader.fieldnames or ["iteration"])
            rows = [row for row in reader if (row["iteration"] or "").isdigit()]
        self._rows = [{k: v or "" for k, v in row.items() if k} for row in rows if int(row["iteration"]) <= iteration]
        self._rewrite()


def _number(value: float) -> str:
    return repr(float(value))
