"""A long run with everything on: its memory, its open files and its speed stay what they were after the warm-up.

`python benchmarks/faults_endurance.py 20000` prints what was seen along the run.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fault_rows import Row, Run, load_libraries

PERIOD = 100
"""Iterations from one look to the next; between two looks each thing that a run does has its turn."""
WORDS = [
    "model=wgan_gp",
    "data=ring",
    "data.batch_size=32",
    "model.generator.width=16",
    "model.discriminator.width=16",
    "model.latent_dim=4",
    "model.gradient_penalty=0.1",
    "model.discriminator_updates=1",
    "trainer.accelerator=cpu",
    "trainer.threads=1",
    "trainer.log_every=20",
    f"trainer.sample_every={PERIOD}",
    f"trainer.evaluate_every={PERIOD}",
    f"trainer.checkpoint_every={PERIOD}",
    "callbacks.guards=true",
    "logger=tensorboard",
    "metrics.count=200",
    "metrics.reference_count=500",
    "hydra.run.dir=run",
]
GROWTH = 1.0
"""MiB in 10,000 iterations of the second half: the most that is called flat."""
SPEED = 0.9
"""Of the second quarter's speed, what the last one has at least."""


class Look(NamedTuple):
    """A process at an iteration: MiB of resident memory, open files, threads, seconds of processor time so far."""

    iteration: int
    memory: float
    files: int
    threads: int
    seconds: float


def look(iteration: int) -> Look:
    """Linux only."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    memory, threads = int(status["VmRSS"].split()[0]) / 1024, int(status["Threads"])
    return Look(iteration, memory, len(os.listdir("/proc/self/fd")), threads, time.process_time())


def watched(record: Path) -> Callable[[], None]:
    """In the run's own process: at the end of every `PERIOD`-th iteration a look is added to the file."""

    def arm() -> None:
        from ganlab.callbacks.group import CallbackGroup

        call = CallbackGroup.on_train_batch_end

        def calling(self: CallbackGroup, trainer: object, model: object, *rest: object) -> None:
            call(self, trainer, model, *rest)  # type: ignore[arg-type]
            if model.iteration % PERIOD == 0:  # type: ignore[attr-defined]
                with record.open("a") as file:
                    print(*look(model.iteration), file=file)  # type: ignore[attr-defined]

        CallbackGroup.on_train_batch_end = calling  # type: ignore[method-assign]

    return arm


def endured(iterations: int, *words: str) -> list[Look]:
    """The looks at one run; raises `RuntimeError` if it does not end well."""
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder, "looks")
        run = Run(Path(folder), *WORDS, f"trainer.max_iterations={iterations}", *words, before=watched(record))
        if run.wait(timeout=3600) != 0:
            raise RuntimeError(f"the run fails: {run.err.strip()[-500:]}")
        lines = [line.split() for line in record.read_text().splitlines()]
    return [Look(int(a), float(b), int(c), int(d), float(e)) for a, b, c, d, e in lines]


def growth(looks: list[Look]) -> float:
    """MiB in 10,000 iterations: the slope of a straight line through the second half."""
    half = looks[len(looks) // 2 :]
    return 10_000 * float(np.polyfit([one.iteration for one in half], [one.memory for one in half], 1)[0])


def new_files(looks: list[Look]) -> int:
    """The most open files of the last quarter over the most of the second."""
    return max(one.files for one in quarter(looks, 4)) - max(one.files for one in quarter(looks, 2))


def speed(looks: list[Look], number: int) -> float:
    """Iterations for a second of the processor: the median over the quarter, from look to look."""
    part = quarter(looks, number)
    pairs = pairwise(part)
    return statistics.median((new.iteration - old.iteration) / (new.seconds - old.seconds) for old, new in pairs)


def quarter(looks: list[Look], number: int) -> list[Look]:
    """From 1 to 4; each begins with the look with which the one before it ends."""
    size = len(looks) // 4
    return looks[max(0, (number - 1) * size - 1) : number * size]


def rows(iterations: int = 20_000) -> Iterable[Row]:
    try:
        looks = endured(iterations)
    except RuntimeError as error:
        yield Row(f"{iterations:,} iterations with everything on", 1, 0, 1, str(error))
        return
    grown, opened, kept = growth(looks), new_files(looks), speed(looks, 4) / speed(looks, 2)
    for what, good, note in (
        ("memory grows", grown < GROWTH, f"{grown:+.2f} MiB in 10,000 iterations, at {looks[-1].memory:,.0f} MiB"),
        ("files stay open", opened <= 0, f"{looks[-1].files} open files, {opened:+d}"),
        ("it becomes slower", kept > SPEED, f"×{kept:.2f}, last quarter to second, of the processor's time"),
    ):
        yield Row(f"{iterations:,} iterations: {what}", 1, int(good), int(not good), note)


def main() -> None:
    load_libraries()
    looks = endured(int(sys.argv[1]) if sys.argv[1:] else 20_000, *sys.argv[2:])
    print(f"{'iteration':>10}{'MiB':>10}{'files':>7}{'threads':>9}{'seconds':>10}")
    for one in looks[:: max(1, len(looks) // 20)]:
        print(f"{one.iteration:10,}{one.memory:10,.1f}{one.files:7}{one.threads:9}{one.seconds:10.1f}")
    speeds = ", ".join(f"{speed(looks, number):.0f}" for number in range(1, 5))
    print(
        f"memory {growth(looks):+.2f} MiB in 10,000 iterations; files {new_files(looks):+d}; it/s by quarter {speeds}"
    )


if __name__ == "__main__":
    main()
