"""Two processes of one thread each against one process with two threads, on the same global batch: images per second.

    python benchmarks/processes.py                    # DCGAN at 64 and 32 pixels
    python benchmarks/processes.py size=64 rounds=5
    python benchmarks/processes.py batch=128          # of all processes together

Each is a run of the command line; they alternate, so that a change of the machine's speed meets all. × is over the
first of the same round: the median, and the range. The third is what the machine allows: two runs at the same time that
have nothing to say to each other. Any other word goes to every run: model=wgan_gp.
"""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from ratios import beside_the_first
from timed_runs import timed_run

EVERY = {32: 20, 64: 5}
"""Iterations between two readings of the clock, by image size: some seconds each."""
OPTIONS = {"size": "64,32", "rounds": "5", "batch": "64"}
KINDS = {
    "one process, two threads": "trainer.devices=1 trainer.threads=2",
    "two processes, one thread each": "trainer.devices=2 trainer.threads=1",
    "two runs apart, one thread each": "trainer.devices=1 trainer.threads=1",
}
told = partial(beside_the_first, line="  {:31} {:8.1f} images/s   ×{:.2f} ({:.2f}–{:.2f})")


def words_of(kind: str, size: int, batch: int, others: list[str]) -> str:
    """What is typed after `python -m ganlab`; `batch` is shared by the processes."""
    own = batch // (1 if kind.startswith("one") else 2)
    model = "" if any(word.startswith("model=") for word in others) else "model=dcgan"
    common = f"{model} data=digits data.image_size={size} data.batch_size={own} trainer.accelerator=cpu"
    return " ".join([common, KINDS[kind], *others])


def alternated(measure: Callable[[str], float], rounds: int) -> dict[str, list[float]]:
    """What `measure` says of each kind, so many times; every other round goes the other way round."""
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for number in range(rounds):
        for kind in list(KINDS)[:: -1 if number % 2 else 1]:
            found[kind].append(measure(kind))
    return found


def main() -> None:
    given = [word.partition("=") for word in sys.argv[1:]]
    options = OPTIONS | {key: value for key, _, value in given if key in OPTIONS}
    others = ["".join(word) for word in given if word[0] not in OPTIONS]
    batch = int(options["batch"])
    for size in map(int, options["size"].split(",")):

        def measure(kind: str, size: int = size) -> float:
            words, runs = words_of(kind, size, batch, others), 2 if kind.startswith("two runs") else 1
            with ThreadPoolExecutor(runs) as at_once:
                timings = at_once.map(partial(timed_run, every=EVERY.get(size, 5)), [words] * runs)
                return sum(timing.images_per_second for timing in timings)

        print(f"DCGAN {size}×{size}, {batch} images an update, {options['rounds']} rounds" + " ".join(["", *others]))
        print("\n".join(told(alternated(measure, int(options["rounds"])))), flush=True)


if __name__ == "__main__":
    main()
