"""What a trained model makes of samples: an autoencoder's codes, or the features that a discriminator judges by.

Labels are kept from the model, so that they are not in the features to be read from them: where its networks want a
condition, they are given zeros.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_max_pool2d

from ganlab.errors import ConfigError, TrainingError
from ganlab.models.base import GenerativeModel

GRID = 4
"""Cells along a side to which a convolution's feature maps are pooled."""
Layers = Literal["auto", "all", "last"]


class Features:
    """Samples [n, *sample_shape] to float32 features [n, dims] on the CPU, without gradient.

    Of a model that encodes these are its codes; of another one features of its discriminator: with `layers` "all" those
    of all convolutions, each max-pooled to 4×4 cells, flattened and joined (Radford et al. 2015, section 5.1; maps
    smaller than that stay as they are), with "last" what the score is made of, and with "auto" the first where
    there are convolutions.

    Raises:
        ConfigError: a model that has neither, or `layers` that it has not.
    """

    def __init__(self, model: GenerativeModel, layers: Layers = "auto") -> None:
        self.model = model
        self.body: Any = None
        self.layers = layers
        if model.encodes:
            if layers != "auto":
                raise ConfigError(f"layers={layers}: is for a discriminator, and model={model.name} has codes")
        else:
            self.body = _body_of(model)
            self.layers = _chosen_layers(self.body, layers, model.name)
        self.told_condition = model.condition_size > 0 and (model.encodes or _sees_conditions(model))
        self.dims = self(torch.zeros(2, *model.sample_shape)).shape[1]

    @torch.no_grad()
    def __call__(self, samples: Tensor) -> Tensor:
        model: Any = self.model
        samples = samples.to(model.device, model.dtype)
        nothing = samples.new_zeros(len(samples), model.condition_size) if self.told_condition else None
        found = model.encode(samples, nothing) if self.body is None else self._of_body(samples, nothing)
        found = found.float().flatten(1).cpu()
        if not torch.isfinite(found).all():
            raise TrainingError(
                f"codes of model={model.name} at iteration {model.iteration} are not finite numbers: "
                "its weights have diverged"
            )
        return found

    def description(self) -> dict[str, Any]:
        """What the features are, and what the model knew when it learnt them."""
        kind = "codes" if self.body is None else "discriminator features"
        told: dict[str, Any] = {"features": kind, "dims": self.dims}
        if self.body is not None:
            told |= {"layers": self.layers}
            told |= {"pooling": f"max, {GRID}x{GRID} cells"} if self.layers == "all" else {}
        return told | {"condition": "zeros" if self.told_condition else None, "trained_with_labels": self.knows_labels}

    @property
    def knows_labels(self) -> bool:
        """Whether training was told labels: then what is read from the features was partly put there."""
        return bool(self.model.condition_size or self.model.learns_labels or self.model.classifies)

    def _of_body(self, samples: Tensor, condition: Tensor | None) -> Tensor:
        with _eval_mode(self.body):
            if self.layers == "last":
                return self.body.features(samples, condition)
            with _watched(_convolutions(self.body)) as maps:
                self.body.features(samples, condition)
            return torch.cat([_pooled(map_) for map_ in maps()], dim=1)


def _body_of(model: GenerativeModel) -> Any:
    """The discriminator without the heads that a family put on it."""
    discriminator: Any = getattr(model, "discriminator", None)
    if discriminator is None:
        raise ConfigError(f"model={model.name}: has neither codes nor a discriminator whose features could be taken")
    body = getattr(discriminator, "discriminator", discriminator)
    if not hasattr(body, "features"):
        raise ConfigError(
            f"model={model.name}: its discriminator, {type(body).__name__}, has no features(samples, conditions)"
        )
    return body


def _chosen_layers(body: nn.Module, asked: Layers, name: str) -> Layers:
    if asked == "auto":
        return "all" if _convolutions(body) else "last"
    if asked == "all" and not _convolutions(body):
        raise ConfigError(f"layers=all: the discriminator of model={name} has no convolutions; leave layers out")
    return asked


def _sees_conditions(model: Any) -> bool:
    """Whether the discriminator is handed the condition: that of an auxiliary classifier GAN is not."""
    handed: list[Any] = []
    hook = model.discriminator.register_forward_pre_hook(lambda _, given: handed.extend(given[1:]))
    try:
        samples = torch.zeros(2, *model.sample_shape, device=model.device)
        model.score(samples, torch.zeros(2, model.condition_size, device=model.device))
    finally:
        hook.remove()
    return any(condition is not None for condition in handed)


def _convolutions(body: nn.Module) -> list[list[nn.Module]]:
    """Each convolution with what follows it up to the next (batch norm, activation), in the order of the network."""
    blocks: dict[nn.Module, list[nn.Module]] = {
        module: [module] for module in body.modules() if isinstance(module, nn.Conv2d)
    }
    for sequence in (module for module in body.modules() if isinstance(module, nn.Sequential)):
        current: list[nn.Module] | None = None
        for module in sequence:
            if module in blocks:
                current = blocks[module]
            elif current is not None:
                current.append(module)
    return list(blocks.values())


@contextmanager
def _watched(blocks: list[list[nn.Module]]) -> Iterator[Callable[[], list[Tensor]]]:
    """While it lasts, gives what each block last made that is a map [n, maps, height, width]."""
    made: dict[int, Tensor] = {}

    def keep(number: int) -> Callable[..., None]:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.ndim == 4:
                made[number] = output

        return hook

    hooks = [module.register_forward_hook(keep(number)) for number, block in enumerate(blocks) for module in block]
    try:
        yield lambda: [made[number] for number in sorted(made)]
    finally:
        for hook in hooks:
            hook.remove()


def _pooled(maps: Tensor) -> Tensor:
    """[n, maps, height, width] max-pooled to 4×4 cells at most, [n, features]."""
    return adaptive_max_pool2d(maps, [min(GRID, side) for side in maps.shape[2:]]).flatten(1)


@contextmanager
def _eval_mode(network: nn.Module) -> Iterator[None]:
    """Eval mode for a while; afterwards each module is as it was."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
