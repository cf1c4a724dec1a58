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

from ganlab.config.types import DoublingImageShape, NonNegativeInt, PositiveFloat, PositiveInt
from ganlab.errors import ConfigError
from ganlab.networks.conditioning import EmbeddedPlane, Projection, join_features, join_planes
from ganlab.networks.minibatch import MinibatchDiscrimination
from ganlab.networks.spectral import constrain

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
    """Images [n, channels, size, size] (with conditions [n, condition_size]) to raw scores [n].

    With several `outputs`, class logits for instance, the scores are [n, outputs].
    `width` is the number of feature maps after the first layer; it doubles at each coarser level.
    `norm` "none" leaves out the paper's batch norm, as critics with a gradient penalty need it; "spectral" has
    normalised weights times `gain` in its place (`ganlab.networks.spectral`), a projection's map included.
    `conditioning`: "planes" joins each condition to the image as a constant plane, "embedded" all of them
    as one learnt plane, and "projection" adds their inner product with the features to the score.
    `minibatch_kernels` above 0 joins minibatch discrimination to the features, with `minibatch_dims` numbers
    a kernel; its tensor is never normalised, for it scales distances whose exponential is bounded anyway.

    Raises:
        ConfigError: a gain other than 1 without spectral normalisation, or `conditioning` without conditions.
    """

    def __init__(
        self,
        condition_size: int,
        outputs: int = 1,
        *,
        sample_shape: DoublingImageShape,
        width: PositiveInt = 64,
        norm: Literal["batch", "none", "spectral"] = "batch",
        gain: PositiveFloat = 1.0,
        conditioning: Literal["planes", "embedded", "projection"] = "planes",
        minibatch_kernels: NonNegativeInt = 0,
        minibatch_dims: PositiveInt = 5,
    ) -> None:
        super().__init__()
        if condition_size == 0 and conditioning != "planes":
            raise ConfigError(
                f"model.discriminator.conditioning={conditioning}: this discriminator is given no conditions; "
                "leave it out"
            )
        channels, size, _ = sample_shape
        planes = {"planes": condition_size, "embedded": min(condition_size, 1), "projection": 0}[conditioning]
        self.layers = downward(channels + planes, width, _doublings(size), batch_norm=norm == "batch")
        self.feature_count = width * 2 ** (_doublings(size) - 1) * COARSEST**2
        self.score = nn.Linear(self.feature_count + minibatch_kernels, outputs)
        conditional = condition_size > 0
        self.projection = (
            Projection(condition_size, self.feature_count) if conditional and conditioning == "projection" else None
        )
        self.apply(initialise)
        # These two begin in a way of their own.
        self.embedded = EmbeddedPlane(condition_size, size) if conditional and conditioning == "embedded" else None
        self.minibatch = (
            MinibatchDiscrimination(self.feature_count, minibatch_kernels, minibatch_dims)
            if minibatch_kernels
            else None
        )
        constrain(self, norm, gain)

    def features(self, images: Tensor, conditions: Tensor | None = None) -> Tensor:
        """What the score is made of, before minibatch discrimination: [n, feature_count]."""
        if self.embedded is not None:
            images = self.embedded(images, conditions)
        elif self.projection is None:
            images = join_planes(images, conditions)
        return torch.flatten(self.layers(images).permute(0, 2, 3, 1), 1)

    def head(self, features: Tensor, conditions: Tensor | None = None) -> Tensor:
        """Raw scores [n] (or [n, outputs]) of features [n, feature_count]; a projection adds to each output alike."""
        scores = self.score(features if self.minibatch is None else self.minibatch(features))
        if self.projection is not None:
            scores = scores + self.projection(features, conditions)[:, None]
        return scores.squeeze(1)

    def forward(self, images: Tensor, conditions: Tensor | None = None) -> Tensor:
        return self.head(self.features(images, conditions), conditions)


def downward(inputs: int, maps: int, levels: int, batch_norm: bool) -> nn.Sequential:
    """So many strided convolutions, each halving the size: `maps` feature maps after the first, then twice as many."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, maps, kernel_size=4, stride=2, padding=1),
        nn.LeakyReLU(0.2, inplace=True),
    ]
    for _ in range(levels - 1):
        layers.append(nn.Conv2d(maps, maps * 2, kernel_size=4, stride=2, padding=1, bias=not batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm2d(maps * 2))
        layers.append(nn.LeakyReLU(0.2, inplace=True))
        maps *= 2
    return nn.Sequential(*layers)
