"""How alike the images of one set are: a generator without diversity makes the same image again and again."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as ms_ssim
from torchmetrics.utilities import dim_zero_cat

from ganlab.metrics.extractors.isolation import full_precision

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales, finest first (Wang, Simoncelli & Bovik 2003, section 3.2)."""
KERNEL, SIGMA = 11, 1.5
"""The Gaussian window of Wang et al. 2004 (section III-C), in pixels."""
PIXELS_AT_ONCE = 2**18
NO_LABEL = -1


class PairSimilarity(Metric):
    """Mean MS-SSIM over random pairs of different images of one set, in [0, 1]: 1 if all are the same.

    Odena, Olah & Shlens 2017, section 4.2. To be read beside the value of real images; lower is more diverse. With
    labels both images of a pair are of one class: the first is drawn uniformly among images whose class has another.
    `pairs` are drawn with replacement, from a private generator seeded by `seed`, once all images are there: the
    score depends on the set and its order (over several processes rank 0's images come first, then rank 1's), not
    on batches. The whole set is kept, as bytes. A rank without images passes an empty batch.

    `kernel_size` and `scales` are None until images are seen. Five scales want 176 pixels; smaller images have as
    many as fit, weights rescaled to the sum 1, and below 11 pixels a smaller window: see `window`. torchmetrics'
    normalize="relu": a negative similarity or contrast counts as 0.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    images: list[Tensor]
    labels: list[Tensor]

    def __init__(self, pairs: int = 500, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if pairs < 1:
            raise ValueError(f"pairs is {pairs}; there must be at least one")
        self.pairs, self.seed = pairs, seed
        self.kernel_size: int | None = None
        self.scales: int | None = None
        self.add_state("images", default=[], dist_reduce_fx="cat")
        self.add_state("labels", default=[], dist_reduce_fx="cat")

    def update(self, images: Tensor, labels: Tensor | None = None) -> None:
        """images uint8 [n, c, h, w]; labels int64 [n], from 0 on, in all calls or in none."""
        if images.ndim != 4 or images.dtype != torch.uint8:
            raise ValueError(f"images must be uint8 [n, c, h, w]; got {images.dtype} {list(images.shape)}")
        if self.images and images.shape[1:] != self.images[0].shape[1:]:
            raise ValueError(f"images {list(images.shape[1:])} after images {list(self.images[0].shape[1:])}")
        if labels is None:
            labels = torch.full((len(images),), NO_LABEL, device=images.device)
        elif labels.shape != images.shape[:1] or labels.dtype != torch.int64 or (labels < 0).any():
            raise ValueError(f"labels must be int64 [{len(images)}], from 0 on")
        self.kernel_size, self.scales = window(min(images.shape[2:]))
        self.images.append(images)
        self.labels.append(labels)

    def compute(self) -> Tensor:
        images, labels = dim_zero_cat(self.images), dim_zero_cat(self.labels).cpu()
        if len(labels.clamp(max=0).unique()) > 1:
            raise ValueError("some images have labels, others have none")
        first, second = draw_pairs(labels, self.pairs, torch.Generator().manual_seed(self.seed))
        chunk = max(1, PIXELS_AT_ONCE // images[0].numel())
        parts = zip(first.to(images.device).split(chunk), second.to(images.device).split(chunk), strict=True)
        return torch.cat([similarity(images[some], images[others]) for some, others in parts]).mean()


def window(side: int) -> tuple[int, int]:
    """(kernel size, scales) for images whose shorter side has so many pixels.

    The kernel is 11, or the largest odd number that fits; there are as many of the five scales as keep the coarsest,
    `side` halved scales - 1 times, at least as large as the kernel.
    """
    if side < 3:
        raise ValueError(f"images of {side} pixels are too small for a structural similarity; 3 are the least")
    kernel = min(KERNEL, side - 1 + side % 2)
    # (scales - 1) ** 2 is torchmetrics' own demand; it is the larger one for four scales alone.
    fits = [scales for scales in range(1, 6) if side // max(2 ** (scales - 1), (scales - 1) ** 2) >= kernel]
    return kernel, fits[-1]


def similarity(first: Tensor, second: Tensor) -> Tensor:
    """MS-SSIM of images uint8 [n, c, h, w] pair by pair -> float64 [n].

    In float32, which torch convolves twelve times faster on a CPU: off by 1e-6, by 1e-3 at worst (flat white images),
    where the choice of 500 pairs alone moves the mean by 1e-2.
    """
    kernel, scales = window(min(first.shape[2:]))
    # The five sum to 1.0001 and are used as published; fewer are rescaled.
    weights = (
        WEIGHTS if scales == len(WEIGHTS) else tuple(weight / sum(WEIGHTS[:scales]) for weight in WEIGHTS[:scales])
    )
    with torch.autocast(first.device.type, enabled=False), full_precision():
        values = ms_ssim(
            first.float(),
            second.float(),
            kernel_size=kernel,
            # With a Gaussian window torchmetrics takes the window's size from sigma alone; this ratio gives `kernel`.
            sigma=SIGMA * kernel / KERNEL,
            reduction="none",
            data_range=255.0,
            betas=weights,
            normalize="relu",
        )
    return values.double()


def draw_pairs(labels: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Places of `count` pairs of different images of one class, int64 [count] twice. labels int64 [n], on the CPU."""
    order = labels.argsort(stable=True)
    sizes = labels[order].unique_consecutive(return_counts=True)[1]
    starts = (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
    sizes = sizes.repeat_interleave(sizes)
    with_others = (sizes > 1).nonzero().squeeze(1)
    if len(with_others) == 0:
        raise ValueError(f"{len(labels)} images, and no two of one class to compare")
    first = with_others[torch.randint(len(with_others), (count,), generator=generator)]
    start, size = starts[first], sizes[first]
    step = 1 + torch.randint(2**62, (count,), generator=generator) % (size - 1)
    return order[first], order[start + (first - start + step) % size]
