"""Processes that a launcher started, on one machine or several, agree before a run begins.

The first one claims the run's folder and tells the others; a mistake that one of them meets ends all, and is said once.
They meet in torch's key-value store at the launcher's address: torchrun's own store where it offers one, else one that
the first process serves there, and which the process group then shares. Nothing of this needs a common file system.
"""

import json
import os
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from ganlab.errors import GanlabError

SECONDS = "GANLAB_MEETING_SECONDS"
"""The environment variable that says how long processes wait for each other at the start; 300 without it."""
PREPARING = 24 * 3600.0
"""Seconds within which the others may decode or download their data."""
GRACE = 30.0
"""Seconds more that the others wait, so that the first can tell them why it gives up, and that it waits for them."""
SHORT = 10.0
"""Seconds that the others let the first one speak when training has failed."""


class MeetingError(GanlabError):
    """Processes of one run that do not find each other."""


class Refused(GanlabError):
    """Another process of the run has met a mistake, and so this one ends with the same exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Meeting:
    """One process's seat. `name` tells this run's keys from those of others in the same store.

    Raises `MeetingError` if the store cannot be served or reached within the time.
    """

    folder: Path | None = None
    """The run's folder as the first process told it to this one."""
    over: bool = False
    """Set when training begins: from then on the process group is where they meet."""

    def __init__(self, rank: int, processes: int, address: str, port: int, *, serves: bool, name: str) -> None:
        self.rank = rank
        self.processes = processes
        self.place = f"{address}:{port}"
        self.limit = float(os.environ.get(SECONDS) or 300)
        self._left = False
        self._store = self._open(address, port, rank == 0 and serves, name)

    def _open(self, address: str, port: int, serves: bool, name: str) -> Any:
        from torch.distributed import PrefixStore, TCPStore

        patience = timedelta(seconds=self.limit)
        try:
            # Shared with the process group, which opens one at the same address later on.
            store = TCPStore(address, port, None, serves, timeout=patience, wait_for_workers=False, multi_tenant=True)
        except RuntimeError as error:
            if serves:
                reason = f"cannot be listened at ({_first_line(error)}); set MASTER_PORT to a free port"
            else:
                reason = f"nobody answered for {self.limit:.0f} s; is the first process running, and reached there?"
            raise MeetingError(f"MASTER_ADDR:MASTER_PORT={self.place}: {reason}") from None
        return PrefixStore(name, store)

    def gather(self, stage: str, limit: float | None = None) -> None:
        """Wait until all processes have come to this stage; raises `Refused` if one has met a mistake instead.

        Raises `MeetingError` if some have not come within `limit` seconds.
        """
        self._set(f"{stage}/{self.rank}", "here")
        self._await([f"{stage}/{rank}" for rank in range(self.processes)], limit or self.limit)

    def tell(self, key: str, value: str) -> None:
        """Say something that the others are `told`."""
        self._set(key, value)

    def told(self, key: str) -> str:
        """What another process tells under this key; waits for it, and raises as `gather` does."""
        self._await([key], self.limit)
        return self._store.get(key).decode()

    def leave(self, mistake: str, exit_code: int) -> None:
        """End the meeting for all because of a mistake; returns when this process may end.

        The others stay until the first has left the word that it has said why: a launcher that sees one of its
        processes fail kills the rest of them.
        """
        if self._left:
            return
        self._left = True
        with suppress(RuntimeError, MeetingError):
            if self.over:
                if self.rank:
                    self._until(["left/0"], SHORT)
                else:
                    self._set("left/0", "here")
                return
            told = json.dumps({"mistake": mistake, "exit_code": exit_code, "rank": self.rank})
            self._store.compare_set("refused", "", told)
            if self.rank:
                self._until(["left/0"], GRACE)
            self._set(f"left/{self.rank}", "here")
            if self.rank == 0:
                self._until([f"left/{rank}" for rank in range(self.processes)], GRACE)

    def _await(self, keys: list[str], limit: float) -> None:
        if self.rank:
            limit += GRACE
        if self._until(keys, limit, refusable=True):
            return
        missing = [key.rpartition("/")[2] for key in keys if not self._store.check([key])]
        raise MeetingError(
            f"waited {limit:.0f} s for process {', '.join(missing)} of {self.processes} (0 to {self.processes - 1}): "
            f"start the same command on every node; {SECONDS} sets how long"
        )

    def _until(self, keys: list[str], limit: float, *, refusable: bool = False) -> bool:
        """Whether all keys are there before the time is up."""
        deadline, pause = time.monotonic() + limit, 0.01
        while True:
            try:
                if refusable and self._store.check(["refused"]):
                    self._raise_refused()
                if self._store.check(keys):
                    return True
            except RuntimeError as error:
                raise MeetingError(f"the process at {self.place} has gone ({_first_line(error)})") from None
            if time.monotonic() > deadline:
                return False
            time.sleep(pause)
            pause = min(0.2, 1.5 * pause)

    def _raise_refused(self) -> None:
        told = json.loads(self._store.get("refused").decode())
        raise Refused(f"process {told['rank']} of {self.processes}: {told['mistake']}", int(told["exit_code"]))

    def _set(self, key: str, value: str) -> None:
        try:
            self._store.set(key, value)
        except RuntimeError as error:
            raise MeetingError(f"the process at {self.place} has gone ({_first_line(error)})") from None


_joined: Meeting | None = None


def join(rank: int, processes: int, address: str, port: int, *, serves: bool, name: str) -> Meeting:
    """The meeting of this process's run; it is the same one at every call."""
    global _joined
    if _joined is None:
        _joined = Meeting(rank, processes, address, port, serves=serves, name=name)
    return _joined


def joined() -> Meeting | None:
    """The meeting that this process has joined, if any."""
    return _joined


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
