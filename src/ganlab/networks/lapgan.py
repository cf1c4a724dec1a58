"""The generators and discriminators of a Laplacian pyramid, Denton, Chintala, Szlam & Fergus 2015, section 3.

Levels are numbered as in the paper: 0 is the finest, levels - 1 the coarsest. At the coarsest level stand the
networks of an ordinary GAN; at each finer one a pair that is conditioned on the low-pass image l, the coarser
level's image doubled: the generator makes the residual h of it, the discriminator judges h together with l.
"""

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ganlab.config.types import FewTimes, PositiveFloat, PositiveInt, PyramidShape
from ganlab.networks.auto import given
from ganlab.networks.conditioning import EmbeddedPlane
from ganlab.networks.dcgan import COARSEST, DCGANDiscriminator, DCGANGenerator, downward, initialise
from ganlab.networks.mlp import MLPDiscriminator, MLPGenerator
from ganlab.networks.pyramid import bands_of, expand, level_sizes
from ganlab.networks.spectral import constrain


def _with_plane(images: Tensor, plane: nn.Module | None, conditions: Tensor | None) -> Tensor:
    return images if plane is None else plane(images, conditions)


class ResidualGenerator(nn.Module):
    """G(z, l): latents [n, latent_dim] and low-pass images [n, channels, size, size] to residuals of their shape.

    Noise and condition each enter as one plane beside the image, by a linear map. The output is linear:
    a residual lies in [-2, 2] and mostly near 0. Batch norm after each of the `depth` hidden convolutions.
    """

    def __init__(
        self,
        latent_dim: int,
        condition_size: int,
        *,
        sample_shape: PyramidShape,
        width: PositiveInt = 32,
        depth: FewTimes = 2,
    ) -> None:
        super().__init__()
        channels, size, _ = sample_shape
        # A linear layer's usual weights: with DCGAN's deviation of 0.02 the noise would be faint beside l.
        self.noise = nn.Linear(latent_dim, size**2)
        self.condition = EmbeddedPlane(condition_size, size) if condition_size else None
        maps = channels + 1 + (condition_size > 0)
        layers: list[nn.Module] = []
        for _ in range(depth):
            layers += [nn.Conv2d(maps, width, kernel_size=3, padding=1, bias=False), nn.BatchNorm2d(width)]
            layers += [nn.ReLU(inplace=True)]
            maps = width
        layers.append(nn.Conv2d(maps, channels, kernel_size=3, padding=1))
        self.layers = nn.Sequential(*layers).apply(initialise)

    def forward(self, latents: Tensor, low_passes: Tensor, conditions: Tensor | None = None) -> Tensor:
        noise = self.noise(latents).unflatten(1, (1, *low_passes.shape[2:]))
        seen = torch.cat([low_passes, noise.to(low_passes.dtype)], dim=1)
        return self.layers(_with_plane(seen, self.condition, conditions))


