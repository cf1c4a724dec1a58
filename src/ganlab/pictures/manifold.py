"""What a code of two numbers decodes to, all over the plane of codes."""

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor
from torch.special import ndtri

from ganlab.pictures.grid import MARGIN, cell_scale, image_grid
from ganlab.pictures.stacking import stacked

WIDEST = 1300
"""Pixels that images side by side may take, as far as there is a choice."""
MOST_ALONE, LEAST_ALONE = 15, 5
SIDE_OF_MANY = 7
SMALL_CELL = 32
GAP, LINE = 10, 2


def normal_quantiles(count: int) -> Tensor:
    """The quantiles 1/2n, 3/2n, … of the standard normal distribution, ascending: float32 [count].

    Kingma & Welling 2013, figure 4, take a regular grid on the unit square through the inverse distribution function.
    """
    shares = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    # Summed with their mirror image, so that the middle is 0 and both sides have the same numbers.
    return ((ndtri(shares) - ndtri(shares.flip(0).clone())) / 2).float()


def manifold_side(size: int, manifolds: int = 1) -> int:
    """How many codes along each side, for images of `size` pixels: 15, or what fits; an odd number, 5 at least."""
    if manifolds > 1:
        return SIDE_OF_MANY
    fitting = WIDEST // (cell_scale(size) * size)
    return max(LEAST_ALONE, min(MOST_ALONE, fitting - (fitting + 1) % 2))


def manifold_codes(side: int) -> Tensor:
    """Codes [side * side, 2] as a picture has them: the first number grows to the right, the second upwards."""
    numbers = normal_quantiles(side)
    second, first = torch.meshgrid(numbers.flip(0), numbers, indexing="ij")
    return torch.stack([first.flatten(), second.flatten()], dim=1)


def manifold(images: Tensor, legend: Sequence[str] = ()) -> Image.Image:
    """Images where their codes lie, a thin line apart, with the codes' numbers beside and below them.

    Args:
        images: [side * side, channels, height, width] in [-1, 1], decoded from `manifold_codes(side)`.
        legend: sentences below, two lines each at most.
    """
    side = round(len(images) ** 0.5)
    numbers = [f"{number:.2f}".replace("-", "\N{MINUS SIGN}") for number in normal_quantiles(side).tolist()]
    return image_grid(images, side, numbers, numbers[::-1], padding=LINE, legend=legend)


def manifolds(images: Tensor, captions: Sequence[str], legend: Sequence[str] = ()) -> Image.Image:
    """Several small manifolds, one for each condition, its name above.

    Args:
        images: [conditions, side * side, channels, height, width] in [-1, 1], decoded from `manifold_codes(side)`.
        captions: one for each condition.
        legend: sentences below, two lines each at most.
    """
    side = round(images.shape[1] ** 0.5)
    # [conditions, channels, side * height, side * width]
    tiles = images.unflatten(1, (side, side)).permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)
    scale = max(1, SMALL_CELL // max(images.shape[-2:]))
    columns = _columns(len(tiles), (WIDEST - 2 * MARGIN) // (scale * tiles.shape[-1] + GAP))
    rows = [
        image_grid(group, columns, [*captions[start : start + len(group)], *[""] * (columns - len(group))], scale=scale,
                   padding=GAP)
        for start, group in zip(range(0, len(tiles), columns), tiles.split(columns), strict=True)
    ]  # fmt: skip
    return stacked(rows, legend=legend)


def _columns(count: int, fitting: int) -> int:
    """So many side by side that no more rows are needed than fit, and the rows are about equally long."""
    rows = -(-count // max(1, fitting))
    return -(-count // rows)
