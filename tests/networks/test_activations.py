import math

import pytest
import torch
from torch import nn

from ganlab.networks.activations import activation_module, initialise_linear

FORMULAS = {
    "relu": lambda x: max(x, 0.0),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "tanh": math.tanh,
    "softplus": lambda x: math.log(1 + math.exp(x)),
    "linear": lambda x: x,
}


@pytest.mark.parametrize("name", FORMULAS)
def test_each_is_its_formula(name):
    points = [-3.0, -0.5, 0.0, 0.7, 4.0]
    expected = torch.tensor([FORMULAS[name](x) for x in points])
    torch.testing.assert_close(activation_module(name)(torch.tensor(points)), expected)


def test_other_names_are_refused():
    with pytest.raises(ValueError, match="gelu is none of the activations relu, sigmoid, tanh, softplus, linear"):
        activation_module("gelu")


@pytest.mark.parametrize(
    ("name", "gain"), [("relu", 2**0.5), ("sigmoid", 4.0), ("tanh", 1.0), ("softplus", 2**0.5), ("linear", 1.0)]
)
def test_weights_are_uniform_up_to_glorots_bound(name, gain):
    torch.manual_seed(0)
    layer = nn.Linear(300, 100)
    initialise_linear(layer, name)
    bound = gain * math.sqrt(6 / 400)
    assert 0.999 * bound < layer.weight.abs().max() <= bound
    # Of 30,000 uniform draws: five standard errors of the mean and of the variance (its kurtosis is 9/5).
    assert abs(layer.weight.mean()) < 5 * bound / math.sqrt(3 * 30_000)
    assert abs(layer.weight.var() / (bound**2 / 3) - 1) < 5 * math.sqrt(0.8 / 30_000)
    assert not layer.bias.any()


def test_a_deep_stack_of_sigmoids_keeps_its_gradient():
    """Six layers: with gain 1 the gradient's variance falls by 16 at each, 4^-6 of the norm in all."""
    torch.manual_seed(0)
    layers = [nn.Linear(100, 100) for _ in range(6)]
    inputs = torch.rand(32, 100, requires_grad=True)
    features = inputs
    for layer in layers:
        initialise_linear(layer, "sigmoid")
        features = torch.sigmoid(layer(features))
    direction = torch.randn_like(features)
    (gradient,) = torch.autograd.grad(features, inputs, direction)
    assert 0.05 < gradient.norm() / direction.norm() < 20
