"""Differentiable augmentation, Zhao et al. 2020 (DiffAugment): what the discriminator sees of every image.

The same random operations are applied to real and to generated images, in both players' updates, so that the
discriminator cannot learn its few real images by heart and the generator does not learn the operations (equations
3 and 4). All of it is a function of images and of uniform numbers that the caller draws: nothing here is random.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

POLICIES = ("color", "translation", "cutout")
"""In the order in which they are applied."""

SHARES = 7
"""Uniform numbers on [0, 1] that a sample needs: 3 for color, 2 for translation, 2 for cutout. Each operation has its
own of them, whatever else is in the policy."""

LARGEST_SHIFT = 1 / 8
CUT_SIDE = 1 / 2


def augmented(images: Tensor, policy: Sequence[str], shares: Tensor) -> Tensor:
    """Images [n, channels, height, width] in [-1, 1] after the operations of `policy`; the result may leave the range.

    `policy`: any of POLICIES. `shares`: [n, SHARES] in [0, 1]. Differentiable in the images, any number of times.

    What a shift uncovers and a cut covers is 0, the middle of the range (the authors' zeros, in their range too): it is
    neither ink nor paper of a digit, so that a hole cannot pass for content. Raises ValueError for what does not fit.
    """
    unknown = [name for name in policy if name not in POLICIES]
    if unknown:
        raise ValueError(f"there is no augmentation {unknown[0]!r}; there are {', '.join(POLICIES)}")
    if images.dim() != 4 or shares.shape != (len(images), SHARES):
        raise ValueError(
            f"images of shape {list(images.shape)} with shares of shape {list(shares.shape)}: "
            f"must be [n, channels, height, width] and [n, {SHARES}]"
        )
    if "color" in policy:
        images = recoloured(images, shares[:, 0], shares[:, 1], shares[:, 2])
    if "translation" in policy:
        images = translated(images, shares[:, 3], shares[:, 4])
    if "cutout" in policy:
        images = cut_out(images, shares[:, 5], shares[:, 6])
    return images


def recoloured(images: Tensor, brightness: Tensor, saturation: Tensor, contrast: Tensor) -> Tensor:
    """Brightness moved by -1/2 to 1/2, distance from grey times 0 to 2, from the image's mean times 1/2 to 3/2.

    Three shares [n]; with a single channel every pixel is its own grey, and saturation changes nothing.
    """
    brightness, saturation, contrast = (
        share.to(images.dtype).view(-1, 1, 1, 1) for share in (brightness, saturation, contrast)
    )
    images = images + (brightness - 0.5)
    grey = images.mean(dim=1, keepdim=True)
    images = grey + (images - grey) * (2 * saturation)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (images - mean) * (contrast + 0.5)


def translated(images: Tensor, vertical: Tensor, horizontal: Tensor) -> Tensor:
    """Moved by whole pixels, each shift up to an eighth of the size equally likely; two shares [n]."""
    count, channels, height, width = images.shape
    down, right = _rounded(height * LARGEST_SHIFT), _rounded(width * LARGEST_SHIFT)
    rows = _pick(vertical, 2 * down + 1)[:, None] + torch.arange(height, device=images.device)
    columns = _pick(horizontal, 2 * right + 1)[:, None] + torch.arange(width, device=images.device)
    padded = pad(images, (right, right, down, down))
    padded = padded.gather(2, rows[:, None, :, None].expand(count, channels, height, padded.shape[3]))
    return padded.gather(3, columns[:, None, None, :].expand(count, channels, height, width))


def cut_out(images: Tensor, vertical: Tensor, horizontal: Tensor) -> Tensor:
    """A square of half the size erased; its centre is anywhere, so that a part may lie outside. Two shares [n]."""
    height, width = images.shape[2:]
    hole = _inside(vertical, height)[:, None, :, None] & _inside(horizontal, width)[:, None, None, :]
    return images.masked_fill(hole, 0)


def _inside(share: Tensor, size: int) -> Tensor:
    """Which of `size` pixels along a side lie in the cut: bool [n, size]."""
    side = _rounded(size * CUT_SIDE)
    # An even cut has its centre between two pixels: one place more than for an odd one.
    first = _pick(share, size + 1 - side % 2)[:, None] - side // 2
    place = torch.arange(size, device=share.device)
    return (place >= first) & (place < first + side)


def _pick(share: Tensor, count: int) -> Tensor:
    """0, 1, …, count - 1, equally likely, from a share in [0, 1] with both ends: int64 [n]."""
    return (share * count).long().clamp(max=count - 1)


def _rounded(value: float) -> int:
    """To the nearest whole number, halves up."""
    return int(value + 0.5)
