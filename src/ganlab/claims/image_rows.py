"""Rows of small images as a panel of a figure, each with its name."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from ganlab.claims.drawing import INK, styled


def draw_rows(axes: Axes, rows: Sequence[Tensor], names: Sequence[str], title: str, *, weights: bool = False) -> None:
    """Gray images [n, 1, height, width] in [-1, 1], each row with its name at the left.

    `weights`: any numbers instead, 0 is white, each image is scaled by its own largest absolute value.
    """
    height, width = rows[0].shape[-2:]
    columns = max(map(len, rows))
    paper = np.full((len(rows) * (height + 1) - 1, columns * (width + 1) - 1), np.nan)
    for row, images in enumerate(rows):
        for column, image in enumerate(images[:, 0].double()):
            shown = image / image.abs().max().clamp_min(1e-12) if weights else image
            top, left = row * (height + 1), column * (width + 1)
            paper[top : top + height, left : left + width] = shown
    axes.imshow(paper, cmap="RdBu_r" if weights else "gray", vmin=-1, vmax=1, interpolation="nearest")
    styled(axes, title, grid=False)
    axes.set_xticks([])
    axes.set_yticks([row * (height + 1) + height / 2 - 0.5 for row in range(len(rows))], names)
    axes.tick_params(axis="y", labelsize=8, colors=INK)
    for spine in axes.spines.values():
        spine.set_visible(False)


def draw_sheet(axes: Axes, images: Tensor, columns: int, title: str = "") -> None:
    """Gray images [n, 1, height, width] in [-1, 1], row by row."""
    rows = images.split(columns)
    draw_rows(axes, rows, [""] * len(rows), title)
