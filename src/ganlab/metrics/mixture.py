"""Which modes of a known mixture a generator finds, and how evenly: mode collapse as a number."""

import math
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from ganlab.metrics.class_scores import check_logits
from ganlab.metrics.rows import verified_features


class MixtureModes(Metric):
    """Modes and quality of samples from a mixture of equally likely round Gaussians.

    The protocol of VEEGAN (Srivastava et al. 2017) and PacGAN (Lin et al. 2018), with a strict count beside theirs:

    - "high_quality": share of samples within `threshold` standard deviations (Euclidean) of their nearest mode,
      0...1. A perfect sampler in the plane has 1 - exp(-threshold^2 / 2), 0.98889 at 3.
    - "modes": those nearest to at least one sample of high quality.
    - "modes_strict": those nearest to at least a fifth of their fair share, as samples of high quality. The fair
      share is the count of all samples over the count of modes: one lucky sample of a bad generator is no mode.
    - "mode_kl": KL(share of samples nearest to each mode || uniform) over all samples, good or not, in nats:
      0...log(modes). About (modes - 1) / (2 samples) for a perfect sampler.

    modes [k, d], all different; `std` along each axis, 0 allowed: then only exact hits are of high quality.
    More is better but for "mode_kl". A sample that isn't finite is one of low quality, and makes "mode_kl" NaN.
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False
    count: Tensor
    nearest: Tensor
    good: Tensor

    def __init__(self, modes: Tensor, std: float, threshold: float = 3.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.centres = verified_features(modes).double()
        if not _all_apart(self.centres):
            raise ValueError("modes must be finite, and no two in the same place")
        if not (0 <= std < math.inf and 0 < threshold < math.inf):
            raise ValueError(f"std must not be negative and threshold positive, not {std} and {threshold}")
        self.radius = threshold * std
        self.add_state("count", default=torch.tensor(0), dist_reduce_fx="sum")
        for state in ("nearest", "good"):
            self.add_state(state, default=torch.zeros(len(modes), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, points: Tensor) -> None:
        """points [n, d], in the units of the modes."""
        points = verified_features(points, self.centres.shape[1]).double()
        self.count += len(points)
        points = points[points.isfinite().all(dim=1)]
        distance, mode = _distances(points, self.centres.to(points.device)).min(dim=1)
        self.nearest += torch.bincount(mode, minlength=len(self.centres))
        self.good += torch.bincount(mode[distance <= self.radius], minlength=len(self.centres))

    def compute(self) -> dict[str, Tensor]:
        _verify(self.count)
        return {
            "modes": (self.good > 0).sum().double(),
            # In integers: good >= 0.2 * count / modes is at the mercy of rounding where they are equal.
            "modes_strict": (5 * self.good * len(self.centres) >= self.count).sum().double(),
            "high_quality": self.good.sum().double() / self.count,
            "mode_kl": _kl_to_uniform(self.nearest, self.count),
        }


class StackedModes(Metric):
    """Modes among images of three stacked digits, one a channel: digits^3 of them, 1,000 for ten digits.

    The protocol of VEEGAN and PacGAN. "modes": how many are there at all. "mode_kl": KL(generated || uniform) in
    nats. A perfect sampler of n images has about modes (1 - (1 - 1/modes)^n) and (modes - 1) / (2n): 0.019 for
    26,000. Its errors are the classifier's too.
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False
    counts: Tensor

    def __init__(self, digits: int = 10, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if digits < 2:
            raise ValueError(f"digits is {digits}; there must be at least two")
        self.digits = digits
        self.add_state("counts", default=torch.zeros(digits**3, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, logits: Tensor) -> None:
        """logits [n, 3, digits], a classifier's of each channel by itself: it shows the digit with the largest."""
        check_logits(logits, ndim=3)
        if logits.shape[1:] != (3, self.digits):
            raise ValueError(f"logits must be [n, 3, {self.digits}]; got {list(logits.shape)}")
        first, second, third = logits.argmax(dim=2).unbind(dim=1)
        mode = (first * self.digits + second) * self.digits + third
        self.counts += torch.bincount(mode, minlength=len(self.counts))

    def compute(self) -> dict[str, Tensor]:
        _verify(self.counts.sum())
        kl = _kl_to_uniform(self.counts, self.counts.sum())
        return {"modes": (self.counts > 0).sum().double(), "mode_kl": kl}


def _distances(points: Tensor, centres: Tensor) -> Tensor:
    # The quick form, |x|^2 + |y|^2 - 2xy, would misjudge samples that hit a narrow mode far from the origin.
    return torch.cdist(points, centres, compute_mode="donot_use_mm_for_euclid_dist")


def _all_apart(centres: Tensor) -> bool:
    if len(centres) == 0 or not centres.isfinite().all():
        return False
    # A cosine and a sine of 0 and of 2 pi differ by rounding: two modes in one place need not be equal.
    close = _distances(centres, centres) <= 1e-6 * centres.abs().max()
    return int(close.sum()) == len(centres)


def _verify(count: Tensor) -> None:
    if count == 0:
        raise ValueError("there are no samples to count")


def _kl_to_uniform(histogram: Tensor, count: Tensor) -> Tensor:
    """In nats; NaN where the histogram lacks some of the samples."""
    share = histogram.double() / histogram.sum()
    kl = (math.log(len(histogram)) - torch.special.entr(share).sum()).clamp(min=0)
    return torch.where(histogram.sum() == count, kl, torch.nan)
