"""Real samples as scores need them: bytes, classes, conditions, and references that are computed once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ganlab.data.image_source import to_bytes
from ganlab.metrics.extractors.base import Extractor
from ganlab.metrics.references import Reference, reference_of

Split = Literal["train", "test"]
CHUNK = 1024
MANY_CLASSES = 100
"""Classes beyond which two images are seldom of the same."""


class RealSamples:
    """The train and the test split of a data module, as an extractor (of points: none) sees them.

    `options`: the group `metrics` of a configuration.
    """

    def __init__(self, data: Any, options: Mapping[str, Any], extractor: Extractor | None) -> None:
        self.data = data
        self.options = options
        self.extractor = extractor
        self._references: dict[tuple[Split, int], Reference] = {}
        self._conditions: dict[Split, Tensor] = {}

    def source(self, split: Split) -> Any:
        """The split as the data module has it."""
        return self.data.train if split == "train" else self.data.test

    def size(self, split: Split) -> int:
        """Samples of a split that are compared with; an endless one has as many as are asked for."""
        source, most = self.source(split), int(self.options["reference_count"])
        return most if source.infinite else min(most, len(source))

    def classes(self, conditions: Tensor | None) -> Tensor | None:
        """Conditions that are classes, int64 [n], and not too many; else None."""
        if conditions is None or conditions.dtype != torch.int64 or self.data.num_classes > MANY_CLASSES:
            return None
        return conditions

    def conditions(self, split: Split, count: int) -> Tensor:
        """Those of the reference, over and over: [count] or [count, condition_size]."""
        if split not in self._conditions:
            source, most = self.source(split), self.options["reference_count"]
            # Of a finite source without its images: there may be many.
            known = self.data.examples(most, split).conditions if source.infinite else source.conditions[:most]
            self._conditions[split] = known.cpu()
        conditions = self._conditions[split]
        return conditions[torch.arange(count) % len(conditions)]

    def reference(
        self, split: Split, count: int | None = None, *, labelled: bool = True, device: torch.device | None = None
    ) -> Reference:
        """The first `count` samples of a split (default: `reference_count`), observed once.

        `labelled`: with the classes of those whose pixels are kept.
        """
        most = self.options["reference_count"] if count is None else count
        if (split, most) not in self._references:
            samples, labels = self.first(split, most)
            self._references[split, most] = reference_of(
                samples,
                labels if labelled else None,
                self.extractor,
                split=split,
                cache_dir=Path(self.options["cache_dir"]),
                batch_size=self.options["batch_size"],
                device=device,
            )
        return self._references[split, most]

    def first(self, split: Split, most: int) -> tuple[Tensor, Tensor | None]:
        """The first samples of a split, images as bytes, and their classes."""
        source = self.source(split)
        if self.extractor is None or source.infinite:
            batch = self.data.examples(most, split)
            samples = batch.samples if self.extractor is None else to_bytes(batch.samples)
            return samples, self.classes(batch.conditions)
        # A chunk at a time: as floats a large set would take four times the memory.
        parts = [source.gather(rows) for rows in torch.arange(min(most, len(source))).split(CHUNK)]
        conditions = None if parts[0].conditions is None else torch.cat([part.conditions for part in parts])
        return torch.cat([to_bytes(part.samples) for part in parts]), self.classes(conditions)
