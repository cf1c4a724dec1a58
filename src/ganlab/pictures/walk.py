"""The way that an interpolation takes from one latent to another."""

from typing import Literal

import torch
from torch import Tensor

Prior = Literal["normal", "uniform"]


def walk_between(start: Tensor, end: Tensor, steps: int, prior: Prior = "normal") -> Tensor:
    """[walks, dim] and [walks, dim] -> [walks, steps, dim], both ends included; straight for a uniform prior."""
    way = slerp if prior == "normal" else torch.lerp
    return torch.stack([way(start, end, step / (steps - 1)) for step in range(steps)], dim=1)


def slerp(start: Tensor, end: Tensor, share: float) -> Tensor:
    """Spherical interpolation of [n, dim]: the angle and the length both go evenly from start to end.

    A straight line between normal vectors of many dimensions passes through lengths that the
    prior never draws (White, "Sampling generative networks", 2016). Where the two ends are
    parallel or opposite, or one is zero, no great circle is singled out, and the way is straight.
    """
    a, b = start.double(), end.double()
    length_a, length_b = a.norm(dim=1, keepdim=True), b.norm(dim=1, keepdim=True)
    unit_a, unit_b = a / length_a.clamp_min(1e-12), b / length_b.clamp_min(1e-12)
    angle = (unit_a * unit_b).sum(1, keepdim=True).clamp(-1, 1).acos()
    sine = angle.sin()
    turned = (((1 - share) * angle).sin() * unit_a + (share * angle).sin() * unit_b) / sine.clamp_min(1e-12)
    curved = turned * torch.lerp(length_a, length_b, share)
    turns = (sine > 1e-6) & (length_a > 0) & (length_b > 0)
    return torch.where(turns, curved, torch.lerp(a, b, share)).to(start.dtype)
