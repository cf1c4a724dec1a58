"""Which processes still run. One that has ended and whose parent never asks for it (as in a container whose first
process does no such thing) stays in the system's table, and would take a signal, but does not run."""

import os
import time
from collections.abc import Callable
from pathlib import Path

ENDED = ("Z", "X")
"""States of a process that runs no more."""


def running(process: int) -> bool:
    """Whether a process runs; by Linux's account, elsewhere by whether it can be sent a signal."""
    if not Path("/proc/self/stat").exists():
        return _takes_signals(os.kill, process)
    words = _words(process)
    return bool(words) and words[0] not in ENDED


def group_running(group: int) -> bool:
    """Whether any process of a process group runs."""
    if not Path("/proc/self/stat").exists():
        return _takes_signals(os.killpg, group)
    return any(int(words[2]) == group and words[0] not in ENDED for words in _all().values())


def running_in_session(session: int) -> list[int]:
    """The processes of a session that run; by Linux's account, elsewhere none."""
    return [one for one, words in _all().items() if int(words[3]) == session and words[0] not in ENDED]


def gone(*processes: int, runs: Callable[[int], bool] = running) -> bool:
    """Whether none of them runs any more, or soon will not."""
    patience = time.monotonic() + 10
    while any(map(runs, processes)):
        if time.monotonic() > patience:
            return False
        time.sleep(0.1)
    return True


def with_descendants(process: int) -> list[int]:
    """A process and all that it has started, and those, and so on; by Linux's account, elsewhere itself alone."""
    parents = {one: int(words[1]) for one, words in _all().items()}
    found = [process]
    for parent in found:
        found.extend(one for one in parents if parents[one] == parent)
    return found


def _takes_signals(send: Callable[[int, int], None], number: int) -> bool:
    try:
        send(number, 0)
    except ProcessLookupError:
        return False
    return True


def _all() -> dict[int, list[str]]:
    """What Linux tells of every process; without it nothing."""
    told = {int(entry.name): _words(int(entry.name)) for entry in Path("/proc").glob("[0-9]*")}
    return {process: words for process, words in told.items() if words}


def _words(process: int) -> list[str]:
    """State, parent, process group, session and more, as Linux tells them; nothing of a process that is not there."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
