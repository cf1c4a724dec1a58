"""What a run can do without: a picture, a row, a line of a log that the disk would not take."""

import logging
import sys

from ganlab.files import cannot_be_written, to_do


class Missed:
    """Counts what could not be written of one kind. The first one is told on the screen and in train.log; the others
    would only repeat it."""

    def __init__(self, what: str, then: str = "training goes on", log: logging.Logger | None = None) -> None:
        """`what`: pictures, rows of metrics.csv, …; `then`: what follows for the run."""
        self.what = what
        self.then = then
        self.count = 0
        self._log = log
        self._summed_up = 1

    def add(self, path: object, error: OSError) -> None:
        """One more, for what the disk said."""
        self.tell(cannot_be_written(str(path), error) + to_do(error, "; "))

    def tell(self, line: str) -> None:
        """One more, for a reason that is a line already."""
        self.count += 1
        if self.count == 1:
            self._say(f"{line}; {self.then}")

    def sum_up(self, lost: int | None = None) -> None:
        """At the end of a run, how many are lost (by default all of them), unless the first is the only one."""
        lost = self.count if lost is None else lost
        if lost > self._summed_up:
            self._say(f"{lost} {self.what} could not be written")
            self._summed_up = lost

    def _say(self, line: str) -> None:
        if self._log is not None:
            self._log.warning(line)
        print(f"warning: {line}", file=sys.stderr, flush=True)
