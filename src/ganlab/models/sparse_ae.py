"""The sparse autoencoder: Ng 2011 (CS294A lecture notes), and with an L1 price."""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from ganlab.config.types import Decay, NonNegativeFloat, OpenFraction
from ganlab.errors import ConfigError
from ganlab.models.autoencoding import AutoencodingModel
from ganlab.models.base import Measurements
from ganlab.models.regularisers import Draw, Encode, Regulariser
from ganlab.objectives.sparsity import kl_sparsity, l1_sparsity

DEAD = 0.1
"""A unit is dead whose activation stays below this share of ρ (of 0.05, where there is no ρ) on the whole batch."""


class Sparsity(Regulariser):
    """Weight times Σ_units KL(ρ ‖ ρ̂), ρ̂ a unit's mean activation; or times the mean over the batch of ‖code‖₁.

    ρ̂ is the batch's mean; with `running_decay` β > 0 it is (1 - β)·batch + β·the running mean so far, which is
    steadier where batches are small; the gradient flows through the batch's share.
    """

    running_mean: Tensor

    def __init__(
        self, code_size: int, penalty: Literal["kl", "l1"], weight: float, rho: float, running_decay: float
    ) -> None:
        super().__init__()
        self.penalty, self.weight, self.rho, self.running_decay = penalty, weight, rho, running_decay
        if penalty == "kl" and running_decay > 0:
            self.register_buffer("running_mean", torch.full((code_size,), rho))

    def verify(self, encoder: nn.Module) -> None:
        """Activations must be probabilities for a KL divergence."""
        activation = getattr(encoder, "code_activation", None)
        if self.penalty == "l1" and self.running_decay > 0:
            raise ConfigError(
                f"model.running_decay={self.running_decay:g}: an L1 price has no mean activation; set it to 0, or "
                "model.penalty=kl"
            )
        if self.penalty == "kl" and not isinstance(activation, nn.Sigmoid):
            raise ConfigError(
                "model.encoder.code_activation: the KL price is on activations between 0 and 1; "
                "set model.encoder.code_activation=sigmoid, or model.penalty=l1"
            )

    def terms(self, encoder: nn.Module, encode: Encode, inputs: Tensor, codes: Tensor, draw: Draw) -> Measurements:
        if self.penalty == "l1":
            return {"loss/sparsity": self.weight * l1_sparsity(codes)}
        return {"loss/sparsity": self.weight * kl_sparsity(self._mean_activations(codes), self.rho)}

    def _mean_activations(self, codes: Tensor) -> Tensor:
        # At least in single precision: of half of it, shares near ρ have steps that are too coarse.
        means = codes.mean(0, dtype=torch.promote_types(codes.dtype, torch.float32))
        if self.running_decay > 0:
            means = torch.lerp(means, self.running_mean, self.running_decay)
            self.running_mean.copy_(means.detach())
        return means

    def describe(self, codes: Tensor) -> Measurements:
        alive = DEAD * (self.rho if self.penalty == "kl" else 0.05)
        return {
            "sparsity/mean_activation": codes.abs().mean(),
            "sparsity/dead_units": (codes.abs().amax(0) < alive).float().mean(),
        }


class SparseAE(AutoencodingModel):
    """A code that may be wider than the sample, of which few units are active at a time."""

    def __init__(
        self,
        *,
        penalty: Literal["kl", "l1"] = "kl",
        sparsity_weight: NonNegativeFloat = 1.0,
        rho: OpenFraction = 0.05,
        running_decay: Decay = 0.0,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.regulariser = Sparsity(self.latent_dim, penalty, sparsity_weight, rho, running_decay)
