"""What turns images into the features that scores compare, and what must never happen to it."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganlab.errors import ConfigError
from ganlab.metrics.extractors.isolation import isolated_inference


class Extracted(NamedTuple):
    """features float32 [n, d]; logits float32 [n, k] over the classes that the extractor knows, if it knows any."""

    features: Tensor
    logits: Tensor | None = None


class Extractor(nn.Module):
    """A frozen network: maps images uint8 [n, channels, height, width], 1 or 3 channels, to `Extracted`.

    Subclasses implement `forward`, which may also return features [n, d] or [n, d, height, width] (averaged over
    the places), or (features, logits).

    Whoever calls it can neither train it nor disturb it: it stays in eval mode whatever a parent's `train()` says,
    needs no gradient, computes in full float32 under any autocast, TF32 or inference mode, and leaves the global
    random state alone. Keep it outside a model all the same, or its weights join the checkpoint.
    """

    name: str
    """As in `fd_<name>`."""
    resizer: str
    """How images come to `input_size`; a part of the protocol, for another resizer gives another score."""
    channels: str
    """What is done with images of 1 and of 3 channels."""
    configuration: dict[str, Any] | None = None
    """What else its features depend on, of a network that is not ganlab's: plain values."""
    input_size: int | None = None
    """Pixels along a side that the network sees; None where it takes images as they are."""
    dimension: int | None = None
    """Features of an image; None where that depends on the images or is not known before the first one."""
    num_classes: int | None = None
    """Columns of the logits; None without."""

    def __call__(self, images: Tensor) -> Extracted:
        with self.undisturbed(images):
            return self._verified(super().__call__(images), len(images))

    def forward(self, images: Tensor) -> Any:
        raise NotImplementedError

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if isinstance(value, (nn.Module, nn.Parameter)):
            self.freeze()

    def train(self, mode: bool = True) -> "Extractor":
        return super().train(False)

    def freeze(self) -> None:
        """Eval mode and no gradients, for every part; done as a part is assigned, and again before it is used."""
        self.eval().requires_grad_(False)

    @contextmanager
    def undisturbed(self, images: Tensor) -> Iterator[None]:
        """The surroundings in which `forward` runs, for further methods that take images.

        Raises `ValueError` if the images are not uint8 [n, 1 or 3, height, width].
        """
        verify_images(images)
        self.freeze()
        with isolated_inference(images.device):
            yield

    def weights_hash(self) -> str:
        """SHA-256 in hexadecimal over the names of the class and of its parts', and the state's names, types and bytes.

        The same in every process and on every machine.
        """
        digest = hashlib.sha256()
        for part in (self, *self.children()):
            digest.update(f"{type(part).__qualname__}\n".encode())
        for name, value in sorted(self.state_dict().items()):
            if isinstance(value, Tensor):
                digest.update(f"{name} {value.dtype} {list(value.shape)}\n".encode())
                digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def description(self) -> dict[str, Any]:
        """What a protocol says of it, as plain values; scores are comparable only where all of it is the same."""
        return {
            "extractor": self.name,
            "weights_sha256": self.weights_hash(),
            "resizer": self.resizer,
            "input_size": self.input_size,
            "channels": self.channels,
            **({} if self.configuration is None else {"configuration": self.configuration}),
        }

    def _verified(self, output: Any, count: int) -> Extracted:
        """What `forward` returned, as float32 rows; raises `ConfigError`, as it may be a user's own network."""
        features, logits = output if isinstance(output, (tuple, list)) and len(output) == 2 else (output, None)
        if isinstance(features, Tensor) and features.dim() == 4 and features.is_floating_point():
            features = features.to(torch.float32).mean((2, 3))
        if not _rows(features, count) or not (logits is None or _rows(logits, count)):
            raise ConfigError(
                f"metrics.extractor: {self.name} makes {_told(output)} of {count} images; it must return features "
                "[n, d] or [n, d, height, width], or a tuple (features, logits [n, classes]), floating-point numbers"
            )
        if logits is not None and self.num_classes not in (None, logits.shape[1]):
            raise ConfigError(
                f"metrics.extractor: {self.name} makes {logits.shape[1]} logits, and num_classes={self.num_classes}"
            )
        return Extracted(features.to(torch.float32), None if logits is None else logits.to(torch.float32))


class Wrapped(Extractor):
    """A network of the user's own that takes bytes as they are."""

    resizer = "the network's own"
    channels = "as they are"

    def __init__(self, network: nn.Module, name: str) -> None:
        super().__init__()
        self.name = re.sub(r"\W", "_", name)
        self.network = network
        classes = getattr(network, "num_classes", None)
        self.num_classes = classes if isinstance(classes, int) else None

    def forward(self, images: Tensor) -> Any:
        return self.network(images)

    def description(self) -> dict[str, Any]:
        return super().description() | {"network": class_name(self.network)}


def as_extractor(module: nn.Module, name: str) -> Extractor:
    """The extractor that a user's `_target_` has made: as it is, or a network that takes uint8 images, wrapped.

    A network's attribute `num_classes`, if it is a whole number, says that it makes logits. Raises `ConfigError`
    for anything else than an `nn.Module`.
    """
    if isinstance(module, Extractor):
        return module
    if not isinstance(module, nn.Module):
        raise ConfigError(f"metrics.extractor: {name} makes {_told(module)}, and must make an nn.Module")
    return Wrapped(module, name)


def extract(extractor: Extractor, images: Tensor, batch_size: int, device: torch.device | str) -> Extracted:
    """Features, and logits if there are any, of images uint8 [n, channels, height, width], collected on the CPU.

    The extractor is moved to `device`. Raises `ValueError` if the images are not bytes: to quantise is the
    caller's business, that reals and fakes are quantised alike.
    """
    verify_images(images)
    with torch.inference_mode(False):
        extractor.to(device)
        parts = [extractor(batch.to(device)) for batch in images.split(batch_size)]
        features = torch.cat([part.features.cpu() for part in parts])
        logits = [part.logits.cpu() for part in parts if part.logits is not None]
        return Extracted(features, torch.cat(logits) if logits else None)


def verify_images(images: Tensor) -> None:
    """Raises `ValueError` unless they are uint8 [n, 1 or 3, height, width]."""
    if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1] not in (1, 3):
        raise ValueError(f"images are uint8 [n, 1 or 3 channels, height, width], not {_told(images)}")


RESIZER = "torch bicubic, antialiased, float32, clamped"


def resize(images: Tensor, size: int) -> Tensor:
    """float32 [n, channels, height, width] in [0, 1] to [n, channels, size, size], as `RESIZER` says."""
    if images.shape[-2:] == (size, size):
        return images
    return functional.interpolate(images, (size, size), mode="bicubic", antialias=True).clamp(0, 1)


def class_name(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _rows(value: Any, count: int) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.dim() == 2 and len(value) == count


def _told(value: Any) -> str:
    """A value by its type and shape."""
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    if isinstance(value, (tuple, list)):
        return f"({', '.join(_told(part) for part in value[:4])}{', …' if len(value) > 4 else ''})"
    return f"a {type(value).__name__}"
