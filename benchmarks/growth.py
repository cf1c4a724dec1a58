"""How time and memory grow with each size that a user can choose: one table, and whether all is linear or better.

    python benchmarks/growth.py                        # everything; ten minutes, 600 MB of disk and a million files
    python benchmarks/growth.py only=rows,tags         # image, batch, data, tags, rows, jobs
    python benchmarks/growth.py only=data most=100000  # sizes up to this one

Each size is measured in a process of its own, its start-up left out. The exponent is the slope of a straight line
through the larger half of the sizes, both axes logarithmic: 1 is linear growth, 0 is none. Seconds are the processor's,
which others on the machine change little, but for training and where the clock is named. Memory is what came on top
of the loaded libraries. What is made for the data set (a folder of empty files, and their cache in its true format) is
removed afterwards.
"""

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

BOUND = 1.1
"""The largest exponent that is called linear: timings repeat to a few per cent."""
SECONDS, MEBIBYTES = 1e-4, 1.0
"""What is below is taken for as much: growth among such numbers says nothing."""
SIDE = 16
"""Pixels along a side of the images in the cache."""
BATCH = 64
Found = dict[str, float]
"""From a quantity, which ends in its unit (s or MiB), to its value; one in brackets is shown and not judged."""


class Growth(NamedTuple):
    """`title` says what the sizes are and what is fixed; `measure` gives the quantities of one size."""

    title: str
    sizes: list[int]
    measure: Callable[[int], Found]
    x: Callable[[int], int] = lambda size: size
    """What time is to be linear in, if not in the size itself."""


def exponent(sizes: list[float], values: list[float]) -> float:
    """The slope, on logarithmic axes, through the larger half of the points (two at least)."""
    half = max(2, (len(sizes) + 1) // 2)
    return float(np.polyfit(np.log(sizes[-half:]), np.log(values[-half:]), 1)[0])


def rows_of(growth: Growth, found: list[Found], sizes: list[int]) -> list[tuple[str, bool]]:
    """For each quantity its line of the table, and whether it is linear or better."""
    rows = []
    for name in found[0]:
        values = [point[name] for point in found]
        floor = SECONDS if name.strip("()").endswith(" s") else MEBIBYTES
        slope = exponent([growth.x(size) for size in sizes], [max(value, floor) for value in values])
        judged = not name.startswith("(")
        good = slope <= BOUND or not judged
        verdict = ("linear or better" if good else "WORSE THAN LINEAR") if judged else ""
        cells = "".join(f"{short(value):>11}" for value in values)
        rows.append((f"  {name:38}{cells}{slope:9.2f}  {verdict}".rstrip(), good))
    return rows


def short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}" if value >= 1e-4 else "0"


# -- training -----------------------------------------------------------------------------------------------------


def of_side(pixels: int) -> Found:
    return iteration(pixels, 32)


def of_batch(samples: int) -> Found:
    return iteration(32, samples)