class ResidualDiscriminator(nn.Module):
    """D(h, l): residuals and low-pass images, both [n, channels, size, size], to raw scores [n].

    l is added back to h before the first layer, as in the paper, so that it sees an image; and l stands beside
    the sum, as the condition. Strided convolutions, whose maps double at each of them, down to 4 pixels or fewer.
    """

    def __init__(
        self,
        condition_size: int,
        *,
        sample_shape: PyramidShape,
        width: PositiveInt = 32,
        norm: Literal["batch", "none", "spectral"] = "none",
        gain: PositiveFloat = 1.0,
    ) -> None:
        super().__init__()
        channels, size, _ = sample_shape
        self.condition = EmbeddedPlane(condition_size, size) if condition_size else None
        halvings = max(1, (size // (COARSEST + 1)).bit_length())  # the fewest that leave COARSEST pixels or fewer
        inputs = 2 * channels + (condition_size > 0)
        self.layers = downward(inputs, width, halvings, batch_norm=norm == "batch").apply(initialise)
        self.feature_count = width * 2 ** (halvings - 1) * (size // 2**halvings) ** 2
        self.score = nn.Linear(self.feature_count, 1).apply(initialise)
        constrain(self, norm, gain)

    def features(self, residuals: Tensor, low_passes: Tensor, conditions: Tensor | None = None) -> Tensor:
        """What the scores are computed from: [n, feature_count]."""
        seen = torch.cat([residuals + low_passes, low_passes], dim=1)
        return torch.flatten(self.layers(_with_plane(seen, self.condition, conditions)), 1)

    def head(self, features: Tensor, conditions: Tensor | None = None) -> Tensor:
        """Raw scores [n] of features [n, feature_count]; the conditions are in the features already."""
        return self.score(features).squeeze(1)

    def forward(self, residuals: Tensor, low_passes: Tensor, conditions: Tensor | None = None) -> Tensor:
        return self.head(self.features(residuals, low_passes, conditions), conditions)


class PyramidGenerator(nn.Module):
    """Latents [n, latent_dim] to images [n, channels, size, size] in [-1, 1], from coarse to fine (equation 5).

    A latent is cut into one part a level (`parts`). At the coarsest level stands DCGAN's generator where there is one
    of that size (8, 16, 32, …), else, or with `coarsest` "mlp", a fully connected one; `coarsest_width` None is its
    own default. `width` and `depth` are those of the residual generators at all finer levels.
    """

    def __init__(
        self,
        latent_dim: int,
        condition_size: int,
        levels: int,
        *,
        sample_shape: PyramidShape,
        width: PositiveInt = 32,
        depth: FewTimes = 2,
        coarsest: Literal["auto", "mlp"] = "auto",
        coarsest_width: PositiveInt | None = None,
    ) -> None:
        super().__init__()
        channels = sample_shape[0]
        *finer, last = level_sizes(sample_shape[1], levels)
        share = latent_dim // levels
        self.shares = [share] * (levels - 1) + [latent_dim - share * (levels - 1)]
        network = DCGANGenerator if coarsest == "auto" and _is_doubling(last) else MLPGenerator
        whole = network(
            self.shares[-1], condition_size, sample_shape=[channels, last, last], **given(width=coarsest_width)
        )
        residuals = [
            ResidualGenerator(share, condition_size, sample_shape=[channels, size, size], width=width, depth=depth)
            for size in finer
        ]
        self.levels = nn.ModuleList([*residuals, whole])

    def parts(self, latents: Tensor) -> list[Tensor]:
        """Each level's own latents [n, share], finest level first.

        The first of the latents are the coarsest level's. The parts are equal, but that it has what remains too.
        """
        return list(latents.split(self.shares[::-1], dim=1))[::-1]

    def make(self, level: int, part: Tensor, low_pass: Tensor | None, conditions: Tensor | None = None) -> Tensor:
        """The residuals of a level from its part of the latents; the images themselves at the coarsest."""
        return self.levels[level](part, *_both(low_pass), conditions)

    def stages(self, latents: Tensor, conditions: Tensor | None = None) -> list[Tensor]:
        """The images of every level, coarsest first; the last are what `forward` gives.

        All are held to [-1, 1], the range of the real images that the next level was trained on.
        """
        *finer, last = self.parts(latents)
        images = [self.make(len(finer), last, None, conditions)]
        for level in reversed(range(len(finer))):
            low_pass = expand(images[-1])
            residuals = self.make(level, finer[level], low_pass, conditions)
            images.append((low_pass + residuals).clamp(-1, 1))
        return images

    def forward(self, latents: Tensor, conditions: Tensor | None = None) -> Tensor:
        return self.stages(latents, conditions)[-1]


class PyramidDiscriminator(nn.Module):
    """Images [n, channels, size, size] to raw scores [n]: the sum of what all levels say of the image's own pyramid.

    At its best each level's score is the log-ratio of its band's densities, given the coarser ones, and by the
    chain rule these add up to that of the whole image. Options as in `PyramidGenerator`, but that the coarsest level's
    is DCGAN's from 16 pixels on; `norm` and `gain` hold for all levels.
    """

    def __init__(
        self,
        condition_size: int,
        levels: int,
        *,
        sample_shape: PyramidShape,
        width: PositiveInt = 32,
        norm: Literal["batch", "none", "spectral"] = "none",
        gain: PositiveFloat = 1.0,
        coarsest: Literal["auto", "mlp"] = "auto",
        coarsest_width: PositiveInt | None = None,
    ) -> None:
        super().__init__()
        channels = sample_shape[0]
        *finer, last = level_sizes(sample_shape[1], levels)
        # Of 8 pixels DCGAN's would have a single convolution, too weak for its generator.
        network = DCGANDiscriminator if coarsest == "auto" and _is_doubling(last) and last > 8 else MLPDiscriminator
        constraint: dict[str, Any] = {"norm": norm, "gain": gain}
        whole = network(
            condition_size, sample_shape=[channels, last, last], **constraint, **given(width=coarsest_width)
        )
        residuals = [
            ResidualDiscriminator(condition_size, sample_shape=[channels, size, size], width=width, **constraint)
            for size in finer
        ]
        self.levels = nn.ModuleList([*residuals, whole])
        self._feature_counts = [int(level.feature_count) for level in self.levels]  # type: ignore[arg-type]
        self.feature_count = sum(self._feature_counts)

    def judge(self, level: int, residuals: Tensor, low_pass: Tensor | None, conditions: Tensor | None = None) -> Tensor:
        """A level's raw scores [n] of residuals, given the low-pass images; of images at the coarsest."""
        return self.levels[level](residuals, *_both(low_pass), conditions)

    def features(self, images: Tensor, conditions: Tensor | None = None) -> Tensor:
        """The features of all levels side by side, finest first: [n, feature_count]."""
        bands = bands_of(images, len(self.levels))
        found = [
            level.features(band.residual, *_both(band.low_pass), conditions)  # type: ignore[operator]
            for level, band in zip(self.levels, bands, strict=True)
        ]
        return torch.cat(found, dim=1)

    def head(self, features: Tensor, conditions: Tensor | None = None) -> Tensor:
        """The sum of all levels' raw scores [n], of features [n, feature_count]."""
        parts = features.split(self._feature_counts, dim=1)
        scores = [
            level.head(part, conditions)  # type: ignore[operator]
            for level, part in zip(self.levels, parts, strict=True)
        ]
        return torch.stack(scores).sum(0)

    def forward(self, images: Tensor, conditions: Tensor | None = None) -> Tensor:
        return self.head(self.features(images, conditions), conditions)


def _is_doubling(size: int) -> bool:
    """Whether a DCGAN doubles 4 pixels up to this size."""
    return size >= 8 and math.log2(size).is_integer()


def _both(low_pass: Tensor | None) -> tuple[Tensor, ...]:
    """The low-pass image as a network's argument; the coarsest level's takes none."""
    return () if low_pass is None else (low_pass,)
