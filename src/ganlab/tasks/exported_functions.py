"""Networks as functions of tensors alone: with what a model does around them, and with every weight a plain one."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class Generating(nn.Module):
    """Latents, and codes and conditions where the generator has some, to samples."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, latent: Tensor, codes: Tensor | None = None, condition: Tensor | None = None) -> Tensor:
        return self.network(latent if codes is None else torch.cat([latent, codes], dim=1), condition)


class OfModel(nn.Module):
    """A network with what a model does before and after it; the model itself is no part of what is exported."""

    def __init__(self, model: Any, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self._model = (model,)


class Encoding(OfModel):
    """Samples to codes."""

    def forward(self, samples: Tensor, condition: Tensor | None = None) -> Tensor:
        (model,) = self._model
        return model.likeliest_code(model.values_of(samples), condition)


class Decoding(OfModel):
    """Codes to samples."""

    def forward(self, latent: Tensor, condition: Tensor | None = None) -> Tensor:
        (model,) = self._model
        return model.samples_of(model.squash(self.network(latent, condition)))


class Judging(OfModel):
    """Samples to raw scores; with the logits of the classes, where the model tells them apart."""

    def forward(self, samples: Tensor, condition: Tensor | None = None) -> Any:
        (model,) = self._model
        verdict = model.observe(samples, condition)
        return (verdict.scores, verdict.answers) if model.classifies else verdict.scores


def copied(model: Any) -> Any:
    """A copy of a model, in eval mode and float32, that shares nothing with it."""
    own = copy.deepcopy(model).float().eval().requires_grad_(False)
    plain(own)
    return own


def plain(network: nn.Module) -> nn.Module:
    """The network with every weight as one: none is computed (spectral norm), and none borrowed (tied layers)."""
    network.float().eval().requires_grad_(False)
    for module in list(network.modules()):
        if parametrize.is_parametrized(module):
            _fix_weights(module)
        for name, child in list(module.named_children()):
            if isinstance(getattr(type(child), "weight", None), property) and not parametrize.is_parametrized(child):
                setattr(module, name, _own_weight(child))
    return network


def _fix_weights(module: Any) -> None:
    """Make the parametrized weights of a layer plain ones.

    Not by torch's `remove_parametrizations`: it takes them from the layer's class, which a copy shares.
    """
    weights = {name: getattr(module, name) for name in module.parametrizations}
    module.__class__ = parametrize.type_before_parametrizations(module)
    del module.parametrizations
    for name, weight in weights.items():
        module.register_parameter(name, nn.Parameter(weight, requires_grad=False))


def _own_weight(tied: Any) -> nn.Linear:
    """A linear layer like one whose weight is another layer's."""
    layer = nn.Linear(tied.in_features, tied.out_features).requires_grad_(False).eval()
    layer.weight.copy_(tied.weight)
    layer.bias.copy_(tied.bias)
    return layer
