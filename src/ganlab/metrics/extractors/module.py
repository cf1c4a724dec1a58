"""Any network of the user's as extractor: `metrics.extractor.module._target_=package.Network`."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ganlab.config.types import Component, FiniteFloat, PositiveFloat, PositiveInt
from ganlab.errors import ConfigError
from ganlab.metrics.extractors.base import RESIZER, Extractor, class_name, resize
from ganlab.metrics.extractors.isolation import built


class Module(Extractor):
    """A network from float images to features, given them as it was trained: bytes to [0, 1], resized, normalised.

    `module`: makes an `nn.Module` that maps float32 [n, channels, height, width] to features [n, d] or
    [n, d, height, width] (averaged over the places), or to a tuple (features, logits [n, classes]). Weights that it
    draws at random come from a fixed seed.
    `name`: what its scores are called, as in fd_<name>. `num_classes`: columns of its logits, if it makes any.
    `image_size`: pixels along a side to resize to; None: images as they are.
    `channels`: 3 repeats gray images, 1 takes the luminance of colours (ITU-R 601-2); None: as they are.
    `mean`, `std`: subtracted and divided by after scaling to [0, 1]; a number, or one for each channel.
    """

    def __init__(
        self,
        *,
        module: Component,
        name: str = "module",
        num_classes: PositiveInt | None = None,
        image_size: PositiveInt | None = None,
        channels: Literal[1, 3] | None = None,
        mean: FiniteFloat | list[FiniteFloat] = 0.0,
        std: PositiveFloat | list[PositiveFloat] = 1.0,
    ) -> None:
        super().__init__()
        if not name.isidentifier():
            raise ConfigError(f"metrics.extractor.name={name}: it becomes a part of a tag; use letters, digits and _")
        self.name, self.num_classes, self.input_size = name, num_classes, image_size
        self.resizer = "none" if image_size is None else RESIZER
        self.wanted_channels = channels
        self.channels = {None: "as they are", 1: "luminance", 3: "gray repeated to 3"}[channels]
        self.mean, self.std = _per_channel("mean", mean, channels), _per_channel("std", std, channels)
        self.network = _build(module)

    def forward(self, images: Tensor) -> Any:
        scaled = self._with_channels(images.to(torch.float32) / 255)
        if self.input_size is not None:
            scaled = resize(scaled, self.input_size)
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, scaled.shape[1]):
                raise ConfigError(
                    f"metrics.extractor.{name} has {len(values)} values, and the images {scaled.shape[1]} channel(s); "
                    f"set metrics.extractor.channels={len(values)}"
                )
        mean, std = (scaled.new_tensor(values).view(-1, 1, 1) for values in (self.mean, self.std))
        return self.network((scaled - mean) / std)

    def description(self) -> dict[str, Any]:
        return super().description() | {"network": class_name(self.network), "mean": self.mean, "std": self.std}

    def _with_channels(self, images: Tensor) -> Tensor:
        if self.wanted_channels in (None, images.shape[1]):
            return images
        if self.wanted_channels == 3:
            return images.expand(-1, 3, -1, -1)
        return (images * images.new_tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True)


def _per_channel(name: str, values: float | list[float], channels: int | None) -> list[float]:
    listed = list(values) if isinstance(values, (list, tuple)) else [values]
    allowed = (1, 3) if channels is None else (1, channels)
    if len(listed) not in allowed:
        said = " or ".join(map(str, sorted(set(allowed))))
        raise ConfigError(f"metrics.extractor.{name} has {len(listed)} values; give {said}, one for each channel")
    return [float(value) for value in listed]


def _build(module: Component | nn.Module) -> nn.Module:
    """The network of a node, or one that is there already; raises `ConfigError` if there is none."""
    network = built(module, "metrics.extractor.module") if isinstance(module, Mapping) else module
    if not isinstance(network, nn.Module):
        raise ConfigError(f"metrics.extractor.module makes a {type(network).__name__}, and must make an nn.Module")
    return network
