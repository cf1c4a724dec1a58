"""Real images beside what is decoded from their codes."""

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from ganlab.pictures.grid import image_grid
from ganlab.pictures.stacking import stacked

EIGHTHS = ("0", "⅛", "¼", "⅜", "½", "⅝", "¾", "⅞", "1")


def peak_signal_to_noise(images: Tensor, originals: Tensor) -> float:
    """Of images in [-1, 1] taken as values in [0, 1], over all of them together: -10 log10 of their mean squared error.

    In decibels; equal images have infinitely many.
    """
    mse = ((images - originals).detach().double() / 2).square().mean()
    return float(-10 * mse.log10())


def reconstruction_rows(
    kinds: Sequence[tuple[str, Tensor]], columns: int, captions: Sequence[str] | None = None, legend: Sequence[str] = ()
) -> Image.Image:
    """Each column is one image as all kinds have it, one below the other; below, apart, the next images.

    Args:
        kinds: the name of each row, and its images [n, channels, height, width] in [-1, 1]; n a multiple of `columns`.
        captions: one above each column.
        legend: sentences below, two lines each at most.
    """
    names = [name for name, _ in kinds]
    groups = zip(*(images.split(columns) for _, images in kinds), strict=True)
    pictures = [
        image_grid(torch.cat(group), columns, captions=None if row else captions, row_captions=names)
        for row, group in enumerate(groups)
    ]
    return stacked(pictures, legend=legend)


def between_originals(
    starts: Tensor,
    decoded: Tensor,
    ends: Tensor,
    row_captions: Sequence[str] | None = None,
    legend: Sequence[str] = (),
) -> Image.Image:
    """Each row goes from an original by decoded steps to another original; the share of the way stands above.

    Args:
        starts, ends: [rows, channels, height, width] in [-1, 1].
        decoded: [rows, steps, channels, height, width], the ends' own codes included.
        row_captions: one for each row.
        legend: sentences below, two lines each at most.
    """
    steps = decoded.shape[1]
    rows = torch.cat([starts[:, None], decoded, ends[:, None]], dim=1)
    shares = EIGHTHS if steps == len(EIGHTHS) else [f"{step / (steps - 1):.2g}" for step in range(steps)]
    return image_grid(
        rows.flatten(0, 1), steps + 2, ["original", *shares, "original"], row_captions=row_captions, legend=legend
    )
