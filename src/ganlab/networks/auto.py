"""The networks that fit the data: fully connected for points, DCGAN's for images."""

from typing import Any, Literal

from torch import nn

from ganlab.config.types import DoublingImageShapeOrPoints, NonNegativeInt, PositiveFloat, PositiveInt
from ganlab.errors import ConfigError
from ganlab.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from ganlab.networks.mlp import MLPDiscriminator, MLPGenerator


def generator(
    latent_dim: int, condition_size: int, *, sample_shape: DoublingImageShapeOrPoints, width: PositiveInt | None = None
) -> nn.Module:
    """An `MLPGenerator` or a `DCGANGenerator`; `width` None is the network's own default."""
    network = DCGANGenerator if len(sample_shape) == 3 else MLPGenerator
    return network(latent_dim, condition_size, sample_shape=sample_shape, **given(width=width))


def discriminator(
    condition_size: int,
    outputs: int = 1,
    *,
    sample_shape: DoublingImageShapeOrPoints,
    width: PositiveInt | None = None,
    norm: Literal["batch", "none", "spectral"] | None = None,
    gain: PositiveFloat | None = None,
    conditioning: Literal["planes", "embedded", "projection"] | None = None,
    minibatch_kernels: NonNegativeInt | None = None,
    minibatch_dims: PositiveInt | None = None,
) -> nn.Module:
    """An `MLPDiscriminator` or a `DCGANDiscriminator`; an option that is None is the network's own default.

    Raises:
        ConfigError: `conditioning` for points, or a gain other than 1 without spectral normalisation.
    """
    network = DCGANDiscriminator if len(sample_shape) == 3 else MLPDiscriminator
    if network is MLPDiscriminator and conditioning is not None:
        raise ConfigError(
            f"model.discriminator.conditioning={conditioning}: it says how conditions join images, "
            "and this data set holds points, which are joined to them as they are; leave it null"
        )
    options = given(
        width=width,
        norm=norm,
        gain=gain,
        conditioning=conditioning,
        minibatch_kernels=minibatch_kernels,
        minibatch_dims=minibatch_dims,
    )
    return network(condition_size, outputs, sample_shape=sample_shape, **options)


def given(**options: Any) -> dict[str, Any]:
    """The options that are not None: of the others the network has defaults of its own."""
    return {name: value for name, value in options.items() if value is not None}
