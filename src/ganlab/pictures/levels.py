"""Images as they grow: every level of a pyramid, coarse to fine."""

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from ganlab.pictures.grid import image_grid
from ganlab.pictures.stacking import stacked


def level_columns(
    levels: Sequence[Tensor], captions: Sequence[str] | None = None, legend: Sequence[str] = ()
) -> Image.Image:
    """Each column is one sample, coarsest level on top; below, apart, the next noise of each column.

    Coarse levels are enlarged to the finest's size without smoothing, so that one sees their pixels.

    Args:
        levels: coarsest first, each [rows, columns, channels, height, width] in [-1, 1] with its own height and width.
        captions: one above each column.
        legend: sentences below, two lines each at most.
    """
    finest = tuple(levels[-1].shape[-2:])
    sizes = [f"{level.shape[-1]}×{level.shape[-2]}" for level in levels]
    enlarged = [
        interpolate(level.flatten(0, 1).float(), finest, mode="nearest-exact").unflatten(0, level.shape[:2])
        for level in levels
    ]
    groups = torch.stack(enlarged, dim=1)
    pictures = [
        image_grid(group.flatten(0, 1), group.shape[1], captions=None if row else captions, row_captions=sizes)
        for row, group in enumerate(groups)
    ]
    return stacked(pictures, legend=legend)
