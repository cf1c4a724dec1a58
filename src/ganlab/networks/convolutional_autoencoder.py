"""Convolutional encoder and decoder for square images: strided convolutions down to 4×4, transposed ones up again.

The layers are those of DCGAN (`ganlab.networks.dcgan`) with the codes where its score and its latents are, and without
its tanh. Their weights begin as He et al. 2015 have it, for N(0, 0.02²) would let the signal die out where no batch
norm scales it up again.
"""

import itertools
import math
from typing import Literal

import torch
from torch import Tensor, nn

from ganlab.config.types import ConvolutionalCoderShape, PositiveInt
from ganlab.errors import ConfigError
from ganlab.networks.activations import activation_module, initialise_linear
from ganlab.networks.conditioning import join_features, join_planes
from ganlab.networks.dcgan import COARSEST, downward


class ConvolutionalEncoder(nn.Module):
    """Images [n, channels, size, size] (with conditions [n, condition_size] as planes) to codes [n, outputs].

    `width` is the number of feature maps after the first convolution; it doubles at each coarser level. `batch_norm`
    is on every convolution but the first. The codes are a linear map of the last maps, with `code_activation`.
    """

    def __init__(
        self,
        outputs: int,
        condition_size: int,
        *,
        sample_shape: ConvolutionalCoderShape,
        width: PositiveInt = 32,
        batch_norm: bool = False,
        code_activation: Literal["relu", "sigmoid", "tanh", "softplus", "linear"] = "linear",
    ) -> None:
        super().__init__()
        channels, size, _ = sample_shape
        levels = _levels(size)
        self.layers = downward(channels + condition_size, width, levels, batch_norm)
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d):
                _initialise(layer, layer.in_channels * math.prod(layer.kernel_size), slope=0.2)
        self.code = nn.Linear(width * 2 ** (levels - 1) * COARSEST**2, outputs)
        initialise_linear(self.code, code_activation)
        self.code_activation = activation_module(code_activation)

    def forward(self, values: Tensor, conditions: Tensor | None = None) -> Tensor:
        maps = self.layers(join_planes(values, conditions))
        return self.code_activation(self.code(torch.flatten(maps, 1)))


class ConvolutionalDecoder(nn.Module):
    """Codes [n, inputs] (joined with conditions [n, condition_size]) to raw outputs [n, channels, size, size].

    `width` is the number of feature maps before the output; it doubles at each coarser level. `batch_norm` is
    before every ReLU.
    """

    def __init__(
        self,
        inputs: int,
        condition_size: int,
        *,
        sample_shape: ConvolutionalCoderShape,
        width: PositiveInt = 32,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        channels, size, _ = sample_shape
        levels = _levels(size)
        maps = [width * 2**level for level in reversed(range(levels))]
        self.project = nn.Linear(inputs + condition_size, maps[0] * COARSEST**2, bias=not batch_norm)
        _initialise(self.project, self.project.in_features, slope=0.0)
        layers = _before_convolution(maps[0], batch_norm)
        for coarse, fine in itertools.pairwise(maps):
            layers += [_doubling(coarse, fine, slope=0.0, bias=not batch_norm), *_before_convolution(fine, batch_norm)]
        # Nothing follows the last one, and a slope of 1 is the identity.
        self.layers = nn.Sequential(*layers, _doubling(maps[-1], channels, slope=1.0, bias=True))

    def tie(self, encoder: nn.Module) -> None:
        """Raises ConfigError: these layers are no transposes of the encoder's."""
        raise ConfigError(
            "model.tied=true: a convolutional decoder does not share the encoder's weights; "
            "set model/coders=mlp or model.tied=false"
        )

    def forward(self, codes: Tensor, conditions: Tensor | None = None) -> Tensor:
        coarse = self.project(join_features(codes, conditions))
        return self.layers(coarse.unflatten(1, (-1, COARSEST, COARSEST)))


def _levels(size: int) -> int:
    """Halvings from an image's size to the coarsest maps."""
    return int(math.log2(size // COARSEST))


def _before_convolution(maps: int, batch_norm: bool) -> list[nn.Module]:
    return [nn.BatchNorm2d(maps), nn.ReLU()] if batch_norm else [nn.ReLU()]


def _doubling(inputs: int, outputs: int, slope: float, bias: bool) -> nn.ConvTranspose2d:
    layer = nn.ConvTranspose2d(inputs, outputs, kernel_size=4, stride=2, padding=1, bias=bias)
    # Of the 4×4 kernel, a stride of 2 lets 2×2 weights reach any one output.
    _initialise(layer, inputs * 2 * 2, slope)
    return layer


def _initialise(layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear, terms: int, slope: float) -> None:
    """He et al. 2015, equation 15: normal weights with a variance of 2 / ((1 + slope²) terms), biases zero.

    `terms`: how many inputs an output is a sum of; `slope`: that of the (leaky) ReLU which follows, below zero.
    """
    nn.init.normal_(layer.weight, 0.0, math.sqrt(2 / ((1 + slope**2) * terms)))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
