"""What is asked of a whole image that is to agree with the visible part of another (Yeh et al. 2017, section 3).

`hidden`: bool [n, 1, height, width], the pixels that are not known. Images are [n, channels, height, width] in [-1, 1].
"""

import torch
from torch import Tensor
from torch.nn.functional import conv2d


def context_weights(hidden: Tensor, window: int) -> Tensor:
    """How much each visible pixel counts, float32 [n, 1, height, width], of a sum of 1 an image; 0 for hidden ones.

    The share of hidden ones among a pixel's neighbours, which are all others in the image within a square of `window`
    pixels about it: pixels near the hole count more, those that see nothing of it not at all (importance weighting).
    With a window of 1 all visible pixels count alike (Amos 2016).

    Raises ValueError for an even window, and where nothing or all of an image is hidden.
    """
    if window < 1 or window % 2 == 0:
        raise ValueError(f"a window has a middle: 1, 3, 5, … pixels, not {window}")
    covered = hidden.flatten(1).sum(1)
    if (covered == 0).any() or (covered == hidden[0].numel()).any():
        raise ValueError("of each image some pixels must be hidden, and some visible")
    visible = (~hidden).float()
    if window > 1:
        square = torch.ones(1, 1, window, window, device=hidden.device)
        near_hidden = conv2d(hidden.float(), square, padding=window // 2)
        neighbours = conv2d(torch.ones_like(visible[:1]), square, padding=window // 2) - 1
        visible = visible * near_hidden / neighbours
    return visible / visible.sum((1, 2, 3), keepdim=True)


def context_losses(made: Tensor, given: Tensor, weights: Tensor, *, squared: bool = False) -> Tensor:
    """Mean absolute (or squared) difference of the visible pixels by their weights, and over channels: [n].

    `weights`: those of `context_weights`. In units of the images' values, black to white being 2; a mean, so that its
    size does not depend on the images'.
    """
    differences = made - given
    distances = differences.square() if squared else differences.abs()
    return (distances.mean(1, keepdim=True) * weights).sum((1, 2, 3))


def normal_losses(latents: Tensor) -> Tensor:
    """-log N(z; 0, I) without its constant, ‖z‖² / 2 in nats: [n, dimensions] to [n]."""
    return latents.square().sum(1) / 2
