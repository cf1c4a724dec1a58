"""Spectral normalisation of a discriminator (Miyato, Kataoka, Koyama & Yoshida 2018)."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from ganlab.errors import ConfigError


class Apart(nn.Module):
    """A parametrization that is computed outside compiled code, and in the weight's own precision under autocast.

    Compiled code would keep the power iteration's vectors themselves for the gradient, and the next pass changes them:
    a loss of two passes, D(real) - D(fake), could not be descended.
    """

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    @torch.compiler.disable
    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            return self.inner(weight)


class Gain(nn.Module):
    """A constant factor on a weight, as a parametrization."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain = gain

    def forward(self, weight: Tensor) -> Tensor:
        return self.gain * weight


def constrain(discriminator: nn.Module, norm: str, gain: float) -> None:
    """What the options `norm` and `gain` of a discriminator ask of its weights, in place, once they are initialised.

    With `norm` "spectral", the weight W of every linear and convolutional layer becomes gain · W / σ(W). σ is the
    largest singular value of W, for a convolution as the matrix [outputs, inputs · kernel] (section 2.1), estimated by
    one power iteration a forward pass in training mode and none in eval mode. Fully connected, a network of depth d
    with activations of slope at most 1 is then gain^d-Lipschitz. A convolution may stretch more than its matrix:
    one with kernel 4 and stride 2 puts each value into up to 4 patches, and its bound is 2 · gain.

    A gain above 1 is for data finer than the network's scale, on which a 1-Lipschitz score is flat.

    Raises:
        ConfigError: a gain other than 1 where nothing is normalised.
    """
    if norm == "spectral":
        for layer in list(discriminator.modules()):
            if isinstance(layer, (nn.Linear, nn.Conv2d)):
                parametrizations.spectral_norm(layer)
                chain = cast(parametrize.ParametrizationList, layer.get_submodule("parametrizations.weight"))
                chain[0] = Apart(chain[0])
                if gain != 1:
                    parametrize.register_parametrization(layer, "weight", Gain(gain))
    elif gain != 1:
        raise ConfigError(
            f"model.discriminator.gain={gain:g}: a gain multiplies weights that are spectrally normalised; "
            "set model.discriminator.norm=spectral, or leave the gain at 1"
        )
