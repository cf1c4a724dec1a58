"""Which processes still run. One that has ended and whose parent never asks for it (as in a container whose first
process does no such thing) stays in the system's table, and would take a signal, but does not run."""

import os
import time
from collections.abc import Callable
from pathlib import Path


def running(process: int) -> bool:
    """Whether a process runs; by Linux's account, elsewhere by whether it can be sent a signal."""
    if not Path("/proc/self/stat").exists():
        return _takes_signals(os.kill, process)
    return _state_and_group(process)[0] not in ("", "Z", "X")


def group_running(group: int) -> bool:
    """Whether any process of a process group runs."""
    if not Path("/proc/self/stat").exists():
        return _takes_signals(os.killpg, group)
    found = (_state_and_group(int(entry.name)) for entry in Path("/proc").glob("[0-9]*"))
    return any(of == group and state not in ("Z", "X") for state, of in found)


def gone(*processes: int, runs: Callable[[int], bool] = running) -> bool:
    """Whether none of them runs any more, or soon will not."""
    patience = time.monotonic() + 10
    while any(map(runs, processes)):
        if time.monotonic() > patience:
            return False
        time.sleep(0.1)
    return True


def with_descendants(process: int) -> list[int]:
    """A process and all that it has started, and those, and so on; on Linux, elsewhere itself alone."""
    parents = {int(entry.name): _words(int(entry.name)) for entry in Path("/proc").glob("[0-9]*")}
    found = [process]
    for one in found:
        found.extend(child for child, words in parents.items() if words and int(words[1]) == one)
    return found


def _takes_signals(send: Callable[[int, int], None], number: int) -> bool:
    try:
        send(number, 0)
    except ProcessLookupError:
        return False
    return True


def _state_and_group(process: int) -> tuple[str, int]:
    words = _words(process)
    return (words[0], int(words[2])) if words else ("", -1)


def _words(process: int) -> list[str]:
    """State, parent, process group and more, as Linux tells them; nothing of a process that is not there."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
