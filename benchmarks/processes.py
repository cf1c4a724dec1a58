"""Two processes of one thread each against one process with two threads, on the same global batch: images per second.

    python benchmarks/processes.py                    # DCGAN at 64 and 32 pixels
    python benchmarks/processes.py size=64 rounds=5
    python benchmarks/processes.py batch=128          # of all processes together

Each is a run of the command line; they alternate, so that a change of the machine's speed meets both. × is the second
over the first of the same round: the median, and the range. Any other word goes to every run: model=wgan_gp.
"""

import sys
from collections.abc import Callable
from functools import partial

from ratios import beside_the_first
from timed_runs import timed_run

EVERY = {32: 20, 64: 5}
"""Iterations between two readings of the clock, by image size: some seconds each."""
OPTIONS = {"size": "64,32", "rounds": "5", "batch": "64"}
KINDS = {
    "one process, two threads": "trainer.devices=1 trainer.threads=2",
    "two processes, one thread each": "trainer.devices=2 trainer.threads=1",
}
told = partial(beside_the_first, line="  {:31} {:8.1f} images/s   ×{:.2f} ({:.2f}–{:.2f})")


def words_of(kind: str, size: int, batch: int, others: list[str]) -> str:
    """What is typed after `python -m ganlab`; `batch` is shared by the processes."""
    own = batch // (2 if "devices=2" in KINDS[kind] else 1)
    model = "" if any(word.startswith("model=") for word in others) else "model=dcgan"
    common = f"{model} data=digits data.image_size={size} data.batch_size={own} trainer.accelerator=cpu"
    return " ".join([common, KINDS[kind], *others])


def alternated(measure: Callable[[str], float], rounds: int) -> dict[str, list[float]]:
    """What `measure` says of each kind, so many times; every other round begins with the other kind."""
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
            return timed_run(words_of(kind, size, batch, others), every=EVERY.get(size, 5)).images_per_second

        print(f"DCGAN {size}×{size}, {batch} images an update, {options['rounds']} rounds" + " ".join(["", *others]))
        print("\n".join(told(alternated(measure, int(options["rounds"])))), flush=True)


if __name__ == "__main__":
    main()
