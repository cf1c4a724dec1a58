"""Jobs as forks of one process that has the libraries loaded: loading them takes longer than a tiny run."""

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SECONDS = 240
"""After which a command hangs."""


@dataclass(frozen=True)
class Job:
    """What a child does in a folder; its standard output and errors are in files beside that."""

    name: str
    folder: Path
    act: Callable[[Path], None]


@dataclass(frozen=True)
class Ended:
    """How a child ended: exit code as a shell sees it, what it wrote, what it told of itself, how long it took."""

    job: Job
    code: int
    out: str
    err: str
    told: dict[str, str]
    seconds: float


def load_libraries() -> None:
    """What a run imports, once for all children. One thread: a pool of threads does not survive a fork."""
    os.environ["OMP_NUM_THREADS"] = "1"
    import lightning  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import torch

    import ganlab.tasks.train  # noqa: F401

    torch.set_num_threads(1)


def told_in(folder: Path) -> Path:
    """The file in which a child says what it is about to do."""
    return folder.with_suffix(".json")


def tell(folder: Path, told: dict[str, str]) -> None:
    """What the parent process reads of a child."""
    told_in(folder).write_text(json.dumps(told), encoding="utf-8")


def run_all(jobs: Sequence[Job], at_once: int) -> Iterator[Ended]:
    """Each job in a child of its own, so many at a time, in the order in which they end."""
    waiting, running = list(jobs), dict[int, tuple[Job, float]]()
    while waiting or running:
        while waiting and len(running) < at_once:
            job = waiting.pop(0)
            job.folder.mkdir(parents=True, exist_ok=True)
            child = os.fork()
            if child == 0:
                _become(job)
            running[child] = (job, time.monotonic())
        yield from _ended(running)
        time.sleep(0.02)


def _ended(running: dict[int, tuple[Job, float]]) -> Iterator[Ended]:
    for child, (job, began) in list(running.items()):
        seconds = time.monotonic() - began
        if seconds > SECONDS:
            os.kill(child, signal.SIGKILL)
        done, status = os.waitpid(child, os.WNOHANG)
        if done == 0:
            continue
        del running[child]
        told = told_in(job.folder)
        yield Ended(
            job,
            os.waitstatus_to_exitcode(status),
            job.folder.with_suffix(".out").read_text(encoding="utf-8", errors="replace"),
            job.folder.with_suffix(".err").read_text(encoding="utf-8", errors="replace"),
            json.loads(told.read_text(encoding="utf-8")) if told.is_file() else {},
            seconds,
        )


def _become(job: Job) -> None:
    """Never returns."""
    code: object = 1
    try:
        for number, ending in ((1, ".out"), (2, ".err")):
            place = os.open(job.folder.with_suffix(ending), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(place, number)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        os.chdir(job.folder)
        # As `python -m` does: files of the user's own are found.
        sys.path.insert(0, str(job.folder))
        job.act(job.folder)
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)
