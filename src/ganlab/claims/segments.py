"""Two parallel segments in the plane, the first example of Arjovsky, Chintala & Bottou 2017."""

import torch
from torch import Tensor, nn

SMALL = ("model/networks=mlp", "model.discriminator.width=64", "model.discriminator.depth=2")
"""Networks that are large enough to tell them apart."""


class Segment(nn.Module):
    """Latents uniform on [-1, 1], [n, 1], to points [n, 2] of the segment {θ} × [0, 1]; θ is its only weight."""

    def __init__(self, distance: float) -> None:
        super().__init__()
        self.distance = nn.Parameter(torch.tensor(float(distance)))

    def forward(self, latents: Tensor, conditions: Tensor | None = None) -> Tensor:
        return torch.cat([self.distance.expand(len(latents), 1), (latents + 1) / 2], dim=1)


def real_segment(count: int, random: torch.Generator) -> Tensor:
    """Points [count, 2] of the segment {0} × [0, 1]."""
    heights = torch.rand(count, 1, generator=random)
    return torch.cat([torch.zeros_like(heights), heights], dim=1)
