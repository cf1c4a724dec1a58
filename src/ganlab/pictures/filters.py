"""Weights of a first layer, each unit's as the image that excites it most."""

import math

from PIL import Image
from torch import Tensor

from ganlab.pictures.grid import image_grid

MOST_FILTERS = 100


def filter_grid(weights: Tensor) -> Image.Image:
    """The first units' weights row by row: 0 is mid-gray, a filter's largest absolute value is black or white.

    Args:
        weights: [units, channels, height, width], any real numbers; the first 100 are shown.
    """
    count = len(weights)
    shown = weights[:MOST_FILTERS].detach().float()
    largest = shown.abs().amax(dim=(1, 2, 3), keepdim=True)
    # Divided by the smallest normal number, a filter of nothing but zeros stays one.
    scaled = shown / largest.clamp_min(1e-38)
    which = f"the first {len(shown)} of {count} units" if count > len(shown) else f"all {count} units"
    return image_grid(
        scaled,
        math.ceil(math.sqrt(len(shown))),
        legend=[
            f"Weights, not images: what the first layer multiplies each value with, of {which}.",
            "Mid-gray is 0; each filter is scaled by its own largest absolute value.",
        ],
    )
