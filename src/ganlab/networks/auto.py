"""The networks that fit the data: fully connected for points, convolutional ones for images."""

from typing import Any, Literal

from torch import nn

from ganlab.config.types import DoublingImageShapeOrPoints, NonNegativeInt, PositiveFloat, PositiveInt, SampleShape
from ganlab.errors import ConfigError
from ganlab.networks.convolutional_autoencoder import ConvolutionalDecoder, ConvolutionalEncoder
from ganlab.networks.dcgan import COARSEST, DCGANDiscriminator, DCGANGenerator
from ganlab.networks.mlp import MLPDiscriminator, MLPGenerator
from ganlab.networks.mlp_autoencoder import MLPDecoder, MLPEncoder

WIDTHS = (256, 128)
"""Of the encoder's hidden layers; the decoder's are these in reverse."""


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


def encoder(
    outputs: int,
    condition_size: int,
    *,
    sample_shape: SampleShape,
    widths: list[PositiveInt] | None = None,
    activation: Literal["relu", "sigmoid", "tanh", "softplus", "linear"] | None = None,
    width: PositiveInt | None = None,
    batch_norm: bool | None = None,
    code_activation: Literal["relu", "sigmoid", "tanh", "softplus", "linear"] | None = None,
) -> nn.Module:
    """A `ConvolutionalEncoder` for square images of 8, 16, 32, … pixels, an `MLPEncoder` for all else.

    An option that is None is the network's own default.

    Raises:
        ConfigError: `widths` or `activation` for convolutions, `width` or `batch_norm` for fully connected layers.
    """
    layers = _layer_options("encoder", sample_shape, widths, activation, width, batch_norm)
    network = ConvolutionalEncoder if _halves_to_the_coarsest(sample_shape) else MLPEncoder
    options = layers | given(code_activation=code_activation)
    return network(outputs, condition_size, sample_shape=sample_shape, **options)


def decoder(
    inputs: int,
    condition_size: int,
    *,
    sample_shape: SampleShape,
    widths: list[PositiveInt] | None = None,
    activation: Literal["relu", "sigmoid", "tanh", "softplus", "linear"] | None = None,
    width: PositiveInt | None = None,
    batch_norm: bool | None = None,
) -> nn.Module:
    """A `ConvolutionalDecoder` or an `MLPDecoder`, where `encoder` has the like; None is the network's own default.

    Raises:
        ConfigError: `widths` or `activation` for convolutions, `width` or `batch_norm` for fully connected layers.
    """
    options = _layer_options("decoder", sample_shape, widths, activation, width, batch_norm)
    network = ConvolutionalDecoder if _halves_to_the_coarsest(sample_shape) else MLPDecoder
    return network(inputs, condition_size, sample_shape=sample_shape, **options)


def _halves_to_the_coarsest(shape: list[int]) -> bool:
    """Whether strided convolutions lead from these samples to 4×4 maps."""
    if len(shape) != 3:
        return False
    _, height, width = shape
    return height == width and height > COARSEST and height & (height - 1) == 0


def _layer_options(
    coder: str,
    shape: list[int],
    widths: list[int] | None,
    activation: str | None,
    width: int | None,
    batch_norm: bool | None,
) -> dict[str, Any]:
    """What was given of the options of the kind of layers that fits; one of the other kind is a ConfigError."""
    fully_connected = given(widths=widths, activation=activation)
    convolutional = given(width=width, batch_norm=batch_norm)
    if _halves_to_the_coarsest(shape):
        own, foreign = convolutional, fully_connected
        reason = "for these images the layers are convolutional, and only fully connected ones have it"
        remedy = "choose model/coders=mlp, or leave it null"
    else:
        own, foreign = fully_connected, convolutional
        reason = "only convolutional layers have it, which need square images of 8, 16, 32, 64, … pixels"
        remedy = "leave it null"
        own.setdefault("widths", list(WIDTHS if coder == "encoder" else reversed(WIDTHS)))
    for name, value in foreign.items():
        raise ConfigError(f"model.{coder}.{name}={value}: {reason}; {remedy}")
    return own


def given(**options: Any) -> dict[str, Any]:
    """The options that are not None: of the others the network has defaults of its own."""
    return {name: value for name, value in options.items() if value is not None}
