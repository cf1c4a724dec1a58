"""Images in a figure: sheets of samples, side by side."""

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from ganlab.claims.drawing import styled
from ganlab.pictures import to_bytes


def sheet(axes: Axes, images: Tensor, columns: int, title: str = "") -> None:
    """Images [n, 1, height, width] in [-1, 1], row by row, light on dark, with a gap of a pixel; n fills whole rows."""
    count, _, height, width = images.shape
    rows = -(-count // columns)
    paper = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), 255, dtype=np.uint8)
    for place, image in enumerate(to_bytes(images)[:, 0].cpu().numpy()):
        top, left = place // columns * (height + 1), place % columns * (width + 1)
        paper[top : top + height, left : left + width] = image
    axes.imshow(paper, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    styled(axes, title, grid=False)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
