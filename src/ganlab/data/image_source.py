"""Images kept as bytes, gathered a batch at a time and only then made floats in [-1, 1]."""

import warnings

import numpy as np
import torch
from torch import Tensor

from ganlab.data.batch import Batch
from ganlab.data.source import FiniteSource, select


def to_unit_range(images: Tensor) -> Tensor:
    """Bytes 0…255 to float32 in [-1, 1], both ends reached exactly."""
    return images.float().mul_(2 / 255).sub_(1)


def to_bytes(images: Tensor) -> Tensor:
    """The inverse of `to_unit_range`; values outside [-1, 1] are clamped."""
    return images.float().mul(127.5).add_(127.5).round_().clamp_(0, 255).to(torch.uint8)


class MemoryImages(FiniteSource):
    """uint8 images [n, channels, height, width] in memory, the accelerator's included.

    A mirrored set holds each image twice: gathering then costs the same as without mirroring, whereas
    flipping some images of a batch costs more than all the rest of it.
    """

    def __init__(self, images: Tensor, conditions: Tensor | None, *, mirrored: bool = False) -> None:
        if images.dtype != torch.uint8 or images.ndim != 4:
            raise ValueError(f"images must be uint8 [n, channels, height, width], not {images.dtype} {images.shape}")
        self.length = len(images)
        self.images = torch.cat([images, images.flip(3)]) if mirrored else images
        self.conditions = torch.cat([conditions, conditions]) if mirrored and conditions is not None else conditions

    @property
    def sample_shape(self) -> list[int]:
        return list(self.images.shape[1:])

    @property
    def index_device(self) -> torch.device:
        return self.images.device

    def __len__(self) -> int:
        return self.length

    def gather(self, rows: Tensor) -> Batch:
        samples = to_unit_range(self.images.index_select(0, rows))
        return Batch(samples, select(self.conditions, rows))

    def on(self, device: torch.device, mirrored: bool) -> "MemoryImages":
        conditions = None if self.conditions is None else self.conditions[: self.length].to(device)
        return MemoryImages(self.images[: self.length].to(device), conditions, mirrored=mirrored)


class MappedImages(FiniteSource):
    """Rows of a uint8 memory map [m, channels, height, width] that stays on the disk.

    `rows`: int64 [n], the rows of the map that belong to this set. Batches are sent to `device` as bytes,
    a quarter of what floats would take.
    """

    def __init__(
        self,
        images: np.ndarray,
        rows: Tensor,
        conditions: Tensor | None,
        *,
        mirrored: bool = False,
        device: torch.device | None = None,
    ) -> None:
        self.array = images
        with warnings.catch_warnings():
            # The map is read-only, and nothing here writes to it.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            self.images = torch.from_numpy(images)
        self.rows = rows
        self.conditions = conditions
        self.mirrored = mirrored
        self.device = device or torch.device("cpu")

    @property
    def sample_shape(self) -> list[int]:
        return list(self.images.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def nbytes(self) -> int:
        return len(self.rows) * self.images[0].numel()

    def in_memory(self) -> MemoryImages:
        return MemoryImages(self._read(self.rows), self.conditions)

    def gather(self, rows: Tensor) -> Batch:
        originals = rows.remainder(len(self)) if self.mirrored else rows
        images = self._read(self.rows.index_select(0, originals))
        if self.mirrored:
            flipped = (rows >= len(self)).nonzero().squeeze(1)
            images.index_copy_(0, flipped, images.index_select(0, flipped).flip(3))
        conditions = select(self.conditions, originals)
        if self.device.type == "cuda":
            images = images.pin_memory()
            conditions = None if conditions is None else conditions.pin_memory().to(self.device, non_blocking=True)
        return Batch(to_unit_range(images.to(self.device, non_blocking=True)), conditions)

    def on(self, device: torch.device, mirrored: bool) -> "MappedImages":
        return MappedImages(self.array, self.rows, self.conditions, mirrored=mirrored, device=device)

    def _read(self, places: Tensor) -> Tensor:
        """Images at places of the map, read in the order in which they lie on the disk."""
        ordered, order = places.sort()
        images = self.images.index_select(0, ordered)
        back = torch.empty_like(order)
        back[order] = torch.arange(len(order))
        return images.index_select(0, back)
