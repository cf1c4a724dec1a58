"""What a model is given in one iteration."""

from typing import NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """Samples and what is known about each of them.

    `samples`: float32 [n, *sample_shape]; images in [-1, 1], points in their own units.
    `conditions`: class labels int64 [n], attribute vectors float32 [n, condition_size] of 0 and 1, or None.
    `labelled`: for semi-supervised learning, as many samples again whose class labels are known; the others then
    come without theirs.
    """

    samples: Tensor
    conditions: Tensor | None
    labelled: "Batch | None" = None
