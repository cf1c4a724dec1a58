"""What a classifier's opinion of a set says of it: the Inception score, and which classes there are how often."""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

UNSEEN = 0.5
"""How often a class that the reference lacks counts as seen there, once a generated sample is in it."""


class ClassifierScore(Metric):
    """The Inception score exp(E_x KL(p(y|x) || p(y))), between 1 and the number of classes.

    Salimans et al. 2016, section 4, on the logits of any classifier. p(y) is the mean of p(y|x) over a split; split i
    of s over n samples holds those from i*n//s on, in their order: nothing is shuffled. -> {"score": mean over
    splits, "sd": their standard deviation, without Bessel's correction as in the authors' code, so 0 for one split}.
    Over several processes rank 0's samples come first, then rank 1's: how samples were shared out decides who falls
    into which split, and with splits=1 nothing. A rank without samples passes empty logits [0, k].
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    logits: list[Tensor]

    def __init__(self, splits: int = 10, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if splits < 1:
            raise ValueError(f"splits is {splits}; there must be at least one")
        self.splits = splits
        self.add_state("logits", default=[], dist_reduce_fx="cat")

    def update(self, logits: Tensor) -> None:
        """logits [n, k], before any softmax."""
        check_logits(logits, ndim=2)
        self.logits.append(logits.detach())

    def compute(self) -> dict[str, Tensor]:
        logits = dim_zero_cat(self.logits)
        if len(logits) < self.splits:
            raise ValueError(f"{len(logits)} samples are too few for {self.splits} splits")
        edges = [split * len(logits) // self.splits for split in range(self.splits + 1)]
        scores = torch.stack([_score(logits[start:end]) for start, end in pairwise(edges)])
        return {"score": scores.mean(), "sd": scores.std(correction=0)}


class ClassHistogram(Metric):
    """KL(generated || reference) between histograms of the predicted classes, in nats: 0 where they are alike.

    `reference`: how often each class was predicted for the reference, [k]. A class that is generated and that the
    reference lacks would make the divergence infinite; it counts as seen there half a time (`UNSEEN`). All else is
    the plain divergence, so equal histograms always have 0. -> {"kl"}.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    counts: Tensor

    def __init__(self, reference: Tensor, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if reference.ndim != 1 or not (reference >= 0).all() or reference.sum() == 0:
            raise ValueError(f"the reference must be counts [k], not all 0; got shape {list(reference.shape)}")
        self.reference = reference.detach().double()
        self.add_state("counts", default=torch.zeros(len(reference), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, logits: Tensor) -> None:
        """logits [n, k]: a sample is of the class with the largest."""
        check_logits(logits, ndim=2)
        if logits.shape[1] != len(self.reference):
            raise ValueError(f"logits of {logits.shape[1]} classes, a reference of {len(self.reference)}")
        self.counts += torch.bincount(logits.argmax(dim=1), minlength=len(self.reference))

    def compute(self) -> dict[str, Tensor]:
        if self.counts.sum() == 0:
            raise ValueError("no samples to count")
        seen = self.reference.to(self.counts.device)
        seen = torch.where((seen == 0) & (self.counts > 0), UNSEEN, seen)
        generated, reference = self.counts.double() / self.counts.sum(), seen / seen.sum()
        kl = (torch.xlogy(generated, generated) - torch.xlogy(generated, reference)).sum()
        return {"kl": kl.clamp(min=0)}

    def histogram(self) -> Tensor:
        """Generated samples per class, int64 [k]: over all ranks, which then must all call it, as `compute`."""
        with self.sync_context(dist_sync_fn=self.dist_sync_fn, should_sync=self.sync_on_compute):
            return self.counts.clone()


def check_logits(logits: Tensor, ndim: int) -> None:
    """ValueError unless these are finite floats with so many dimensions."""
    if logits.ndim != ndim or not logits.is_floating_point():
        raise ValueError(f"logits must be floats of {ndim} dimensions; got {logits.dtype} {list(logits.shape)}")
    if not logits.isfinite().all():
        raise ValueError("logits must be finite")


def _score(logits: Tensor) -> Tensor:
    # Entropy of the mean less mean of the entropies: as the divergence it would be 0 * (0 - log 0) for a class
    # whose probability underflows in every sample.
    given = logits.double().softmax(dim=1)
    return (torch.special.entr(given.mean(dim=0)).sum() - torch.special.entr(given).sum(dim=1).mean()).exp()
