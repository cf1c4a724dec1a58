"""The networks that fit the data: fully connected for points, DCGAN's for images."""

from typing import Any, Literal

from torch import nn

from ganlab.config.types import DoublingImageShapeOrPoints, PositiveInt
from ganlab.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from ganlab.networks.mlp import MLPDiscriminator, MLPGenerator


def generator(
    latent_dim: int, condition_size: int, *, sample_shape: DoublingImageShapeOrPoints, width: PositiveInt | None = None
) -> nn.Module:
    """An `MLPGenerator` or a `DCGANGenerator`; `width` None is the network's own default."""
    network = DCGANGenerator if len(sample_shape) == 3 else MLPGenerator
    options: dict[str, Any] = {} if width is None else {"width": width}
    return network(latent_dim, condition_size, sample_shape=sample_shape, **options)


def discriminator(
    condition_size: int,
    *,
    sample_shape: DoublingImageShapeOrPoints,
    width: PositiveInt | None = None,
    norm: Literal["batch", "none"] | None = None,
) -> nn.Module:
    """An `MLPDiscriminator` or a `DCGANDiscriminator`; `width` or `norm` None is the network's own default."""
    network = DCGANDiscriminator if len(sample_shape) == 3 else MLPDiscriminator
    options: dict[str, Any] = {} if width is None else {"width": width}
    options |= {} if norm is None else {"norm": norm}
    return network(condition_size, sample_shape=sample_shape, **options)
