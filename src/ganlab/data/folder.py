"""Any folder of images."""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from ganlab.config.types import Fraction
from ganlab.data.cache import DecodedImages, decoded_images
from ganlab.data.decode import Preprocessing, image_suffixes
from ganlab.data.hashing import stable_share
from ganlab.data.image_module import ImageDataModule
from ganlab.data.image_source import MappedImages
from ganlab.data.source import FiniteSource
from ganlab.errors import DataError, printable
from ganlab.typed_path import typed_path

log = logging.getLogger(__name__)

IN_MEMORY = 2**28
"""Bytes up to which decoded images are read into memory; larger sets stay mapped."""
Parts = tuple[FiniteSource, FiniteSource]
HELD_OUT = ("test", "val", "valid")
"""Names of the sub-folder that is the test part, where there is `train` beside it; the first that is there."""


class DecodedData(ImageDataModule):
    """Image files below `root`, decoded once to a memory map in `cache_dir`.

    `on_corrupt`: a file that cannot be decoded is refused by name, or skipped, counted and named in a warning.
    """

    def __init__(
        self,
        *,
        root: str = "data",
        cache_dir: str = "~/.cache/ganlab",
        on_corrupt: Literal["refuse", "skip"] = "refuse",
        resampling: Literal["bilinear", "bicubic", "lanczos"] = "bicubic",
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.root = typed_path(root, "data.root")
        self.cache_dir = typed_path(cache_dir, "data.cache_dir")
        self.on_corrupt = on_corrupt
        self.resampling = resampling
        self._decoded: DecodedImages | None = None

    def files(self) -> tuple[Path, list[str]]:
        """A folder, and the names in it of the images to decode, sorted; raises `DataError`."""
        raise NotImplementedError

    def preprocessing(self) -> Preprocessing:
        raise NotImplementedError

    def prepare_data(self) -> None:
        """Build the cache, on one process of each machine."""
        self.decoded()

    def decoded(self) -> DecodedImages:
        """All images, decoded at the first call unless the cache has them."""
        if self._decoded is None:
            folder, names = self.files()
            skip = self.on_corrupt == "skip"
            self._decoded = decoded_images(folder, names, self.preprocessing(), self.cache_dir, skip_corrupt=skip)
            if self._decoded.skipped:
                _warn_of_skipped(folder, self._decoded)
        return self._decoded

    def sources(self, names: Sequence[str], in_test: Tensor, conditions: Tensor | None) -> Parts:
        """Train and test of the decoded rows: `in_test` bool [n]; `conditions` [n] or [n, k], or None.

        Rows are ordered by a hash of their names, so that the first ones are of every class.
        """
        order = _shares(names).argsort()
        parts = (order[~in_test[order]], order[in_test[order]])
        if not len(parts[0]):
            raise DataError(f"{self.root}: no images to train on beside the {len(parts[1])} held out")
        train, test = (self._source(rows, conditions) for rows in parts)
        return train, test

    def _source(self, rows: Tensor, conditions: Tensor | None) -> FiniteSource:
        source = MappedImages(self.decoded().images, rows, None if conditions is None else conditions[rows])
        return source.in_memory() if source.nbytes() <= IN_MEMORY else source


class ImageFolderData(DecodedData):
    """Images of any kind, size and aspect below `root`, in sub-folders or not.

    With `train` and `test` (or `val`, `valid`) below `root` these are the parts; else a share
    `test_fraction`, chosen by a hash of the names, is held out. With `num_classes` above 0 the
    sub-folders are the classes.
    """

    def __init__(
        self,
        *,
        fit: Literal["crop", "pad", "stretch"] = "crop",
        background: Literal["white", "black"] = "white",
        labels: Literal["auto", "none", "folders"] = "auto",
        test_fraction: Fraction = 0.1,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.fit = fit
        self.background = background
        self.label_mode = labels
        self.test_fraction = test_fraction

    def preprocessing(self) -> Preprocessing:
        return Preprocessing(
            self.channels, self.image_size, self.fit, background=self.background, resampling=self.resampling
        )

    def files(self) -> tuple[Path, list[str]]:
        names = image_files(self.root)
        if not names:
            state = "holds no images" if self.root.is_dir() else "there is no such folder"
            raise DataError(f"data.root={self.root}: {state}; set data.root to a folder with images")
        held_out = held_out_folder(names)
        if held_out:
            names = [name for name in names if name.startswith(("train/", f"{held_out}/"))]
        return self.root, names

    def load(self) -> Parts:
        names = self.decoded().names
        held_out = held_out_folder(names)
        if held_out:
            in_test = torch.tensor([name.startswith(f"{held_out}/") for name in names])
            inside = [name.partition("/")[2] for name in names]
        else:
            in_test = held_out_by_hash(names, self.test_fraction)
            inside = names
        return self.sources(names, in_test, self._class_labels(inside))

    def _class_labels(self, names: Sequence[str]) -> Tensor | None:
        """The sub-folder of each image as a number, int64 [n], if labels are asked for."""
        classes = sorted({name.partition("/")[0] for name in names if "/" in name})
        if self.label_mode == "none" and self.num_classes:
            raise DataError(f"data.labels=none with data.num_classes={self.num_classes}: set data.num_classes=0")
        if self.label_mode == "folders" and not self.num_classes:
            raise DataError(
                f"data.labels=folders needs data.num_classes: there are {len(classes)} sub-folders in {self.root}"
            )
        if not self.num_classes:
            return None
        self.verify_classes(classes)
        outside = [name for name in names if "/" not in name]
        if outside:
            raise DataError(f"{self.root}: {len(outside)} images lie in no class's sub-folder, e.g. {outside[0]}")
        number = {name: index for index, name in enumerate(classes)}
        return torch.tensor([number[name.partition("/")[0]] for name in names])


def image_files(folder: Path) -> list[str]:
    """Names, relative to `folder` and with '/', of the image files in it at any depth, sorted; hidden ones left out."""
    return sorted(_walk(folder, "", image_suffixes(), frozenset()))


def held_out_folder(names: Sequence[str]) -> str | None:
    """The sub-folder that holds the test part, if the images are divided already."""
    folders = {name.partition("/")[0] for name in names if "/" in name}
    return next((name for name in HELD_OUT if name in folders), None) if "train" in folders else None


def held_out_by_hash(names: Sequence[str], share: float) -> Tensor:
    """Bool [n]: about a `share` of the names; each part has one at least, if two can have.

    Whether a name is in it depends on that name, so images that are added move no others.
    """
    shares = _shares(names, "test/")
    chosen = shares < share
    if len(names) > 1 and 0 < share < 1:
        chosen[shares.argmin()] = True
        chosen[shares.argmax()] = False
    return chosen


def _shares(names: Sequence[str], prefix: str = "") -> Tensor:
    """Float64 [n]; without a list of as many objects, which a million names would feel."""
    return torch.from_numpy(np.fromiter((stable_share(prefix + name) for name in names), np.float64, len(names)))


def _walk(folder: Path, prefix: str, suffixes: frozenset[str], above: frozenset[str]) -> Iterator[str]:
    """Links to folders are followed, but not to one that they lie in."""
    real = os.path.realpath(folder)
    if real in above or not folder.is_dir():
        return
    try:
        with os.scandir(folder) as entries:
            found = [entry for entry in entries if not entry.name.startswith(".") and entry.name != "__MACOSX"]
    except OSError as error:
        raise DataError(f"{printable(str(folder))}: this folder cannot be read ({error.strerror})") from None
    for entry in found:
        if _is(entry.is_dir):
            yield from _walk(Path(entry.path), f"{prefix}{entry.name}/", suffixes, above | {real})
        elif _is(entry.is_file) and os.path.splitext(entry.name)[1].lower() in suffixes:
            yield prefix + entry.name


def _is(kind: Callable[[], bool]) -> bool:
    """Whether an entry is of a kind; a link that leads to itself is of none."""
    try:
        return kind()
    except OSError:
        return False


@rank_zero_only
def _warn_of_skipped(folder: Path, decoded: DecodedImages) -> None:
    count, total = len(decoded.skipped), len(decoded.skipped) + len(decoded.images)
    named = ", ".join(f"{printable(name)} ({reason})" for name, reason in list(decoded.skipped.items())[:20])
    log.warning("%s: %d of %d images cannot be read and are left out: %s", folder, count, total, named)
