"""What the metrics see of a set of samples."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganlab.metrics.extractors.base import Extractor, extract

PIXELS_KEPT = 5_000
"""Images whose pixels stay for the scores that look at them; features are kept of all."""


@dataclass(frozen=True)
class Observation:
    """Samples, and what an extractor says of them; rows belong together.

    `features`: float32 [n, d]; of points the points themselves. `logits`: float32 [n, classes].
    `samples`: the first of them, uint8 [m, channels, height, width] or float32 points [n, dimensions].
    `labels`: int64 [n], the class of a real sample or the one that was asked for.
    """

    features: Tensor
    samples: Tensor
    logits: Tensor | None = None
    labels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.features)

    def first(self, count: int) -> "Observation":
        """The first `count` rows."""
        return Observation(
            self.features[:count],
            self.samples[:count],
            None if self.logits is None else self.logits[:count],
            None if self.labels is None else self.labels[:count],
        )


def observe(
    samples: Tensor,
    labels: Tensor | None,
    extractor: Extractor | None,
    batch_size: int,
    device: torch.device | None = None,
) -> Observation:
    """The observation of samples at hand: uint8 images, or (without extractor) points. It lies on the CPU."""
    if extractor is None:
        points = samples.float().flatten(1)
        return Observation(points, points, labels=labels)
    extracted = extract(extractor, samples, batch_size, device or torch.device("cpu"))
    return Observation(extracted.features, samples[:PIXELS_KEPT].clone(), extracted.logits, labels)
