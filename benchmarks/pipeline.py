"""Images per second from JPEGs like CelebA's to batches for training: ganlab's data against torchvision's ImageFolder.

    python benchmarks/pipeline.py                     # 2,000 faces' worth of JPEGs, 178×218, to 64×64, batches of 128
    python benchmarks/pipeline.py count=10000 workers=0,2,4

The usual way is ImageFolder with CenterCrop, Resize, ToTensor and Normalize in a DataLoader. Both crop and scale alike
(bilinear, antialiased): the largest difference between their pixels is printed, in steps of 1/255. ganlab decodes once,
in the first epoch; what that costs is a row of its own. After it epochs alternate, so that a change of the machine's
speed meets all; told are the median and the range over rounds.
"""

import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from ganlab.data.celeba import CelebAData
from ratios import beside_the_first

WIDTH, HEIGHT, CROP, SIZE, BATCH = 178, 218, 178, 64, 128
EPOCHS = 20
"""Epochs of the cache in one reading of the clock: one alone is over too soon."""
OPTIONS = {"count": "2000", "workers": "0,2", "rounds": "5"}
told = partial(beside_the_first, line="{:40} {:12,.0f} images/s   ×{:.1f} ({:.1f}–{:.1f})")


def write_jpegs(folder: Path, count: int) -> None:
    """Colour pictures as large as CelebA's, and of about as many bytes: smooth shapes with some noise."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (14, 12, 3), np.uint8)).resize((WIDTH, HEIGHT), Image.BICUBIC)
        grain = random.normal(0, 4, (HEIGHT, WIDTH, 3))
        pixels = (np.asarray(coarse) + grain).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:06d}.jpg", quality=85)


def ours(root: Path) -> CelebAData:
    """The data as `data=celeba` has it, every image in the training part."""
    data = CelebAData(
        **{"name": "celeba", "batch_size": BATCH, "channels": 3, "image_size": SIZE, "sample_shape": [3, SIZE, SIZE]},
        **{"root": str(root), "cache_dir": str(root / "cache"), "resampling": "bilinear", "crop": CROP},
        test_fraction=0.0,
    )
    data.prepare_data()
    data.setup()
    return data


def theirs(root: Path) -> ImageFolder:
    steps = [transforms.CenterCrop(CROP), transforms.Resize(SIZE), transforms.ToTensor()]
    return ImageFolder(str(root / "celeba"), transforms.Compose([*steps, transforms.Normalize([0.5] * 3, [0.5] * 3)]))


def epoch_of_theirs(folder: ImageFolder, workers: int) -> Callable[[], int]:
    """One epoch at each call, by the same loader; gives the number of images."""
    kept: dict[str, Any] = {"persistent_workers": True} if workers else {}
    loader = DataLoader(folder, BATCH, shuffle=True, drop_last=True, num_workers=workers, **kept)
    return lambda: sum(len(batch) for batch, _ in loader)


def epochs_of_ours(data: CelebAData, epochs: int) -> Callable[[], int]:
    batches: Iterator[Any] = iter(data.train_dataloader())
    count = epochs * len(data.decoded().images) // BATCH
    return lambda: sum(len(next(batches).samples) for _ in range(count))


def largest_difference(data: CelebAData, folder: ImageFolder, count: int) -> float:
    """Between the two ways' pixels, of the first files, in steps of 1/255."""
    places = {name: row for row, name in enumerate(data.decoded().names)}
    largest = 0.0
    for row in range(min(count, len(folder))):
        own = data.decoded().images[places[Path(folder.samples[row][0]).name]]
        other: Tensor = (folder[row][0] + 1) * 127.5
        largest = max(largest, float((torch.from_numpy(own.astype(np.float32)) - other).abs().max()))
    return largest


def speed(work: Callable[[], int]) -> float:
    """Images per second."""
    began = time.perf_counter()
    images = work()
    return images / (time.perf_counter() - began)


def main() -> None:
    options = OPTIONS | dict(word.split("=") for word in sys.argv[1:])
    count, rounds = int(options["count"]), int(options["rounds"])
    warnings.filterwarnings("ignore")
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        write_jpegs(root / "celeba" / "img_align_celeba", count)
        began = time.perf_counter()
        data = ours(root)
        built = time.perf_counter() - began
        folder = theirs(root)
        ways = {
            f"ImageFolder, {workers} workers": epoch_of_theirs(folder, workers)
            for workers in map(int, options["workers"].split(","))
        }
        ways["ganlab, after the first epoch"] = epochs_of_ours(data, EPOCHS)
        speeds: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds + 1):
            for name, work in ways.items():
                measured = speed(work)
                if number:  # the first time starts workers and fills the system's caches
                    speeds[name].append(measured)
        plain = statistics.median(speeds[next(iter(ways))])
        print(f"{count:,} JPEGs of {WIDTH}×{HEIGHT} to {SIZE}×{SIZE}, batches of {BATCH}; × is over the first row")
        print("\n".join(told(speeds)))
        print(f"ganlab, the cache built: {built:.1f} s, once ({built * plain / count:.2f} epochs of the first row)")
        print(f"largest difference of pixels: {largest_difference(data, folder, 500):.2f}/255")


if __name__ == "__main__":
    main()
