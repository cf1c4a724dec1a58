"""The deep convolutional generator and discriminator of Radford, Metz & Chintala 2015.

Their rules (section 3, "Architecture guidelines"): strided convolutions in the
discriminator and fractionally-strided (transposed) ones in the generator, no pooling; batch norm in both,
except at the generator's output and the discriminator's input; no hidden fully connected layer (the
projection of the latent and the final score are the only linear maps); ReLU in the generator with
tanh at its output, LeakyReLU 0.2 in the discriminator; weights from N(0, 0.02²).
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from ganlab.config.types import DoublingImageShape, PositiveInt
from ganlab.networks.conditioning import join_features, join_planes

COARSEST = 4
"""Pixels along a side where the generator's convolutions begin and the discriminator's end."""


def initialise(module: nn.Module) -> None:
    """Weights from N(0, 0.02²), batch norm's scale from N(1, 0.02²), every bias zero."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def _doublings(size: int) -> int:
    return int(math.log2(size // COARSEST))


class DCGANGenerator(nn.Module):
    """Latents [n, latent_dim] (joined with conditions [n, condition_size]) to images [n, channels, size, size].

    `width` is the number of feature maps before the output; it doubles at each coarser
    level. The paper's figure 1 (1024 maps at 4×4 for 64×64 images) is width 128.
    """

    def __init__(
        self, latent_dim: int, condition_size: int, *, sample_shape: DoublingImageShape, width: PositiveInt = 64
    ) -> None:
        super().__init__()
        channels, size, _ = sample_shape
        levels = _doublings(size)
        maps = width * 2 ** (levels - 1)
        self.project = nn.Linear(latent_dim + condition_size, maps * COARSEST**2, bias=False)
        layers: list[nn.Module] = [nn.BatchNorm2d(maps), nn.ReLU(inplace=True)]
        for _ in range(levels - 1):
            layers += [
                nn.ConvTranspose2d(maps, maps // 2, kernel_size=4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(maps // 2),
                nn.ReLU(inplace=True),
            ]
            maps //= 2
        layers += [nn.ConvTranspose2d(maps, channels, kernel_size=4, stride=2, padding=1), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.apply(initialise)

    def forward(self, latents: Tensor, conditions: Tensor | None = None) -> Tensor:
        coarse = self.project(join_features(latents, conditions))
        # Channels vary fastest, so the reshaped projection is channels-last without a copy.
        return self.layers(coarse.view(len(coarse), COARSEST, COARSEST, -1).permute(0, 3, 1, 2))


class DCGANDiscriminator(nn.Module):
    """Images [n, channels, size, size] (with conditions as constant planes) to raw scores [n].

    `width` is the number of feature maps after the first layer; it doubles at each coarser level.
    `norm` "none" leaves out the paper's batch norm, as critics with a gradient penalty need it.
    """

    def __init__(
        self,
        condition_size: int,
        *,
        sample_shape: DoublingImageShape,
        width: PositiveInt = 64,
        norm: Literal["batch", "none"] = "batch",
    ) -> None:
        super().__init__()
        channels, size, _ = sample_shape
        maps = width
        layers: list[nn.Module] = [
            nn.Conv2d(channels + condition_size, maps, kernel_size=4, stride=2, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        for _ in range(_doublings(size) - 1):
            layers.append(nn.Conv2d(maps, maps * 2, kernel_size=4, stride=2, padding=1, bias=norm == "none"))
            if norm == "batch":
                layers.append(nn.BatchNorm2d(maps * 2))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            maps *= 2
        self.layers = nn.Sequential(*layers)
        self.score = nn.Linear(maps * COARSEST**2, 1)
        self.apply(initialise)

    def forward(self, images: Tensor, conditions: Tensor | None = None) -> Tensor:
        features = self.layers(join_planes(images, conditions))
        return self.score(torch.flatten(features.permute(0, 2, 3, 1), 1)).squeeze(1)
