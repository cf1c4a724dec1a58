"""Fully connected generator and discriminator, for points and for (flattened) images."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from ganlab.config.types import FewTimes, NonNegativeInt, PositiveFloat, PositiveInt, SampleShape
from ganlab.networks.conditioning import join_features
from ganlab.networks.minibatch import MinibatchDiscrimination
from ganlab.networks.spectral import constrain


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
        depth: FewTimes = 3,
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
    """Samples [n, *sample_shape] (and conditions [n, condition_size]) to raw scores [n].

    With several `outputs`, class logits for instance, the scores are [n, outputs].
    `norm` "spectral" normalises all weights and multiplies them by `gain` (`ganlab.networks.spectral`).
    `minibatch_kernels` above 0 joins minibatch discrimination to the features, with `minibatch_dims` numbers
    a kernel; its tensor is never normalised, for it scales distances whose exponential is bounded anyway.

    Raises:
        ConfigError: a gain other than 1 without spectral normalisation.
    """

    def __init__(
        self,
        condition_size: int,
        outputs: int = 1,
        *,
        sample_shape: SampleShape,
        width: PositiveInt = 128,
        depth: FewTimes = 3,
        norm: Literal["batch", "none", "spectral"] = "none",
        gain: PositiveFloat = 1.0,
        minibatch_kernels: NonNegativeInt = 0,
        minibatch_dims: PositiveInt = 5,
    ) -> None:
        super().__init__()
        inputs = math.prod(sample_shape) + condition_size
        hidden = _hidden_layers(inputs, width, depth, nn.LeakyReLU(0.2), batch_norm=norm == "batch")
        self.layers = nn.Sequential(*hidden, nn.Linear(width + minibatch_kernels, outputs))
        self.feature_count = width
        self.minibatch = (
            MinibatchDiscrimination(width, minibatch_kernels, minibatch_dims) if minibatch_kernels else None
        )
        constrain(self, norm, gain)

    def features(self, samples: Tensor, conditions: Tensor | None = None) -> Tensor:
        """The last hidden layer, before minibatch discrimination: [n, feature_count]."""
        features = join_features(torch.flatten(samples, 1), conditions)
        *hidden, _ = self.layers
        for layer in hidden:
            features = layer(features)
        return features

    def head(self, features: Tensor, conditions: Tensor | None = None) -> Tensor:
        """Raw scores [n] (or [n, outputs]) of features [n, feature_count], which hold the conditions already."""
        seen = features if self.minibatch is None else self.minibatch(features)
        return self.layers[-1](seen).squeeze(1)

    def forward(self, samples: Tensor, conditions: Tensor | None = None) -> Tensor:
        return self.head(self.features(samples, conditions), conditions)
