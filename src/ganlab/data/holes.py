"""Which pixels of an image are hidden: by a name, or as a picture shows it."""

import math
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from ganlab.data.decode import Fit, UnreadableImage, centred_square, decode_as_it_is
from ganlab.errors import ConfigError, DataError, typed

HoleKind = Literal["center", "random", "left", "right", "top", "bottom"]
SHARES: dict[HoleKind, float] = {"center": 0.25, "random": 0.5, "left": 0.5, "right": 0.5, "top": 0.5, "bottom": 0.5}
"""Kinds of holes, and the share of an image that each hides unless told otherwise."""
WHITE = 127
"""Gray values above it hide."""


def hole(kind: HoleKind, count: int, size: int, share: float, generator: torch.Generator | None = None) -> Tensor:
    """Hidden pixels of images, bool [count, 1, size, size]: about a `share` of each.

    center: a square in the middle; left, right, top, bottom: a band along that side; random: so many pixels, others in
    each image, all equally likely, drawn by `generator`. Raises `ConfigError` for a share of no pixel or of all.
    """
    hidden = torch.zeros(count, 1, size, size, dtype=torch.bool)
    if kind == "random":
        ranks = torch.rand(count, size * size, generator=generator).argsort(1).argsort(1)
        hidden = (ranks < round(share * size * size)).view_as(hidden)
    elif kind == "center":
        side = round(math.sqrt(share) * size)
        first = (size - side) // 2
        hidden[:, :, first : first + side, first : first + side] = True
    else:
        band = round(share * size)
        along = slice(0, band) if kind in ("left", "top") else slice(size - band, size)
        hidden[(..., along) if kind in ("left", "right") else (..., along, slice(None))] = True
    _refuse_nothing_and_all(hidden, f"share={share:g}", f"of {size}×{size} pixels mask={kind} hides", "another share")
    return hidden


def hole_in_file(path: Path, count: int, size: int, fit: Fit = "stretch") -> Tensor:
    """The white (or transparent) pixels of a picture, scaled to the nearest, bool [count, 1, size, size].

    `fit`: how images of its shape become squares, so that it hides what it was drawn over; what pads them is seen.
    Raises `DataError` for no picture, and for one that hides nothing or all.
    """
    try:
        gray = torch.from_numpy(decode_as_it_is(path, 1)[0].copy())
    except UnreadableImage as unreadable:
        raise DataError(f"mask={typed(str(path))}: {unreadable}") from None
    gray = _square(gray, fit)
    rows, columns = (((torch.arange(size) + 0.5) * length / size).long() for length in gray.shape)
    hidden = (gray[rows][:, columns] > WHITE).expand(count, 1, size, size)
    what = f"its white pixels, scaled to {size}×{size}, hide"
    _refuse_nothing_and_all(hidden, f"mask={typed(str(path))}", what, "a picture with a white hole")
    return hidden


def _square(gray: Tensor, fit: Fit) -> Tensor:
    height, width = gray.shape
    if fit == "crop":
        left, top, side = centred_square(width, height)
        return gray[top : top + side, left : left + side]
    if fit == "pad":
        side = max(height, width)
        top, left = round((side - height) / 2), round((side - width) / 2)
        padded = gray.new_zeros(side, side)
        padded[top : top + height, left : left + width] = gray
        return padded
    return gray


def _refuse_nothing_and_all(hidden: Tensor, where: str, what: str, instead: str) -> None:
    for found, word in ((not hidden.any(), "nothing"), (bool(hidden[0].all()), "all")):
        if found:
            kind = ConfigError if where.startswith("share") else DataError
            raise kind(f"{where}: {what} {word}; give {instead}")
