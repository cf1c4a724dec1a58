"""A run of the command line in a process of its own: its images per second, its peak of memory."""

import csv
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

QUIET = "trainer.sample_every=null trainer.checkpoint_every=null trainer.evaluate_every=null trainer.progress=false"
"""Pictures, checkpoints and scores come as often as a user wants them."""
SPEED = "throughput/images_per_second"


class Timing(NamedTuple):
    """`images_per_second`: of all processes together, the median of what was logged, start-up left out; `mebibytes`:
    the peak of resident memory (of several processes the first one's)."""

    images_per_second: float
    mebibytes: float


def timed_run(words: str, *, logged: int = 4, every: int) -> Timing:
    """`python -m ganlab WORDS`, its speed logged `logged` times, after each `every` iterations, and once to warm up."""
    iterations = every * (logged + 1)
    with tempfile.TemporaryDirectory() as folder:
        own = (
            f"trainer.max_iterations={iterations} trainer.log_every={every} metrics.scores=[] logger.tensorboard=false"
        )
        command = [sys.executable, "-m", "ganlab", *words.split(), *QUIET.split(), *own.split()]
        mebibytes = peak_memory([*command, f"hydra.run.dir={folder}/run"])
        return Timing(speed_of(Path(folder, "run/metrics.csv")), mebibytes)


def peak_memory(command: list[str]) -> float:
    """Run a command to its end; its peak of resident memory in MiB, to which this process's own is a floor (Linux).

    Raises `CalledProcessError`, after what the command wrote.
    """
    with tempfile.TemporaryFile() as written:
        process = subprocess.Popen(command, stdout=written, stderr=subprocess.STDOUT)
        try:
            _, status, used = os.wait4(process.pid, 0)
        except BaseException:
            process.terminate()
            raise
        # `wait` would ask for a process that is gone.
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            written.seek(0)
            sys.stderr.write(written.read().decode(errors="replace"))
            raise subprocess.CalledProcessError(process.returncode, command)
    return used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def speed_of(table: Path) -> float:
    """The median of the logged speeds but the first, which holds what is done once."""
    with table.open(newline="") as file:
        speeds = [float(row[SPEED]) for row in csv.DictReader(file)]
    return statistics.median(speeds[1:])
