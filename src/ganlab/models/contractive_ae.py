"""The contractive autoencoder: Rifai et al. 2011."""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from ganlab.config.types import FewTimes, NonNegativeFloat
from ganlab.errors import ConfigError
from ganlab.models.autoencoding import AutoencodingModel
from ganlab.models.base import Measurements
from ganlab.models.evaluating import evaluating
from ganlab.models.regularisers import Draw, Encode, Regulariser
from ganlab.objectives.contraction import jacobian_norm, jacobian_norm_estimate, sigmoid_layer_contraction

Method = Literal["auto", "closed", "exact", "hutchinson"]


class Contraction(Regulariser):
    """Weight times E[‖∂code/∂input‖²_F], the squared Frobenius norm of the encoder's Jacobian.

    `closed`: of one sigmoid layer. `exact`: by automatic differentiation, a backward pass a code unit.
    `hutchinson`: E_v‖vᵀJ‖² over `probes` random signs, unbiased, a backward pass each. `auto`: closed where it holds,
    else hutchinson.
    """

    def __init__(self, weight: float, method: Method, probes: int) -> None:
        super().__init__()
        self.weight, self.method, self.probes = weight, method, probes

    def verify(self, encoder: nn.Module) -> None:
        if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in encoder.modules()):
            raise ConfigError(
                "model.encoder.batch_norm=true: the code of one sample depends on the others then, and has no Jacobian "
                "of its own; set model.encoder.batch_norm=false"
            )
        if self.method == "closed" and not is_sigmoid_layer(encoder):
            raise ConfigError(
                "model.contraction_method=closed: it holds for one sigmoid layer; set it to exact or hutchinson, or "
                "choose model/coders=sigmoid_layer"
            )

    def _closed(self, encoder: nn.Module) -> bool:
        return self.method == "closed" or (self.method == "auto" and is_sigmoid_layer(encoder))

    def terms(self, encoder: nn.Module, encode: Encode, inputs: Tensor, codes: Tensor, draw: Draw) -> Measurements:
        norm = self.norm(encoder, encode, inputs, codes, draw)
        return {"penalty/contraction": self.weight * norm}

    def norm(self, encoder: Any, encode: Encode, inputs: Tensor, codes: Tensor, draw: Draw) -> Tensor:
        """The mean over the batch of the squared norm, a scalar."""
        if self._closed(encoder):
            weight = encoder.linears[0].weight[:, : inputs[0].numel()]
            return sigmoid_layer_contraction(codes, weight).mean()
        if self.method == "exact":
            return jacobian_norm(encode, inputs).mean()
        drawn = draw(len(codes), self.probes, codes.shape[1], draw=torch.rand).transpose(0, 1)
        return jacobian_norm_estimate(encode, inputs, (drawn < 0.5).to(codes) * 2 - 1).mean()


class ContractiveAE(AutoencodingModel):
    """A code that hardly moves when its sample does, but where the data vary."""

    watched_held_out = ("reconstruction/mse", "jacobian/squared_norm")

    def __init__(
        self,
        *,
        contraction: NonNegativeFloat = 0.1,
        contraction_method: Literal["auto", "closed", "exact", "hutchinson"] = "auto",
        probes: FewTimes = 1,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.regulariser: Contraction = Contraction(contraction, contraction_method, probes)

    def held_out(
        self, samples: Tensor, condition: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Measurements:
        """As in the base, and `jacobian/squared_norm`, exact, whatever the method of training."""
        conditions = self.condition_vectors(condition)
        with evaluating(self.autoencoder), torch.no_grad():
            values = self.values_of(samples.to(self.dtype))
            norms = jacobian_norm(lambda inputs: self.autoencoder.encoder(inputs, conditions), values)
        return super().held_out(samples, condition, generator) | {"jacobian/squared_norm": norms}


def is_sigmoid_layer(encoder: Any) -> bool:
    """Whether an encoder is one linear map and a sigmoid."""
    return len(getattr(encoder, "linears", ())) == 1 and isinstance(encoder.code_activation, nn.Sigmoid)
