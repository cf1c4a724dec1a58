"""What each of several jobs at a time may use of this machine: its share of the CPU cores, GPUs of its own.

Jobs run in processes that know nothing of one another. A job takes a slot and GPUs by locking files; it keeps
them while it runs, and loses them with its process.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ganlab.tasks.sweeps.locks import try_lock

_PATIENCE = 0.5
"""Seconds between two looks for what is free."""


@dataclass(frozen=True)
class Share:
    """CPU cores by number, and GPUs as CUDA_VISIBLE_DEVICES names them; None: all that there are."""

    cores: tuple[int, ...] | None = None
    gpus: tuple[str, ...] | None = None


EVERYTHING = Share()


def cores_of(slot: int, slots: int, cores: Sequence[int]) -> tuple[int, ...]:
    """The part of the cores that slot `slot` of `slots` uses: neighbours, in parts that differ by one core at most.

    With more slots than cores each has one core, and some share it.
    """
    if slots > len(cores):
        return (cores[slot % len(cores)],)
    return tuple(cores[slot * len(cores) // slots : (slot + 1) * len(cores) // slots])


def gpus_wanted(devices: int | str, slots: int, gpus: int) -> int:
    """How many of the machine's GPUs a job of `trainer.devices` takes; `auto`: an equal part, one at least.

    Of a job that wants more than there are all are taken: it will refuse to run, and say so.
    """
    return min(devices if isinstance(devices, int) else max(1, gpus // slots), gpus)


@contextmanager
def taken(folder: Path, slots: int, cores: Sequence[int], gpus: Sequence[str], devices: int | str) -> Iterator[Share]:
    """Wait for a free slot, and for as many free GPUs as the job wants; give both back at the end."""
    folder.mkdir(exist_ok=True)
    wanted = gpus_wanted(devices, slots, len(gpus))
    while (held := _try_to_take(folder, slots, gpus, wanted)) is None:
        time.sleep(_PATIENCE)
    slot, own, locks = held
    with locks:
        yield Share(cores_of(slot, slots, cores), own if gpus else None)


def _try_to_take(
    folder: Path, slots: int, gpus: Sequence[str], wanted: int
) -> tuple[int, tuple[str, ...], ExitStack] | None:
    """All or nothing: a job that holds a part and waits for the rest could wait for one that does the same."""
    with ExitStack() as locks:
        slot = next(_locking(folder, "slot", range(slots), locks), None)
        if slot is None:
            return None
        own = []
        for gpu in _locking(folder, "gpu", gpus if wanted else (), locks):
            own.append(gpu)
            if len(own) == wanted:
                break
        if len(own) < wanted:
            return None
        return int(slot), tuple(map(str, own)), locks.pop_all()


def _locking(folder: Path, kind: str, names: Sequence[int | str], locks: ExitStack) -> Iterator[int | str]:
    for name in names:
        descriptor = try_lock(folder / f"{kind}_{str(name).replace('/', '_')}")
        if descriptor is not None:
            locks.callback(os.close, descriptor)
            yield name


def visible_cores() -> list[int]:
    """The numbers of the CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def visible_gpus(environment: Mapping[str, str]) -> list[str]:
    """The CUDA devices that this process may use, as CUDA_VISIBLE_DEVICES names them; asks the driver, not torch."""
    told = environment.get("CUDA_VISIBLE_DEVICES")
    if told is not None:
        # As CUDA does: nothing after the first entry that is none.
        names: list[str] = []
        for name in (part.strip() for part in told.split(",")):
            if not name or name.startswith("-"):
                break
            names.append(name)
        return names
    query = shutil.which("nvidia-smi")
    if query is None:
        return []
    asked = subprocess.run([query, "--query-gpu=index", "--format=csv,noheader"], capture_output=True, text=True)
    return asked.stdout.split() if asked.returncode == 0 else []
