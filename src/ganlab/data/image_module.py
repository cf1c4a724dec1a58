"""What all image data sets share: the declared size, mirroring, and where the bytes are kept."""

from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from ganlab.config.types import PositiveInt
from ganlab.data.image_source import MappedImages, MemoryImages
from ganlab.data.module import LabDataModule, accelerator_of
from ganlab.data.source import FiniteSource, InfiniteSource

SMALL = 2**30
"""Bytes up to which `device_cache=auto` puts the training images on the accelerator."""


class ImageDataModule(LabDataModule):
    """Images [channels, image_size, image_size] in [-1, 1].

    `horizontal_flip`: half of the training samples are drawn mirrored.
    `device_cache`: whether the training images lie on the accelerator (as bytes), where there is one.
    """

    def __init__(
        self,
        *,
        channels: Literal[1, 3],
        image_size: PositiveInt,
        horizontal_flip: bool = False,
        device_cache: Literal["auto", "always", "never"] = "auto",
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.channels = channels
        self.image_size = image_size
        self.horizontal_flip = horizontal_flip
        self.device_cache = device_cache

    @property
    def extractor(self) -> str | None:
        return "random_conv"

    @property
    def mirrored(self) -> bool:
        return self.horizontal_flip

    def train_source(self) -> FiniteSource | InfiniteSource:
        if not isinstance(self.train, FiniteSource):
            return self.train
        device = accelerator_of(self)
        source = self.train
        if isinstance(source, MappedImages):
            if device.type == "cpu" or not self._cached(source.nbytes()):
                return source.on(device, self.mirrored)
            source = source.in_memory()
        assert isinstance(source, MemoryImages)
        stays = device.type == "cpu" or not self._cached(source.images.numel())
        return source.on(torch.device("cpu") if stays else device, self.mirrored)

    def _cached(self, size: int) -> bool:
        """Whether so many bytes go to the accelerator; mirrored images are kept twice."""
        size *= 2 if self.mirrored else 1
        return self.device_cache == "always" or (self.device_cache == "auto" and size <= SMALL)

    def labels(self, labels: Tensor) -> Tensor | None:
        """Class labels int64 [n], or None if the configuration leaves them out."""
        return labels.long() if self.num_classes else None


def resize(images: Tensor, size: int) -> Tensor:
    """uint8 [n, channels, height, width] to [n, channels, size, size]: bicubic, antialiased, clamped to bytes."""
    if images.shape[-2:] == (size, size):
        return images
    # In chunks: the floats of 60,000 images at once would take gigabytes.
    resized = [
        functional.interpolate(chunk.float(), (size, size), mode="bicubic", antialias=True)
        .round_()
        .clamp_(0, 255)
        .to(torch.uint8)
        for chunk in images.split(1024)
    ]
    return torch.cat(resized)


def with_channels(images: Tensor, channels: int) -> Tensor:
    """uint8 images of 1 or 3 channels as images of `channels`: gray repeated, or colour's luminance (ITU-R 601-2)."""
    if images.shape[1] == channels:
        return images
    if channels == 3:
        return images.expand(-1, 3, -1, -1).contiguous()
    weights = torch.tensor([299, 587, 114], dtype=torch.int32).view(3, 1, 1)
    gray = [
        ((c.int() * weights).sum(1, keepdim=True) + 500).div_(1000, rounding_mode="floor") for c in images.split(1024)
    ]
    return torch.cat(gray).to(torch.uint8)
