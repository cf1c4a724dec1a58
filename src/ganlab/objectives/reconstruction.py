"""How far a reconstruction is from its sample: sums over a sample's values, one number a sample.

`outputs` is what a decoder makes, [n, …], and `targets` are the samples, of the same shape: images in [0, 1], points in
their own units. Errors are in (squared) units of a value, negative log-likelihoods in nats.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """‖x - y‖², [n]."""
    return (outputs - targets).square().flatten(1).sum(1)


def absolute_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """‖x - y‖₁, [n]: up to factors the negative log-likelihood of a Laplace distribution."""
    return (outputs - targets).abs().flatten(1).sum(1)


def bernoulli_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """-log p(y | x) of independent Bernoulli values, [n], in nats.

    Targets in [0, 1]; between 0 and 1 it is the cross-entropy, whose least value is the targets' entropy and not 0.
    """
    return binary_cross_entropy_with_logits(logits, targets, reduction="none").flatten(1).sum(1)


def gaussian_loss(means: Tensor, targets: Tensor, log_std: float | Tensor) -> Tensor:
    """-log p(y | x) of independent Gaussian values of one standard deviation, [n], in nats: a density, of any sign.

    `log_std`: a number, or a scalar tensor, which may be learned.
    """
    precision = torch.exp(-2 * log_std) if isinstance(log_std, Tensor) else math.exp(-2 * log_std)
    values = math.prod(targets.shape[1:])
    return squared_error(means, targets) * precision / 2 + values * (log_std + math.log(2 * math.pi) / 2)


def peak_signal_to_noise(mse: Tensor) -> Tensor:
    """10 log₁₀(1 / MSE) in decibels, of mean squared errors per value in [0, 1]; infinite where there is no error."""
    return -10 * torch.log10(mse)
