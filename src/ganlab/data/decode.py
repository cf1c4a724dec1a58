"""From an image file of any kind to bytes of one shape.

Pillow releases the interpreter's lock while it decompresses and scales, so threads share this work well;
they need no guard in a user's script and cannot deadlock with torch's own threads, as processes can.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from PIL import Image, ImageOps

Result = TypeVar("Result")
Fit = Literal["crop", "pad", "stretch"]
Background = Literal["white", "black"]
Resampling = Literal["bilinear", "bicubic", "lanczos"]

REFUSED_FORMATS = {"EPS", "WMF", "MPEG", "BUFR", "GRIB", "HDF5"}
"""Formats that run another program, or that Pillow names and does not decode."""
MOST_PIXELS = 2**27
"""Pixels of an image that is decoded, 134 million: a file of a few kilobytes can announce any number."""
FEW = 64
"""Files up to which threads are not worth starting."""
ORIENTATION = 0x0112
"""The EXIF tag that says how a camera was held."""
CAMERAS = ("JPEG", "MPO", "TIFF", "WEBP")
WINDOW = 1024
"""Files in flight at once: a bound on memory."""


class UnreadableImage(Exception):
    """A file that is no image, is damaged, or is too large; the message says which."""


@dataclass(frozen=True)
class Preprocessing:
    """How a file becomes uint8 [channels, size, size].

    `fit`: a centred square of at most `crop` pixels (None: the whole shorter side), the whole image on a
    square of `background`, or all of it stretched. Transparent pixels show the background.
    """

    channels: Literal[1, 3]
    size: int
    fit: Fit = "crop"
    crop: int | None = None
    background: Background = "white"
    resampling: Resampling = "bicubic"


def image_suffixes() -> frozenset[str]:
    """Lower-case endings of the files that `decode` may read."""
    Image.init()
    return frozenset(suffix for suffix, kind in Image.registered_extensions().items() if kind in _formats())


def decode(path: Path, preprocessing: Preprocessing) -> np.ndarray:
    """uint8 [channels, size, size]; raises `UnreadableImage`."""
    return _decoded(
        path, preprocessing.channels, preprocessing.background, partial(_fitted, preprocessing=preprocessing)
    )


def decode_as_it_is(path: Path, channels: Literal[1, 3]) -> np.ndarray:
    """uint8 [channels, height, width] in the file's own size, transparency on white; raises `UnreadableImage`."""
    return _decoded(path, channels, "white", lambda image: image)


def shape_of(path: Path) -> tuple[int, int, int]:
    """Channels (1 for gray, else 3), height and width as `decode_as_it_is` would give them, from the file's header.

    Raises `UnreadableImage`.
    """
    try:
        with _opened(path) as image:
            width, height = image.size
            # Of a PNG it would be looked for by decoding all of it.
            turned = image.format in CAMERAS and image.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)
            gray = image.mode in ("1", "L", "LA", "La", "I", "F") or image.mode.startswith("I;16")
    except UnreadableImage:
        raise
    except Exception as error:
        raise _unreadable(error) from error
    return (1 if gray else 3, *((width, height) if turned else (height, width)))


def _decoded(
    path: Path, channels: Literal[1, 3], background: Background, fit: Callable[[Image.Image], Image.Image]
) -> np.ndarray:
    try:
        with _opened(path) as image:
            image.load()
            upright = _upright(image)
            flat = _flattened(upright, background)
            flat = flat.convert("RGB" if channels == 3 else "L")
            pixels = np.asarray(fit(flat))
    except UnreadableImage:
        raise
    except MemoryError:
        raise
    except Exception as error:
        raise _unreadable(error) from error
    return pixels.reshape(*pixels.shape[:2], -1).transpose(2, 0, 1)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """An image whose header has been read; raises `UnreadableImage` for one that is too large to be decoded.

    Pillow itself warns from 89 million pixels on, and refuses twice as many.
    """
    with Image.open(path, formats=_formats()) as image:
        width, height = image.size
        if width * height > MOST_PIXELS:
            raise UnreadableImage(f"{width}×{height} pixels are more than the {MOST_PIXELS:,} that are decoded")
        yield image


def _unreadable(error: Exception) -> UnreadableImage:
    """Pillow's decoders raise almost anything on damaged files, DecompressionBombError included."""
    reason = "cannot identify it as an image" if isinstance(error, Image.UnidentifiedImageError) else str(error)
    return UnreadableImage(" ".join(reason.split()) or type(error).__name__)


def decode_all(paths: Iterable[Path], preprocessing: Preprocessing) -> Iterator[np.ndarray | str]:
    """For each path, in order, the decoded image, or the reason why there is none."""
    return in_threads(partial(_attempt, preprocessing=preprocessing), paths)


def in_threads(work: Callable[[Path], Result], paths: Iterable[Path]) -> Iterator[Result]:
    """`map(work, paths)` by as many threads as there are processors, with a bounded number of results waiting."""
    Image.init()  # not safe to do in several threads at once
    remaining = iter(paths)
    few = list(islice(remaining, FEW))
    yield from map(work, few)
    with ThreadPoolExecutor(processors()) as pool:
        while window := list(islice(remaining, WINDOW)):
            yield from pool.map(work, window)


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _attempt(path: Path, preprocessing: Preprocessing) -> np.ndarray | str:
    try:
        return decode(path, preprocessing)
    except UnreadableImage as unreadable:
        return str(unreadable)


def _formats() -> list[str]:
    return [kind for kind in Image.ID if kind not in REFUSED_FORMATS]


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        # Damaged metadata of a picture that is itself whole.
        return image


def _flattened(image: Image.Image, background: Background) -> Image.Image:
    """An image of 8 bits a channel without transparency."""
    if image.mode == "F":
        raise UnreadableImage("floating-point pixels have no fixed range")
    if image.mode == "I" or image.mode.startswith("I;16"):
        wide = np.asarray(image).astype(np.float64)
        return Image.fromarray((wide.clip(0, 65535) / 257 + 0.5).astype(np.uint8))
    if not image.has_transparency_data:
        return image
    pixels = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", pixels.size, background), pixels).convert("RGB")


def centred_square(width: int, height: int, most: int | None = None) -> tuple[int, int, int]:
    """Left, top and side of the largest centred square, or of one of at most so many pixels."""
    side = min(width, height, most or width)
    # Rounded as torchvision's CenterCrop rounds.
    return round((width - side) / 2), round((height - side) / 2), side


def _fitted(image: Image.Image, preprocessing: Preprocessing) -> Image.Image:
    size, filter = preprocessing.size, Image.Resampling[preprocessing.resampling.upper()]
    if preprocessing.fit == "pad":
        return ImageOps.pad(image, (size, size), method=filter, color=preprocessing.background)
    if preprocessing.fit == "crop":
        left, top, side = centred_square(*image.size, preprocessing.crop)
        image = image.crop((left, top, left + side, top + side))
    return image.resize((size, size), filter)
