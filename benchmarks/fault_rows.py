"""What the parts of faults.py have in common: a row of the table, and runs of the command line that can be watched."""

import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple


class Row(NamedTuple):
    """`tried` faults of a kind: all was as if nothing had happened after `survived` of them, not so after `lost`.

    `note` says what was held to that, or what went wrong, or why nothing was tried.
    """

    fault: str
    tried: int
    survived: int
    lost: int
    note: str = ""


class Run:
    """`ganlab WORDS` in `folder`, as a fork of this process, which has the libraries loaded already.

    `before` is called in the new process first, to make something fail there.
    """

    def __init__(self, folder: Path, *words: str, before: Callable[[], object] = lambda: None) -> None:
        self.began = time.monotonic()
        self.code: int | None = None
        self._out = tempfile.TemporaryFile()  # noqa: SIM115
        self._err = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = os.fork()
        if self.process == 0:
            _become_command(folder, words, self._out, self._err, before)

    def signal(self, number: int) -> None:
        """Nothing if it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.process, number)

    def poll(self) -> int | None:
        """The exit code; of one that a signal has killed the negative number of that; None while it runs."""
        if self.code is None:
            found, status = os.waitpid(self.process, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if found else None
        return self.code

    def wait(self, timeout: float = 240.0) -> int:
        """The exit code; one that does not end is killed, and its code is then that of SIGKILL."""
        while self.poll() is None:
            if time.monotonic() - self.began > timeout:
                self.signal(signal.SIGKILL)
            time.sleep(0.002)
        assert self.code is not None
        return self.code

    @property
    def out(self) -> str:
        return _text(self._out)

    @property
    def err(self) -> str:
        return _text(self._err)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def load_libraries() -> None:
    """Before the first `Run`: what a fork inherits it need not load."""
    import lightning  # noqa: F401
    import tensorboard.summary.writer.record_writer  # noqa: F401
    import torch
    import torch.utils.tensorboard

    import ganlab.tasks.launch
    import ganlab.tasks.train  # noqa: F401

    torch.set_num_threads(1)


def _become_command(
    folder: Path, words: Sequence[str], out: IO[bytes], err: IO[bytes], before: Callable[[], object]
) -> None:
    """Never returns."""
    code: object = 1
    try:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(folder)
        sys.argv = ["ganlab", *words]
        before()
        from ganlab.tasks.launch import main

        main()
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)
