"""train.log, which must not stop the run that it tells of."""

import logging
from contextlib import suppress

from ganlab.callbacks.missed import Missed


class RunLog(logging.FileHandler):
    """A file handler that opens its file with the first line, and keeps lines that the disk does not take: they are
    written with the next one that it takes. The first of them is told on standard error, without a traceback."""

    def __init__(self, filename: str) -> None:
        super().__init__(filename, encoding="utf-8", delay=True)
        self._missed = Missed("lines of train.log")

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if self.stream is None:
                self.stream = self._open()
            self.stream.write(self.format(record) + self.terminator)
            self.stream.flush()
        except OSError as error:
            self._missed.add(self.baseFilename, error)
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()

    def close(self) -> None:
        with suppress(OSError):
            super().close()
