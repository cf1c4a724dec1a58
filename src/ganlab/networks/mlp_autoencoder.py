"""Fully connected encoder and decoder, for points and for (flattened) images of any size."""

import itertools
import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from ganlab.config.types import PositiveInt, SampleShape
from ganlab.errors import ConfigError
from ganlab.networks.activations import Activation, activation_module, initialise_linear
from ganlab.networks.conditioning import join_features


class MLPEncoder(nn.Module):
    """Values [n, *sample_shape] (and conditions [n, condition_size]) to codes [n, outputs].

    A hidden layer for each of `widths`, from the values inwards, with `activation`; then the layer of the codes with
    `code_activation`. Without widths there is that layer alone. The conditions stand behind the flattened values.
    """

    def __init__(
        self,
        outputs: int,
        condition_size: int,
        *,
        sample_shape: SampleShape,
        widths: list[PositiveInt],
        activation: Literal["relu", "sigmoid", "tanh", "softplus", "linear"] = "relu",
        code_activation: Literal["relu", "sigmoid", "tanh", "softplus", "linear"] = "linear",
    ) -> None:
        super().__init__()
        self.condition_size = condition_size
        self.sizes = [math.prod(sample_shape) + condition_size, *widths, outputs]
        self.linears = _linears(self.sizes, activation, code_activation)
        self.activation = activation_module(activation)
        self.code_activation = activation_module(code_activation)

    def forward(self, values: Tensor, conditions: Tensor | None = None) -> Tensor:
        features = join_features(torch.flatten(values, 1), conditions)
        *hidden, last = self.linears
        for layer in hidden:
            features = self.activation(layer(features))
        return self.code_activation(last(features))


class MLPDecoder(nn.Module):
    """Codes [n, inputs] (and conditions [n, condition_size]) to raw outputs [n, *sample_shape].

    A hidden layer for each of `widths`, from the codes outwards, with `activation`; then a linear one.
    The conditions stand behind the codes.
    """

    def __init__(
        self,
        inputs: int,
        condition_size: int,
        *,
        sample_shape: SampleShape,
        widths: list[PositiveInt],
        activation: Literal["relu", "sigmoid", "tanh", "softplus", "linear"] = "relu",
    ) -> None:
        super().__init__()
        self.condition_size = condition_size
        self.sample_shape = list(sample_shape)
        self.sizes = [inputs + condition_size, *widths, math.prod(sample_shape)]
        self.linears = _linears(self.sizes, activation, "linear")
        self.activation = activation_module(activation)

    def tie(self, encoder: nn.Module) -> None:
        """From now on the weights are the encoder's, transposed; the biases stay the decoder's own.

        Raises:
            ConfigError: another kind of encoder, one whose layers are not these in reverse, or conditions.
        """
        if not isinstance(encoder, MLPEncoder):
            raise ConfigError(
                "model.tied=true: only fully connected coders can share their weights; "
                "set model/coders=mlp or model.tied=false"
            )
        _check_mirrored(encoder, self)
        sources = [layer for layer in encoder.linears if isinstance(layer, nn.Linear)][::-1]
        biases = [layer.get_parameter("bias") for layer in self.linears]
        self.linears = nn.ModuleList(map(TransposedLinear, sources, biases))

    def forward(self, codes: Tensor, conditions: Tensor | None = None) -> Tensor:
        features = join_features(codes, conditions)
        *hidden, last = self.linears
        for layer in hidden:
            features = self.activation(layer(features))
        return last(features).unflatten(1, self.sample_shape)


class TransposedLinear(nn.Module):
    """Features [n, source.out_features] times the weight of another layer, plus a bias: [n, source.in_features].

    `weight` [source.in_features, source.out_features] is a view of the source's, and no parameter of this module.
    """

    def __init__(self, source: nn.Linear, bias: nn.Parameter) -> None:
        super().__init__()
        # In a tuple, for a module that is an attribute would be saved and counted once more. A deep copy of whatever
        # holds both layers still has one of the source, and the reference goes to it.
        self._source = (source,)
        self.bias = bias
        self.in_features, self.out_features = source.out_features, source.in_features

    @property
    def weight(self) -> Tensor:
        return self._source[0].weight.T

    def forward(self, features: Tensor) -> Tensor:
        return linear(features, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}"


def _linears(sizes: Sequence[int], activation: Activation, last: Activation) -> nn.ModuleList:
    layers = [nn.Linear(inputs, outputs) for inputs, outputs in itertools.pairwise(sizes)]
    for layer in layers[:-1]:
        initialise_linear(layer, activation)
    initialise_linear(layers[-1], last)
    return nn.ModuleList(layers)


def _check_mirrored(encoder: MLPEncoder, decoder: MLPDecoder) -> None:
    if encoder.condition_size or decoder.condition_size:
        raise ConfigError(
            "model.tied=true: the conditions have weights of their own in the encoder and in the decoder, "
            "which cannot be shared; set model.tied=false"
        )
    (code, *widths, values), mirrored = decoder.sizes, encoder.sizes[::-1]
    if widths != mirrored[1:-1]:
        raise ConfigError(
            f"model.tied=true: the decoder's widths {_shown(widths)} are not the encoder's in reverse; "
            f"set model.decoder.widths={_shown(mirrored[1:-1])} or model.tied=false"
        )
    if [code, values] != [mirrored[0], mirrored[-1]]:
        raise ConfigError(
            f"model.tied=true: the encoder makes {mirrored[0]} numbers of {mirrored[-1]} values, "
            f"and the decoder makes {values} values of {code} numbers; set model.tied=false"
        )


def _shown(widths: list[int]) -> str:
    return f"[{','.join(map(str, widths))}]"
