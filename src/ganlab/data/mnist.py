"""MNIST and Fashion-MNIST from their idx files, compressed or not."""

import gzip
import math
import zlib
from io import BufferedReader
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ganlab.data.digits import DIGITS
from ganlab.data.download import DownloadedData
from ganlab.data.image_module import resize, with_channels
from ganlab.data.image_source import MemoryImages
from ganlab.errors import DataError

MOST = 2**30
"""Bytes of an array that is read from an idx file: more than twenty times MNIST's training images."""
CHUNK = 2**24
"""Bytes that are unpacked at a time."""
PADDED = 32
"""Pixels along a side of a 28x28 image with its margin, which other sizes are scaled from."""


class MnistData(DownloadedData):
    """Handwritten digits, 60,000 and 10,000, in `root/MNIST/raw`."""

    title = "MNIST"
    classes: ClassVar[list[str]] = DIGITS

    @property
    def extractor(self) -> str | None:
        return "digits"

    @property
    def folder(self) -> Path:
        return self.root / self.title / "raw"

    def absent(self) -> list[str]:
        names = [f"{part}-{kind}" for part in ("train", "t10k") for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")]
        return [name for name in names if _existing(self.folder / name) is None]

    def remedy(self) -> str:
        return super().remedy() + " (or the same as .gz)"

    def load(self) -> tuple[MemoryImages, MemoryImages]:
        self.verify_classes(self.classes)
        self.verify_files()
        return self._part("train"), self._part("t10k")

    def _part(self, part: str) -> MemoryImages:
        images, labels = read_labelled_images(self.folder, part, len(self.classes))
        images = with_channels(scaled(images, self.image_size), self.channels)
        return MemoryImages(images, self.labels(labels))


class FashionMnistData(MnistData):
    """Clothes, 60,000 and 10,000, in `root/FashionMNIST/raw`."""

    title = "FashionMNIST"
    classes: ClassVar[list[str]] = [
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ]

    @property
    def extractor(self) -> str | None:
        return "random_conv"


def scaled(images: Tensor, size: int) -> Tensor:
    """Images of 28x28 as they are, at 32x32 with a margin of two pixels, else that scaled."""
    if images.shape[-1] == size:
        return images
    margin = (PADDED - images.shape[-1]) // 2
    return resize(functional.pad(images, [max(margin, 0)] * 4), size)


def read_labelled_images(folder: Path, part: str, num_classes: int) -> tuple[Tensor, Tensor]:
    """uint8 images [n, 1, height, width] and labels int64 [n] of `train` or `t10k`; raises `DataError`."""
    images, labels = (
        read_idx(_existing(folder / f"{part}-{kind}") or folder / f"{part}-{kind}")
        for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")
    )
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels) or images.shape[1] != images.shape[2]:
        raise DataError(
            f"{folder}: {part} images {images.shape} and labels {labels.shape} do not fit together; fetch them anew"
        )
    if len(labels) and labels.max() >= num_classes:
        raise DataError(f"{folder}: {part} labels reach {labels.max()}, and there are {num_classes} classes")
    return torch.from_numpy(images).unsqueeze(1), torch.from_numpy(labels).long()


def read_idx(path: Path) -> np.ndarray:
    """The array of unsigned bytes in an idx file, gzipped or not; raises `DataError` if it is damaged.

    No more is unpacked than the array that the file announces, and that has a bound: a few bytes can unpack to many.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return _read_array(file, path)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}); fetch it anew") from error


def _read_array(file: gzip.GzipFile | BufferedReader, path: Path) -> np.ndarray:
    # Magic number: two zero bytes, 0x08 for unsigned bytes, the number of dimensions.
    magic = file.read(4)
    if len(magic) < 4 or magic[:3] != b"\0\0\x08":
        raise DataError(f"{path}: not an idx file of unsigned bytes; fetch it anew")
    header = file.read(4 * magic[3])
    shape = tuple(int.from_bytes(header[place : place + 4], "big") for place in range(0, len(header), 4))
    announced = math.prod(shape)
    if announced > MOST:
        raise DataError(f"{path}: announces {announced:,} bytes, more than the {MOST:,} that are read; fetch it anew")
    data = bytearray()
    while len(data) <= announced and (part := file.read(min(announced + 1 - len(data), CHUNK))):
        data += part
    if len(data) != announced:
        wrong = "longer than it announces" if len(data) > announced else f"truncated ({len(data)} bytes of {announced})"
        raise DataError(f"{path}: {wrong}; fetch it anew")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _existing(path: Path) -> Path | None:
    candidates = (path, path.with_name(path.name + ".gz"))
    return next((candidate for candidate in candidates if candidate.is_file()), None)
