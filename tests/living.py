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


def _takes_signals(send: Callable[[int, int], None], number: int) -> bool:
    try:
        send(number, 0)
    except ProcessLookupError:
        return False
    return True


def _state_and_group(process: int) -> tuple[str, int]:
    try:
        words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "", -1
    return words[0], int(words[2])
