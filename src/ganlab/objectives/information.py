"""The variational bound on mutual information of Chen et al. 2016 (InfoGAN), one code at a time.

I(c; G(z, c)) ≥ E[log Q(c | x)] + H(c) (equation 4), with Q the recognition network's distribution over the code: a
categorical one, or for a uniform code a Gaussian (section 6). All results are in nats, means over the batch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import one_hot, softplus

LEAST_LOG_STD = -3.0
"""A code on [-1, 1] that is known to 0.05 is known: without an end, sharper and sharper codes would pay for ever."""


@dataclass(frozen=True)
class Categorical:
    """One of `size` equally likely values, one-hot: [n, size]; Q gives logits [n, size]."""

    size: int

    @property
    def parameters(self) -> int:
        """How many numbers of the recognition network tell Q."""
        return self.size

    @property
    def entropy(self) -> float:
        """H(c)."""
        return math.log(self.size)

    def of_uniform(self, shares: Tensor) -> Tensor:
        """A draw of the code [n, size] from uniform numbers [n] in [0, 1)."""
        return one_hot((shares * self.size).long().clamp_max(self.size - 1), self.size).to(shares.dtype)

    def values(self, steps: int) -> Tensor:
        """All values, [size, size], whatever `steps`."""
        return torch.eye(self.size)

    def loss(self, told: Tensor, code: Tensor) -> Tensor:
        """-E[log Q(c | x)], a scalar: the cross-entropy; `told`, `code`: [n, size]. log(size) where Q is no guide."""
        return -(code * torch.log_softmax(told, dim=1)).sum(dim=1).mean()


@dataclass(frozen=True)
class Uniform:
    """A number uniform on [-1, 1]: [n, 1]; Q gives a mean and, above a smooth floor, the logarithm of a
    standard deviation: [n, 2]."""

    size: int = 1
    parameters: int = 2
    entropy: float = math.log(2)

    def of_uniform(self, shares: Tensor) -> Tensor:
        """A draw of the code [n, 1] from uniform numbers [n] in [0, 1)."""
        return (2 * shares - 1).unsqueeze(1)

    def values(self, steps: int) -> Tensor:
        """`steps` values from -1 to 1, [steps, 1]."""
        return torch.linspace(-1, 1, steps).unsqueeze(1)

    def loss(self, told: Tensor, code: Tensor) -> Tensor:
        """-E[log Q(c | x)], a scalar: minus the Gaussian log-density of `code` [n, 1] under `told` [n, 2].

        About 0.87 for the best Gaussian that does not depend on x; negative once the code is known to 0.24.
        """
        # A smooth floor: below a hard one nothing would widen a wrong, sharp answer again.
        mean, log_std = told[:, 0], LEAST_LOG_STD + softplus(told[:, 1] - LEAST_LOG_STD)
        standardised = (code[:, 0] - mean) * torch.exp(-log_std)
        return (log_std + standardised.square() / 2).mean() + math.log(2 * math.pi) / 2


Code = Categorical | Uniform


def codes_of(named: Sequence[int | Literal["uniform"]]) -> list[Code]:
    """Codes by their configuration: a whole number is a categorical code of so many values."""
    return [Uniform() if name == "uniform" else Categorical(int(name)) for name in named]
