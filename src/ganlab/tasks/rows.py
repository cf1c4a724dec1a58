"""The samples of a split in its own order, a batch at a time, and a hash by which they are known again."""

import hashlib
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor

from ganlab.data.batch import Batch
from ganlab.data.image_source import to_bytes
from ganlab.errors import DataError

Split = Literal["train", "test"]
ENDLESS = 10_000
"""Samples that are taken of data which are drawn without end, unless a count is given."""


class Rows:
    """The first `count` samples of a split (None: all), always the same ones."""

    def __init__(self, data: Any, split: Split, count: int | None = None, endless: int = ENDLESS) -> None:
        self.data, self.split = data, split
        self.source = data.train if split == "train" else data.test
        self.drawn: Batch | None = self.source.first(count or endless) if self.source.infinite else None
        available = len(self.source if self.drawn is None else self.drawn.samples)
        self.count = available if count is None else min(count, available)
        if not self.count:
            other = "train" if split == "test" else "test"
            raise DataError(f"split={split}: there are no samples in it (data={data.name}); use split={other}")

    def __len__(self) -> int:
        return self.count

    @property
    def conditions(self) -> Tensor | None:
        """Class labels int64 [n], attributes float32 [n, k], or None."""
        known = self.source.conditions if self.drawn is None else self.drawn.conditions
        return None if known is None else known[: self.count].cpu()

    @property
    def labels(self) -> Tensor | None:
        """Class labels int64 [n], if there are classes."""
        known = self.conditions
        return known if known is not None and known.dtype == torch.int64 and known.ndim == 1 else None

    def batches(self, size: int) -> Iterator[Batch]:
        """So many at a time, on the CPU."""
        for rows in torch.arange(self.count).split(size):
            yield self.at(rows)

    def at(self, rows: Tensor) -> Batch:
        """The samples of some rows, int64 [n], on the CPU."""
        if self.drawn is None:
            samples, conditions, _ = self.source.gather(rows.to(self.source.index_device))
        else:
            samples, conditions = self.drawn.samples[rows], self.drawn.conditions
            conditions = None if conditions is None else conditions[rows]
        return Batch(samples.cpu(), None if conditions is None else conditions.cpu())


class Fingerprint:
    """sha256 over type, shape and bytes of samples, a part at a time; of images the bytes are their pixels'.

    It is what scores of a run call `reference_sha256` for as many samples of the split.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._digest: Any = None

    def update(self, samples: Tensor) -> None:
        """The next samples, images in [-1, 1]."""
        raw = to_bytes(samples) if samples.ndim == 4 else samples
        if self._digest is None:
            self._digest = hashlib.sha256(f"{raw.dtype} {[self.count, *raw.shape[1:]]}\0".encode())
        self._digest.update(raw.contiguous().numpy().tobytes())

    def hexdigest(self) -> str:
        return str(self._digest.hexdigest())
