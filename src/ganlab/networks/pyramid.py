"""The Laplacian pyramid, Burt & Adelson 1983, as Denton et al. 2015 use it (section 2.2).

An image is told as what each halving of its size loses, and what is left at last. Level 0 is the finest.
"""

from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import interpolate


def level_sizes(size: int, levels: int) -> list[int]:
    """Pixels along a side, finest first. Raises ValueError where `size` cannot be halved `levels` - 1 times."""
    if levels < 1 or size % 2 ** (levels - 1):
        raise ValueError(f"{size} pixels have no pyramid of {levels} levels: every level halves the size")
    return [size // 2**level for level in range(levels)]


def reduce(images: Tensor) -> Tensor:
    """d(I): images [n, channels, 2h, 2w] blurred and decimated to [n, channels, h, w].

    The blur is the tent (1, 3, 3, 1) / 8 along each side, normalised anew at the borders. It takes out what the
    smaller image cannot hold; a mean of 2×2 pixels would let half of that back in as false coarse structure.
    """
    height, width = images.shape[2:]
    if height % 2 or width % 2:
        raise ValueError(f"images of {height}×{width} pixels cannot be halved")
    return interpolate(images, size=(height // 2, width // 2), mode="bilinear", align_corners=False, antialias=True)


def expand(images: Tensor) -> Tensor:
    """u(I): images [n, channels, h, w] smoothly doubled to [n, channels, 2h, 2w], bilinear: the tent of `reduce`."""
    height, width = images.shape[2:]
    return interpolate(images, size=(2 * height, 2 * width), mode="bilinear", align_corners=False)


class Band(NamedTuple):
    """What a level of a pyramid holds of images: the residual h = I - l beside the low-pass l = u(d(I)), both
    [n, channels, size, size]; at the coarsest level the image itself, and None."""

    residual: Tensor
    low_pass: Tensor | None


def bands_of(images: Tensor, levels: int) -> list[Band]:
    """Images [n, channels, h, w] to the `levels` bands of their pyramid, finest first (equation 3).

    For images in [-1, 1] residuals lie in [-2, 2].
    """
    bands = []
    for _ in range(levels - 1):
        coarser = reduce(images)
        low_pass = expand(coarser)
        bands.append(Band(images - low_pass, low_pass))
        images = coarser
    return [*bands, Band(images, None)]
