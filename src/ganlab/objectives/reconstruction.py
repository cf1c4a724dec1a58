"""How far a reconstruction is from its sample: sums over a sample's values, one number a sample.

Images are in [0, 1] here. A squared or absolute error is in squared or plain units of a value; a log-likelihood in
nats. `outputs` is what a decoder makes, [n, …]; `targets` are the samples, of the same shape.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

Pairwise = Callable[[Tensor, Tensor], Tensor]


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """‖x - y‖², [n]: up to factors the negative log-likelihood of a Gaussian."""
    return (outputs - targets).square().flatten(1).sum(1)


def absolute_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """‖x - y‖₁, [n]: up to factors the negative log-likelihood of a Laplace distribution."""
    return (outputs - targets).abs().flatten(1).sum(1)


def bernoulli_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """-log p(y | x) of independent Bernoulli values, [n], in nats; targets in [0, 1] (the cross-entropy, if not 0 or 1)."""
    return binary_cross_entropy_with_logits(logits, targets, reduction="none").flatten(1).sum(1)


def gaussian_loss(means: Tensor, targets: Tensor, std: float) -> Tensor:
    """-log p(y | x) of independent Gaussian values of one standard deviation, [n], in nats."""
    values = targets[0].numel()
    return squared_error(means, targets) / (2 * std**2) + values * (math.log(std) + math.log(2 * math.pi) / 2)


@dataclass(frozen=True)
class Reconstruction:
    """A loss of decoder outputs, and the values that these outputs stand for."""

    loss: Pairwise
    mean: Callable[[Tensor], Tensor]
    is_likelihood: bool = False
    """Whether the loss is in nats."""


def _same(outputs: Tensor) -> Tensor:
    return outputs


RECONSTRUCTIONS = {
    "squared": Reconstruction(squared_error, _same),
    "absolute": Reconstruction(absolute_error, _same),
    "bernoulli": Reconstruction(bernoulli_loss, torch.sigmoid, is_likelihood=True),
}


def peak_signal_to_noise(squared: Tensor) -> Tensor:
    """10 log₁₀(1 / MSE) in decibels, for mean squared errors of values in [0, 1]."""
    return -10 * torch.log10(squared)
