"""The life and death of a run's processes on one machine: who follows whom, who died by what."""

import atexit
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from ganlab.errors import TrainingError

PARENT = "GANLAB_FIRST_RANK"
"""In the environment of a rank that another one has started: the process id of that one, and its store's port."""
PEER_LOST = 75
"""Exit code of a rank that ends because another one has: it is not the reason that a user looks for."""
POLL = 0.5
"""Seconds between two looks at the other processes."""
GRACE = 10.0
"""Seconds in which a process may notice by itself that another one has died, before it is ended."""

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class RankDied(TrainingError):
    """A process of the run has ended before the run did; the message says which, and how to go on."""


class Watch(threading.Thread):
    """Looks after the processes that this one has started, and ends this one if it has not noticed a death itself.

    `line_of(rank, exit code)` is what the user is told then. The process ends with code 1.
    """

    def __init__(self, processes: Sequence["subprocess.Popen[bytes]"], line_of: Callable[[int, int], str]) -> None:
        super().__init__(daemon=True, name="watch-ranks")
        self.processes = processes
        self.line_of = line_of
        self.died: tuple[int, int] | None = None
        self._over = threading.Event()
        self._seen = threading.Event()
        self._exiting = threading.Event()
        self._code: int | None = None

    def run(self) -> None:
        since = 0.0
        while not self._over.wait(POLL):
            self.died = self.died or self._look()
            if self.died is None:
                continue
            since = since or time.monotonic()
            self._seen.set()
            if time.monotonic() - since > GRACE:
                self._end_hard()
        if self._code is not None:
            self._exiting.wait()
            time.sleep(GRACE)
            os._exit(self._code)

    def _look(self) -> tuple[int, int] | None:
        """(rank, exit code) of a process that has died by itself; one that a signal killed comes first."""
        codes = {rank: process.poll() for rank, process in enumerate(self.processes, start=1)}
        dead = [(rank, code) for rank, code in codes.items() if code not in (None, 0, PEER_LOST)]
        return min(dead, key=lambda found: found[1] > 0) if dead else None  # type: ignore[return-value]

    def _end_hard(self) -> None:
        try:
            self._kill()
            assert self.died is not None
            print(self.line_of(*self.died), file=sys.stderr, flush=True)
        finally:
            os._exit(1)

    def await_death(self) -> tuple[int, int] | None:
        """(rank, exit code) of a process that died by itself, as soon as it is seen; None if none is in time."""
        self._seen.wait(GRACE - 2 * POLL)
        return self.died

    def stop(self) -> None:
        """The run is over: the processes end by themselves, with whatever code."""
        self._over.set()

    def end_all(self, seconds: float, code: int) -> None:
        """Let the processes end by themselves for so long, then kill them; returns when all have ended.

        What the libraries do at this process's exit may wait for the dead: it is ended after a while, with `code`.
        """
        self._code = code
        self.stop()
        until = time.monotonic() + seconds
        for process in self.processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, until - time.monotonic()))
        self._kill()
        atexit.register(self._exiting.set)

    def _kill(self) -> None:
        for process in self.processes:
            process.kill()
        for process in self.processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)


def how_it_ended(code: int) -> str:
    """An exit code of `subprocess` in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name
    return f"was killed by {name}" + (" (the memory may have been full)" if name == "SIGKILL" else "")


def live_with_parent() -> Callable[[], None]:
    """What a new process does before it becomes a rank: die with this one (Linux), and leave Ctrl-C to it.

    The first rank decides what Ctrl-C means while the others only load; in training they heed it themselves.
    """
    parent = os.getpid()

    def bind() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(PEER_LOST)

    return bind


def follow_parent(parent: int) -> None:
    """End this process soon after the one that started it; Linux does that by itself, see `live_with_parent`."""
    if _LIBC is None:
        threading.Thread(target=_end_without, args=(parent,), daemon=True, name="follow-first-rank").start()


def _end_without(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL)
    os._exit(PEER_LOST)
