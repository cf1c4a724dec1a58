"""Random convolutions as extractor: no training, no download, any images; they see texture and sharpness."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ganlab.config.types import NonNegativeInt, PositiveInt
from ganlab.metrics.extractors.base import Extracted, Extractor

STAGES = 3


class RandomConv(Extractor):
    """Features [n, 6 + 14 * width]: mean and standard deviation over each channel of the image, and over each map of
    three stages of random convolutions.

    A stage halves the image by 3x3 filters and rectifies; `width`, 2 `width` and 4 `width` maps. Images are taken
    at their own size, from 4 pixels on; gray counts as three equal channels. Scores of different seeds, or at
    different image sizes, are not comparable.
    """

    name = "random_conv"
    resizer = "none"
    channels = "gray repeated to 3"

    def __init__(self, *, seed: NonNegativeInt = 0, width: PositiveInt = 16) -> None:
        super().__init__()
        self.seed, self.width = seed, width
        bits = np.random.PCG64(seed)
        maps = [3, *(width * 2**stage for stage in range(STAGES))]
        for stage, (before, after) in enumerate(pairwise(maps)):
            self.register_buffer(f"filters{stage}", random_filters(bits, after, before))
        self.dimension = 2 * sum(maps)

    def forward(self, images: Tensor) -> Extracted:
        if min(images.shape[-2:]) < 4:
            raise ValueError(f"random_conv needs images of at least 4x4 pixels, not {list(images.shape[-2:])}")
        # To [-10, 10]: the distances of common data sets are then neither thousands nor thousandths.
        hidden = images.expand(-1, 3, -1, -1).to(torch.float32) / 12.75 - 10
        features = moments(hidden)
        for stage in range(STAGES):
            # Padded by what is there: zeros would make an edge around every image.
            padded = functional.pad(hidden, [1, 1, 1, 1], mode="replicate")
            hidden = functional.conv2d(padded, self.get_buffer(f"filters{stage}"), stride=2).relu()
            features += moments(hidden)
        return Extracted(torch.cat(features, 1))

    def description(self) -> dict[str, Any]:
        return super().description() | {"seed": self.seed, "width": self.width}


def moments(maps: Tensor) -> list[Tensor]:
    """Mean and standard deviation over the places of maps [n, k, height, width], [n, k] each."""
    mean = maps.mean((2, 3), keepdim=True)
    return [mean.flatten(1), (maps - mean).square().mean((2, 3)).sqrt()]


def random_filters(bits: np.random.PCG64, after: int, before: int) -> Tensor:
    """float32 [after, before, 3, 3], uniform, of variance 2 / fan-in as in He et al. 2015, less each filter's mean.

    Filters that sum to zero see edges and texture, which blur destroys, and not brightness: they are several times
    as sensitive to it. Drawn from the raw bits, for NumPy's distributions may change from version to version.
    """
    fan_in = before * 9
    raw = np.asarray(bits.random_raw(after * fan_in), dtype=np.uint64)
    uniform = (raw >> np.uint64(11)).astype(np.float64).reshape(after, fan_in) * 2.0**-52 - 1
    # cumsum adds in one order on every machine, which sum does not.
    uniform -= uniform.cumsum(1)[:, -1:] / fan_in
    return torch.from_numpy((uniform * math.sqrt(6 / fan_in)).astype(np.float32)).view(after, before, 3, 3)
