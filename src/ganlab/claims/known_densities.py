"""A real and a generated distribution in the plane whose densities are known, and integrals over them."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

REAL_MODES = torch.tensor([[-1.2, -1.2], [-1.2, 1.2], [1.2, -1.2], [1.2, 1.2]])
GENERATED_MODES = torch.tensor([[0.0, 1.4], [-1.6, -0.4], [1.2, -1.0]])
REAL_STD, GENERATED_STD = 0.5, 0.6
SIDE, REACH = 121, 4.0
"""Points along a side of the square [-4, 4]² over which integrals are taken; all but 1e-4 of the mass is in it."""


class GaussianModes(nn.Module):
    """Standard normal latents [n, 3] to points [n, 2] of equally likely round Gaussians; the third says of which."""

    def __init__(self, modes: Tensor, std: float) -> None:
        super().__init__()
        self.modes, self.std = nn.Parameter(modes.clone()), std

    def forward(self, latents: Tensor, conditions: Tensor | None = None) -> Tensor:
        share = torch.special.ndtr(latents[:, 2])
        which = (share * len(self.modes)).long().clamp(max=len(self.modes) - 1)
        return self.modes[which] + self.std * latents[:, :2]


def density(points: Tensor, modes: Tensor, std: float) -> Tensor:
    """Of equally likely round Gaussians, at points [n, 2]: [n]."""
    squared = torch.cdist(points, modes.to(points)).square()
    return torch.exp(-squared / (2 * std**2)).mean(1) / (2 * math.pi * std**2)


class Square(NamedTuple):
    """A grid of points [n, 2], both densities at them [n], and the area that each stands for."""

    points: Tensor
    real: Tensor
    generated: Tensor
    area: float

    @property
    def optimal(self) -> Tensor:
        return self.real / (self.real + self.generated)


def square() -> Square:
    ticks = torch.linspace(-REACH, REACH, SIDE).double()
    points = torch.cartesian_prod(ticks, ticks)
    area = float(ticks[1] - ticks[0]) ** 2
    real = density(points, REAL_MODES, REAL_STD)
    return Square(points, real, density(points, GENERATED_MODES, GENERATED_STD), area)


def mean_error(probabilities: Tensor, on: Square) -> float:
    """E|s(D) - p_r / (p_r + p_g)|, half the points being real and half generated."""
    weights = (on.real + on.generated) / 2 * on.area
    return float((weights * (probabilities - on.optimal).abs()).sum())


def excess(scores: Tensor, on: Square) -> float:
    """The discriminator's expected loss less that of the best one, log 4 - 2 JS; nats, at least 0."""

    def loss(logits: Tensor) -> Tensor:
        of_real, of_fake = nn.functional.softplus(-logits), nn.functional.softplus(logits)
        return ((on.real * of_real + on.generated * of_fake) * on.area).sum()

    return float(loss(scores) - loss(on.optimal.logit()))


def mass_levels(mixed: Tensor, area: float) -> list[float]:
    """The densities above which 99 % and half of the mass lie."""
    ordered = mixed.flatten().sort(descending=True).values
    shares = (ordered * area).cumsum(0) / (ordered * area).sum()
    return [float(ordered[int((shares < share).sum())]) for share in (0.99, 0.5)]
