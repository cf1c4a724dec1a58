"""The nonlinearities of the autoencoders' layers, and the weights that a layer before each of them begins with."""

import math
from typing import Literal, get_args

from torch import nn

Activation = Literal["relu", "sigmoid", "tanh", "softplus", "linear"]
"""Constructors write it out: the configuration check reads their annotations from the source."""

_MODULES: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "softplus": nn.Softplus,
    "linear": nn.Identity,
}

_GAINS: dict[str, float] = {
    "relu": math.sqrt(2),
    "sigmoid": 4.0,
    "tanh": 1.0,
    "softplus": math.sqrt(2),
    "linear": 1.0,
}


def activation_module(name: Activation) -> nn.Module:
    """The nonlinearity of that name; "linear" is the identity. Raises ValueError for other names."""
    if name not in _MODULES:
        raise ValueError(f"{name} is none of the activations {', '.join(get_args(Activation))}")
    return _MODULES[name]()


def initialise_linear(layer: nn.Linear, activation: Activation) -> None:
    """Weights uniform on ±gain √(6 / (inputs + outputs)) (Glorot & Bengio 2010, equation 16), biases zero.

    The gain makes up for the slope of the activation that follows: 1 for tanh and linear; 4 for the sigmoid, whose
    slope at zero is 1/4, without which every layer of a stack would lose three quarters of its signal and its
    gradient; √2 for ReLU and softplus, which let half of it through (He et al. 2015). The bound is the
    same for a weight and its transpose, so that tied layers begin as untied ones do.
    """
    nn.init.xavier_uniform_(layer.weight, _GAINS[activation])
    nn.init.zeros_(layer.bias)
