"""TensorBoard's event file, written at once and without a thread.

TensorBoard's own writer fills a queue that a thread empties every two minutes: a run that is killed loses what
is in it, and when the disk is full the thread dies with a traceback and takes the run with it.
"""

import io
import itertools
import os
import socket
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard import FileWriter, SummaryWriter

from ganlab.callbacks.missed import Missed
from ganlab.files import write_whole

KEPT = 2**24
"""Bytes of events that are kept in memory while the disk takes none."""
VERSION = "brain.Event:2"
_numbers = itertools.count()


class EventFile:
    """A file of events in a folder, which is made with the first of them. An event that the disk does not take is kept
    and written, in order, with the next one that it takes."""

    def __init__(self, folder: str, missed: Missed) -> None:
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{next(_numbers)}"
        self.path = Path(folder, name)
        self.waiting: deque[bytes] = deque()
        self._missed = missed
        self._file: io.FileIO | None = None
        self.add_event(Event(wall_time=time.time(), file_version=VERSION))

    def get_logdir(self) -> str:
        return str(self.path.parent)

    def add_event(self, event: Event) -> None:
        record = io.BytesIO()
        RecordWriter(record).write(event.SerializeToString())
        self.waiting.append(record.getvalue())
        while sum(map(len, self.waiting)) > KEPT:
            self.waiting.popleft()
        self._write()

    def flush(self) -> None:
        if self.waiting:
            self._write()

    def close(self) -> None:
        self.flush()
        self._missed.sum_up(len(self.waiting))
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None

    def _write(self) -> None:
        try:
            if self._file is None:
                self._file = self.path.open("r+b" if self.path.exists() else "w+b", buffering=0)
            while self.waiting:
                write_whole(self._file, self._file.seek(0, os.SEEK_END), self.waiting[0])
                self.waiting.popleft()
        except OSError as error:
            self._missed.add(self.path, error)


class EventWriter(SummaryWriter):
    """torch's writer of scalars and pictures, into an `EventFile`."""

    file_writer: Any
    all_writers: Any

    def __init__(self, folder: str, missed: Missed, **options: Any) -> None:
        self._missed = missed
        super().__init__(log_dir=folder, **options)

    def _get_file_writer(self) -> FileWriter:
        if self.file_writer is None:
            self.file_writer = _Into(EventFile(self.log_dir, self._missed))
            self.all_writers = {self.log_dir: self.file_writer}
            if self.purge_step is not None:
                for purging in ({"file_version": VERSION}, {"session_log": SessionLog(status=SessionLog.START)}):
                    self.file_writer.add_event(Event(step=self.purge_step, **purging))
                self.purge_step = None
        return self.file_writer


class _Into(FileWriter):
    """torch's writer of events, into a file that is given."""

    def __init__(self, file: EventFile) -> None:
        self.event_writer = file
