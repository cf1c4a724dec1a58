"""A folder of images as it is, for scores: no split, no labels, and no resizing unless it is asked for."""

import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ganlab.data.decode import Preprocessing, UnreadableImage, decode, decode_as_it_is, in_threads, shape_of
from ganlab.data.folder import image_files
from ganlab.data.hashing import stable_share
from ganlab.errors import DataError

Shape = tuple[int, int, int]
IN_MEMORY = 2**30
"""Bytes up to which images are kept in memory; more go to a temporary file that is mapped."""
NAMED = 5
"""Files that a line names; the others are counted."""


@dataclass
class PlainImages:
    """The readable images below a folder, and why the others are not.

    `shape`: channels, height and width that all of them have; 3 channels if any is in colour.
    """

    folder: Path
    names: list[str]
    shape: Shape
    skipped: dict[str, str] = field(default_factory=dict)

    def skipped_line(self) -> str:
        """How many images were left out, and which."""
        return _unreadable_line(self.folder, self.skipped, len(self.names) + len(self.skipped))

    def read(self, channels: Literal[1, 3], size: int | None) -> Tensor:
        """uint8 [n, channels, height, width]: as they are, or with `size` their centred squares scaled to it.

        Scaling is Pillow's bicubic. An image that is damaged beyond its header is left out and joins `skipped`.
        """
        height, width = (size, size) if size else self.shape[1:]
        shape = (len(self.names), channels, height, width)
        images = _room(shape)
        reader: Callable[[Path], np.ndarray]
        if size:
            reader = partial(decode, preprocessing=Preprocessing(channels, size))
        else:
            reader = partial(decode_as_it_is, channels=channels)
        kept: list[str] = []
        for name, image in zip(self.names, _attempts(reader, self.folder, self.names), strict=True):
            if isinstance(image, str):
                self.skipped[name] = image
            elif image.shape != shape[1:]:
                self.skipped[name] = f"is {image.shape[1]}×{image.shape[2]} when it is decoded"
            else:
                images[len(kept)] = image
                kept.append(name)
        self.names = kept
        return torch.from_numpy(images[: len(kept)])


def list_images(folder: Path, key: str, *, same_size: bool) -> PlainImages:
    """What is below a folder, judged by the files' headers.

    Raises `DataError` for no folder, no images, or with `same_size` images of several sizes; `key` names the folder.
    """
    if (folder / "samples.npz").is_file() and (folder / "images").is_dir():
        folder = folder / "images"  # what ganlab.sample has written: its grid beside it is no sample
    # By a hash of the file's own name: the first ones are of every class, in sub-folders or not.
    names = sorted(image_files(folder), key=lambda name: (stable_share(name.rpartition("/")[2]), name))
    if not names:
        state = "holds no images" if folder.is_dir() else "there is no such folder"
        raise DataError(f"{key}={folder}: {state}; give a folder with images")
    shapes: dict[str, Shape] = {}
    skipped: dict[str, str] = {}
    for name, shape in zip(names, _attempts(shape_of, folder, names), strict=True):
        if isinstance(shape, str):
            skipped[name] = shape
        else:
            shapes[name] = shape
    if not shapes:
        raise DataError(_unreadable_line(folder, skipped, len(names)))
    sizes = Counter(shape[1:] for shape in shapes.values())
    (height, width), count = sizes.most_common(1)[0]
    if same_size and len(sizes) > 1:
        other = next(name for name, shape in shapes.items() if shape[1:] != (height, width))
        raise DataError(
            f"{key}={folder}: images of {len(sizes)} sizes: {count} of {height}×{width}, but {other} is "
            f"{shapes[other][1]}×{shapes[other][2]}; set size={min(height, width)} to scale all alike"
        )
    channels = max(shape[0] for shape in shapes.values())
    return PlainImages(folder, list(shapes), (channels, height, width), skipped)


def _attempts(work: Callable[[Path], Any], folder: Path, names: list[str]) -> Any:
    """For each file what `work` makes of it, or the reason why it cannot."""

    def attempt(path: Path) -> Any:
        try:
            return work(path)
        except UnreadableImage as unreadable:
            return str(unreadable)

    return in_threads(attempt, [folder / name for name in names])


def _room(shape: tuple[int, ...]) -> np.ndarray:
    if np.prod(shape, dtype=np.int64) <= IN_MEMORY:
        return np.empty(shape, np.uint8)
    # Without a name: it goes when the last who maps it does.
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, np.uint8, "w+", shape=shape)


def _unreadable_line(folder: Path, skipped: dict[str, str], total: int) -> str:
    named = ", ".join(f"{name} ({reason})" for name, reason in list(skipped.items())[:NAMED])
    more = ", …" if len(skipped) > NAMED else ""
    return f"{folder}: {len(skipped)} of {total} images cannot be read: {named}{more}"
