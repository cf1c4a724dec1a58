"""The restricted Boltzmann machine: Hinton & Salakhutdinov 2006, Hinton's practical guide 2010.

p(v, h) is proportional to exp(-E(v, h)) with, for Bernoulli units of both kinds (guide, equation 1),

    E(v, h) = - b·v - c·h - h·W v.

Gaussian units, of unit variance, have ½‖v - b‖² in the place of -b·v, or ½‖h - c‖² in that of -c·h (guide, section
13.2). Either way the units of a kind are independent of one another given those of the other.
"""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, softplus

Units = Literal["bernoulli", "gaussian"]
Noise = Callable[[Tensor, Literal["uniform", "normal"]], Tensor]
"""Of a tensor's shape, type and device: uniform draws from [0, 1), or standard normal ones."""


class Chain(NamedTuple):
    """Where a Gibbs chain ended: the visible units drawn last [n, visible], their means given the hidden ones, and
    those hidden ones [n, hidden]."""

    visible: Tensor
    visible_mean: Tensor
    hidden: Tensor


class RBM(nn.Module):
    """`visible` and `hidden` units, each Bernoulli (values in [0, 1]) or Gaussian (any real ones, of unit variance).

    `weight` [hidden, visible] begins as N(0, 0.01²), `visible_bias` and `hidden_bias` as zero (guide, section 8).
    Where both kinds are Gaussian there is a distribution only while the weight's singular values are below 1.
    """

    def __init__(
        self, visible: int, hidden: int, *, visible_units: Units = "bernoulli", hidden_units: Units = "bernoulli"
    ) -> None:
        super().__init__()
        self.visible_units, self.hidden_units = visible_units, hidden_units
        self.weight = nn.Parameter(0.01 * torch.randn(hidden, visible))
        self.visible_bias = nn.Parameter(torch.zeros(visible))
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))

    def energy(self, visible: Tensor, hidden: Tensor) -> Tensor:
        """E(v, h) [n] of visible [n, visible] and hidden [n, hidden] units."""
        interaction = (hidden * linear(visible, self.weight)).sum(dim=1)
        own = _own_energy(visible, self.visible_bias, self.visible_units)
        return own + _own_energy(hidden, self.hidden_bias, self.hidden_units) - interaction

    def free_energy(self, visible: Tensor) -> Tensor:
        """F(v) = -log ∑ₕ exp(-E(v, h)) [n], an integral for Gaussian hidden units; p(v) = exp(-F(v)) / Z.

        Each hidden unit is summed out by itself, at its own input xⱼ = (W v)ⱼ: a Bernoulli one to
        1 + exp(cⱼ + xⱼ) (guide, section 16.1), a Gaussian one to √(2π) exp(cⱼ xⱼ + ½ xⱼ²).
        """
        inputs = linear(visible, self.weight)
        if self.hidden_units == "bernoulli":
            summed = softplus(inputs + self.hidden_bias)
        else:
            summed = inputs * (self.hidden_bias + inputs / 2) + math.log(2 * math.pi) / 2
        return _own_energy(visible, self.visible_bias, self.visible_units) - summed.sum(dim=1)

    def hidden_mean(self, visible: Tensor) -> Tensor:
        """E[h | v] [n, hidden]: for Bernoulli units their probabilities."""
        return _mean(linear(visible, self.weight, self.hidden_bias), self.hidden_units)

    def visible_mean(self, hidden: Tensor) -> Tensor:
        """E[v | h] [n, visible]: for Bernoulli units their probabilities."""
        return _mean(linear(hidden, self.weight.T, self.visible_bias), self.visible_units)

    def sample_hidden(self, visible: Tensor, noise: Noise) -> Tensor:
        """Draws [n, hidden] from p(h | v)."""
        return _sample(self.hidden_mean(visible), self.hidden_units, noise)

    def sample_visible(self, hidden: Tensor, noise: Noise) -> Tensor:
        """Draws [n, visible] from p(v | h)."""
        return _sample(self.visible_mean(hidden), self.visible_units, noise)

    def reconstruct(self, visible: Tensor) -> Tensor:
        """Up and down again by the means alone: [n, visible] to [n, visible]."""
        return self.visible_mean(self.hidden_mean(visible))

    @torch.no_grad()
    def chain(self, visible: Tensor, steps: int, noise: Noise) -> Chain:
        """Block Gibbs sampling from `visible` [n, visible]: so many times all hidden units, then all visible ones.

        Raises ValueError for less than one step.
        """
        if steps < 1:
            raise ValueError(f"a chain of {steps} steps goes nowhere")
        for _ in range(steps):
            hidden = self.sample_hidden(visible, noise)
            mean = self.visible_mean(hidden)
            visible = _sample(mean, self.visible_units, noise)
        return Chain(visible, mean, hidden)

    def contrastive_divergence(self, visible: Tensor, steps: int, noise: Noise, *, last_means: bool = False) -> Tensor:
        """mean F(v₀) - mean F(vₖ): a scalar whose gradient is that of CD-k (Hinton 2002), and not a likelihood.

        vₖ, `steps` of Gibbs sampling away from the data v₀ [n, visible], is a constant. The hidden units' last
        update is by probabilities in any case, for such is the free energy's gradient. Visible units are drawn,
        so that the gradient goes to the likelihood's as k grows; `last_means` puts their means in the place of
        the last draw, as Hinton & Salakhutdinov 2006 did: less noise, but a bias that no k takes away.
        """
        end = self.chain(visible, steps, noise)
        return (
            self.free_energy(visible).mean() - self.free_energy(end.visible_mean if last_means else end.visible).mean()
        )


def _own_energy(units: Tensor, bias: Tensor, kind: Units) -> Tensor:
    """What the units [n, k] have without the others: [n]."""
    if kind == "bernoulli":
        return -units @ bias
    return (units - bias).square().sum(dim=1) / 2


def _mean(inputs: Tensor, kind: Units) -> Tensor:
    return torch.sigmoid(inputs) if kind == "bernoulli" else inputs


def _sample(mean: Tensor, kind: Units, noise: Noise) -> Tensor:
    if kind == "bernoulli":
        return (noise(mean, "uniform") < mean).to(mean.dtype)
    return mean + noise(mean, "normal")
