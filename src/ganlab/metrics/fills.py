"""The hidden part of an image without a model: means, and the nearest known image; and how wrong a filling is.

Images are [n, channels, height, width] in [-1, 1], `hidden` bool [n, 1, height, width].
"""

from collections.abc import Iterable

import torch
from torch import Tensor

MOST_DECIBELS = 100.0
"""What an error of nothing is told as."""


def mean_of_visible(given: Tensor, hidden: Tensor) -> Tensor:
    """The mean of each image's visible pixels, a colour: [n, channels, 1, 1]."""
    visible = ~hidden
    total = torch.where(hidden, 0.0, given.double()).sum((2, 3), keepdim=True)
    return (total / visible.sum((2, 3), keepdim=True)).to(given)


def mean_image(parts: Iterable[Tensor]) -> Tensor:
    """The mean of many images, which come in parts [m, channels, height, width]: float32 [1, channels, …]."""
    total, count = torch.zeros(()), 0
    for part in parts:
        total, count = total + part.double().sum(0, keepdim=True), count + len(part)
    return (total / count).float()


def nearest_by_visible(
    given: Tensor,
    hidden: Tensor,
    parts: Iterable[tuple[Tensor, Tensor | None]],
    labels: Tensor | None = None,
    own: Tensor | None = None,
) -> Tensor:
    """For each image the number of the known one whose visible part is nearest by Euclidean distance, int64 [n].

    Of equally near ones the first; nothing of the hidden part is looked at.

    Args:
        parts: the known images [m, channels, height, width] in their order, with their classes int64 [m] or None.
        labels: int64 [n]; with them only known images of the same class count, -1 where there is none.
        own: int64 [n], the number of a known image that does not count, being the image itself.
    """
    visible = (~hidden).expand_as(given).flatten(1).double()
    seen = torch.where(hidden, 0.0, given).flatten(1).double()
    nearest = torch.full((len(given),), torch.inf, dtype=torch.float64)
    which, first = torch.full((len(given),), -1), 0
    for part, classes in parts:
        known = part.flatten(1).double()
        # ‖v∘(x - y)‖² without ‖v∘x‖², which is the same for every y.
        squared = visible @ known.square().T - 2 * seen @ known.T
        if labels is not None:
            assert classes is not None
            squared[labels[:, None] != classes[None, :]] = torch.inf
        if own is not None:
            squared[own[:, None] == torch.arange(first, first + len(part))] = torch.inf
        least, index = squared.min(dim=1)
        closer = least < nearest
        nearest, which = torch.where(closer, least, nearest), torch.where(closer, index + first, which)
        first += len(part)
    return which


def hidden_errors(filled: Tensor, originals: Tensor, hidden: Tensor) -> Tensor:
    """The mean squared error of each image's hidden values, taken as values in [0, 1]: float64 [n]."""
    squared = ((filled.double() - originals.double()) / 2).square().mean(1, keepdim=True)
    return torch.where(hidden, squared, 0.0).sum((1, 2, 3)) / hidden.sum((1, 2, 3))


def decibels(errors: Tensor) -> Tensor:
    """Peak signal-to-noise ratios -10 log₁₀ of mean squared errors of values in [0, 1]; at most `MOST_DECIBELS`."""
    return (-10 * errors.log10()).clamp(max=MOST_DECIBELS)
