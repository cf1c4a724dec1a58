"""How a condition vector enters a network: joined to its input (Mirza & Osindero 2014, figure 1), or to its score."""

import torch
from torch import Tensor, nn


def join_features(features: Tensor, conditions: Tensor | None) -> Tensor:
    """Features [n, f] and conditions [n, c] side by side: [n, f + c]; without conditions the features alone."""
    if conditions is None:
        return features
    return torch.cat([features, conditions.to(features.dtype)], dim=1)


def join_planes(images: Tensor, conditions: Tensor | None) -> Tensor:
    """Images [n, channels, h, w] with each condition as a constant plane: [n, channels + c, h, w]."""
    if conditions is None:
        return images
    planes = conditions.to(images.dtype)[:, :, None, None].expand(-1, -1, *images.shape[2:])
    return torch.cat([images, planes], dim=1)


class EmbeddedPlane(nn.Module):
    """Images [n, channels, size, size] with a learnt linear map of the conditions [n, c] as one plane more.

    One plane however many conditions there are: for a thousand classes, where constant planes would cost a thousand.
    """

    def __init__(self, condition_size: int, size: int) -> None:
        super().__init__()
        self.size = size
        # A class's plane begins as noise of the pixels' own size: smaller, and the image would drown it. It is an
        # input, like the constant planes, and no layer: spectral normalisation leaves it alone.
        self.planes = nn.Parameter(torch.randn(condition_size, size * size))

    def forward(self, images: Tensor, conditions: Tensor) -> Tensor:
        plane = (conditions.to(self.planes.dtype) @ self.planes).view(-1, 1, self.size, self.size)
        return torch.cat([images, plane.to(images.dtype)], dim=1)


class Projection(nn.Module):
    """Features φ [n, f] and conditions y [n, c] to the conditional part of a score, ⟨V y, φ⟩ [n].

    Miyato & Koyama 2018, equation 4. For a one-hot y, V y is the embedding of the class; any other vector will do.
    """

    def __init__(self, condition_size: int, feature_count: int) -> None:
        super().__init__()
        self.map = nn.Linear(condition_size, feature_count, bias=False)

    def forward(self, features: Tensor, conditions: Tensor) -> Tensor:
        return (self.map(conditions.to(features.dtype)) * features).sum(dim=1)
