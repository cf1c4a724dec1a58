"""Fully connected generator and discriminator, for points and for (flattened) images."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from ganlab.config.types import PositiveInt, SampleShape
from ganlab.networks.conditioning import join_features


def _hidden_layers(inputs: int, width: int, depth: int, activation: nn.Module, batch_norm: bool) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers.append(nn.Linear(inputs, width, bias=not batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm1d(width))
        layers.append(activation)
        inputs = width
    return layers


class MLPGenerator(nn.Module):
    """Latents [n, latent_dim] (and conditions [n, condition_size]) to samples [n, *sample_shape].

    Images end in tanh, so they lie in [-1, 1]; points have a linear output.
    """

    def __init__(
        self,
        latent_dim: int,
        condition_size: int,
        *,
        sample_shape: SampleShape,
        width: PositiveInt = 128,
        depth: PositiveInt = 3,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.sample_shape = list(sample_shape)
        hidden = _hidden_layers(latent_dim + condition_size, width, depth, nn.ReLU(), batch_norm)
        output: list[nn.Module] = [nn.Linear(width, math.prod(sample_shape))]
        if len(sample_shape) == 3:
            output.append(nn.Tanh())
        self.layers = nn.Sequential(*hidden, *output)

    def forward(self, latents: Tensor, conditions: Tensor | None = None) -> Tensor:
        return self.layers(join_features(latents, conditions)).unflatten(1, self.sample_shape)


class MLPDiscriminator(nn.Module):
    """Samples [n, *sample_shape] (and conditions [n, condition_size]) to raw scores [n]."""

    def __init__(
        self,
        condition_size: int,
        *,
        sample_shape: SampleShape,
        width: PositiveInt = 128,
        depth: PositiveInt = 3,
        norm: Literal["batch", "none"] = "none",
    ) -> None:
        super().__init__()
        inputs = math.prod(sample_shape) + condition_size
        hidden = _hidden_layers(inputs, width, depth, nn.LeakyReLU(0.2), batch_norm=norm == "batch")
        self.layers = nn.Sequential(*hidden, nn.Linear(width, 1))

    def forward(self, samples: Tensor, conditions: Tensor | None = None) -> Tensor:
        return self.layers(join_features(torch.flatten(samples, 1), conditions)).squeeze(1)
