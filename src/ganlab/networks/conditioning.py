"""How a condition vector enters a network (Mirza & Osindero 2014, figure 1)."""

import torch
from torch import Tensor


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