def iteration(image_size: int, batch: int) -> Found:
    """One iteration of DCGAN, run as a user runs it."""
    from timed_runs import peak_memory, timed_run

    libraries = peak_memory([sys.executable, "-c", "import ganlab.tasks.train"])
    words = f"model=dcgan data=digits data.image_size={image_size} data.batch_size={batch} trainer.accelerator=cpu"
    timing = timed_run(words, every=max(1, 2**16 // (batch * image_size**2)))
    return {"iteration, s": batch / timing.images_per_second, "peak memory, MiB": timing.mebibytes - libraries}


# -- data ---------------------------------------------------------------------------------------------------------


@contextmanager
def data_set(count: int) -> Iterator[Path]:
    """A folder with `images/`, of empty files, and `cache/`, in which they are decoded to numbered images."""
    from ganlab.data import cache
    from ganlab.data.folder import ImageFolderData

    needed = count * (SIDE * SIDE + 600)
    with tempfile.TemporaryDirectory() as place:
        if shutil.disk_usage(place).free < 2 * needed:
            sys.exit(
                f"{place}: {count:,} images need {needed / 2**30:.1f} GiB and as much to spare; set TMPDIR, or most="
            )
        root, store = Path(place, "images"), Path(place, "cache")
        names = [f"{number // 1000:04d}/{number % 1000:03d}.jpg" for number in range(count)]
        for name in names:
            if name.endswith("/000.jpg"):
                (root / name).parent.mkdir(parents=True)
            os.close(os.open(f"{root}/{name}", os.O_CREAT | os.O_WRONLY))
        target = store / ("0" * 64)
        target.mkdir(parents=True)
        cache.write_cache(target, numbered_images(count), names, {})
        data = ImageFolderData(**options_of(Path(place)))
        alias = store / "listings" / cache._listing_key(root, names, data.preprocessing())
        alias.parent.mkdir()
        alias.write_text(target.name)
        yield Path(place)


def options_of(place: Path) -> dict[str, Any]:
    """Of the data module for such a folder."""
    folders = {"root": str(place / "images"), "cache_dir": str(place / "cache")}
    return {
        "name": "growth",
        "batch_size": BATCH,
        "channels": 1,
        "image_size": SIDE,
        "sample_shape": [1, SIDE, SIDE],
    } | folders


def numbered_images(count: int, block: int = 4096) -> Iterator[np.ndarray]:
    """uint8 [block, 1, SIDE, SIDE] at a time: the first four bytes of an image are its number."""
    for first in range(0, count, block):
        images = np.zeros((min(block, count - first), 1, SIDE, SIDE), np.uint8)
        numbers = np.arange(first, first + len(images), dtype="<u4")
        images.reshape(len(images), -1)[:, :4] = numbers.view(np.uint8).reshape(-1, 4)
        yield images


def data(count: int) -> Found:
    with data_set(count) as place:
        return in_process("open_cache", str(place)) | in_process("draw", str(place)) | in_process("set_up", str(place))


def open_cache(place: str) -> Found:
    """The cache alone, opened as a run does once it knows which one."""
    from ganlab.data import cache

    before = resident("VmRSS")
    clock, began = time.perf_counter(), processor()
    found = cache._open(Path(place, "cache", "0" * 64))
    took = {"(cache: opening, by the clock, s)": time.perf_counter() - clock, "cache: opening, s": processor() - began}
    opened = resident("VmRSS") - before
    assert found is not None
    names = found.names
    assert len(names) == len(found.images)
    return took | {"cache: opening, MiB": opened, "cache: its names as strings, MiB": resident("VmRSS") - before}


def draw(place: str) -> Found:
    """Batches around the end of an epoch, where the order of the next one is drawn."""
    import torch

    from ganlab.data import cache
    from ganlab.data.image_source import MappedImages
    from ganlab.data.stream import BatchStream

    torch.set_num_threads(1)
    found = cache._open(Path(place, "cache", "0" * 64))
    assert found is not None
    before = resident("RssAnon")
    count = len(found.images)
    stream = BatchStream(MappedImages(found.images, torch.arange(count), None), BATCH)
    last = count // BATCH
    within, at_ends = [], []
    for number in range(max(0, last - 300), last + 300):
        began = processor()
        stream.batch(number)
        took = processor() - began
        first, end = number * BATCH, (number + 1) * BATCH
        (at_ends if first // count != (end - 1) // count or first % count == 0 else within).append(took)
    return {
        "a batch, s": statistics.median(within),
        # A permutation of a million numbers does not fit into the processor's caches; it comes once an epoch.
        "(a batch at an epoch's end, s)": statistics.median(at_ends),
        "an epoch, s": count / BATCH * statistics.median(within) + statistics.median(at_ends),
        "batches, MiB": resident("RssAnon") - before,
    }


def set_up(place: str) -> Found:
    """The data module as a run sets it up: the folder is listed, each file's size and times are asked for."""
    from ganlab.data.cache import decoded_images
    from ganlab.data.folder import ImageFolderData

    before = resident("RssAnon")
    data = ImageFolderData(**options_of(Path(place)))
    times = [processor()]
    folder, names = data.files()
    times.append(processor())
    data._decoded = decoded_images(folder, names, data.preprocessing(), data.cache_dir, skip_corrupt=False)
    times.append(processor())
    del names
    data.setup()
    times.append(processor())
    listing, stats, order = np.diff(times)
    return {
        "folder: listing, s": listing,
        "folder: sizes and times of files, s": stats,
        "folder: split and order, s": order,
        "folder: set up, MiB": resident("RssAnon") - before,
    }


# -- logging ------------------------------------------------------------------------------------------------------


def tags(count: int) -> Found:
    return in_process("log", str(count), "50")


def rows(count: int) -> Found:
    return in_process("log", "30", str(count))


def log(tags: str, rows: str) -> Found:
    """Every row is logged in two parts, as losses and what is held out are."""
    import torch  # noqa: F401  the loggers load it; its memory is not theirs

    from ganlab.callbacks.records import CSVRecord, RunTensorBoard

    values = {f"group_{number % 7}/tag_{number}": number / 7 for number in range(int(tags))}
    held_out = {"held_out/tag": 0.5}
    with tempfile.TemporaryDirectory() as folder:
        loggers = [CSVRecord(Path(folder), 0), RunTensorBoard(Path(folder), 0)]
        for logger in loggers:
            logger.log_metrics(values, step=0)
        before = resident("RssAnon")
        found = {}
        for name, logger in zip(("metrics.csv", "TensorBoard"), loggers, strict=True):
            began = processor()
            for step in range(1, int(rows) + 1):
                logger.log_metrics(values, step=50 * step)
                logger.log_metrics(held_out, step=50 * step)
            logger.save()
            found[f"{name}: all rows, s"] = processor() - began
        return found | {"logging, MiB": resident("RssAnon") - before}


# -- sweeps -------------------------------------------------------------------------------------------------------


def jobs(count: int) -> Found:
    return in_process("sweep", str(count))


def sweep(count: str) -> Found:
    """A sweep of jobs that end at once: composed, checked, started, recorded."""
    from ganlab.tasks import launch

    with tempfile.TemporaryDirectory() as folder:
        sys.argv = ["ganlab", "-m", f"seed=range({count})", "model=gan", "data=ring", f"hydra.sweep.dir={folder}/sweep"]
        sys.executable = shutil.which("true") or sys.exit("there is no command `true` here, which stands for the jobs")
        before = resident("RssAnon")
        began = processor()
        with open(os.devnull, "w") as nowhere:
            screen = os.dup(1)
            os.dup2(nowhere.fileno(), 1)
            try:
                launch.main()
            finally:
                sys.stdout.flush()
                os.dup2(screen, 1)
        return {"all jobs, s": processor() - began, "sweep, MiB": resident("RssAnon") - before}


# -- the table ----------------------------------------------------------------------------------------------------


def processor() -> float:
    """Seconds of processor time, of this process and those that it has started."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def resident(kind: str) -> float:
    """Of this process, in MiB: VmRSS, all resident memory; RssAnon, without mapped files. Linux only."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{kind}:"))


def in_process(*words: str) -> Found:
    """What a function of this file gives in a process of its own."""
    done = subprocess.run([sys.executable, __file__, "point", *words], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


SIZES, BATCHES, COUNTS = [16, 32, 64, 128], [16, 32, 64, 128, 256], [10**3, 10**4, 10**5, 10**6]
GROWTHS = {
    "image": Growth("pixels along a side (batch 32), to be linear in their square", SIZES, of_side, lambda n: n * n),
    "batch": Growth("samples a batch (32×32 pixels)", BATCHES, of_batch),
    "data": Growth(f"images in the data set ({SIDE}×{SIDE} pixels, batches of {BATCH})", COUNTS, data),
    "tags": Growth("logged tags (50 rows)", [10, 100, 1000], tags),
    "rows": Growth("logged rows (30 tags)", [10**2, 10**3, 10**4], rows),
    "jobs": Growth("jobs of a sweep, which end at once", [1, 10, 100], jobs),
}


def main() -> None:
    if sys.argv[1:2] == ["point"]:
        print(json.dumps(globals()[sys.argv[2]](*sys.argv[3:])))
        return
    options = {"only": ",".join(GROWTHS), "most": "1000000"} | dict(word.split("=") for word in sys.argv[1:])
    all_good = True
    for name in options["only"].split(","):
        growth = GROWTHS[name]
        sizes = [size for size in growth.sizes if size <= int(options["most"])]
        print(f"\n{growth.title}\n  {'':38}" + "".join(f"{size:>11,}" for size in sizes) + " exponent", flush=True)
        for line, good in rows_of(growth, [growth.measure(size) for size in sizes], sizes):
            print(line, flush=True)
            all_good = all_good and good
    print(f"\n{'all linear or better' if all_good else 'NOT all linear'} (exponents up to {BOUND})")
    sys.exit(0 if all_good else 1)


if __name__ == "__main__":
    main()
