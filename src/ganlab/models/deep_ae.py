"""The deep autoencoder that restricted Boltzmann machines begin: Hinton & Salakhutdinov 2006."""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from ganlab.config.types import Decay, FewTimes, NonNegativeFloat, NonNegativeInt
from ganlab.errors import ConfigError
from ganlab.models.base import Measurements
from ganlab.models.phased import PhasedAutoencoder
from ganlab.networks.rbm import RBM, Units
from ganlab.networks.stack import upwards
from ganlab.objectives.reconstruction import squared_error


class DeepAE(PhasedAutoencoder):
    """A restricted Boltzmann machine a layer, each trained by contrastive divergence on what the one below it makes
    of the data (its hidden units' means), then all of them unrolled into an autoencoder and trained as one.

    Hidden units are Bernoulli ones; those of the code are Gaussian with `code_activation` linear, Bernoulli with
    sigmoid. Visible units of the first machine are Bernoulli where `output` is the sigmoid (pixels are
    probabilities), else Gaussian; all Gaussian units have unit variance.

    The encoder's weights and biases are those of the machines, the decoder's weights are theirs transposed, with the
    biases of the visible units: copies, which go ways of their own in the last phase. While machines learn, the
    autoencoder follows them; layers whose machine has not begun are what they were drawn as.

    `cd_steps`: of Gibbs sampling; `visible_means`: the chain ends in means of the visible units and not in draws, as in
    the paper. `momentum_from`: so many iterations of each phase have `initial_momentum` (if it is the smaller one), the
    others the optimizer's own. `code_lr_factor`: times the learning rate for the machine with Gaussian code
    units. Weight decay is on weights and not on biases.
    """

    undercomplete = True
    layers_are_called = "rbm"

    def __init__(
        self,
        *,
        cd_steps: FewTimes = 1,
        visible_means: bool = True,
        initial_momentum: Decay = 0.5,
        momentum_from: NonNegativeInt = 100,
        code_lr_factor: NonNegativeFloat = 0.01,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.cd_steps, self.visible_means = cd_steps, visible_means
        self.initial_momentum, self.momentum_from = initial_momentum, momentum_from
        self.code_lr_factor = code_lr_factor
        self._refuse_units_that_are_none()
        last = len(self.layers) - 1
        self.rbms: Any = nn.ModuleList(
            RBM(
                *self.layers[index].sizes,
                visible_units="bernoulli" if index > 0 or self.squash is torch.sigmoid else "gaussian",
                hidden_units=self.code_units if index == last else "bernoulli",
            )
            for index in range(len(self.layer_names))
        )

    @property
    def code_units(self) -> Units:
        return "bernoulli" if isinstance(self.autoencoder.encoder.code_activation, nn.Sigmoid) else "gaussian"

    def _refuse_units_that_are_none(self) -> None:
        encoder = self.autoencoder.encoder
        if len(self.layers) > 1 and not isinstance(encoder.activation, nn.Sigmoid):
            raise ConfigError(
                "model.encoder.activation: the hidden layers' units are Bernoulli ones, whose means are sigmoids; "
                "set it to sigmoid"
            )
        if not isinstance(encoder.code_activation, (nn.Sigmoid, nn.Identity)):
            raise ConfigError(
                "model.encoder.code_activation: the code's units are Gaussian (linear) or Bernoulli ones (sigmoid); "
                "set it to linear or sigmoid"
            )

    # -- the machines -------------------------------------------------------------------------------------------

    def network(self, name: str) -> nn.Module:
        return self.rbms[self.layer_names.index(name)] if name in self.layer_names else super().network(name)

    def parameter_groups(self, network: str) -> Any:
        if network not in self.layer_names:
            return super().parameter_groups(network)
        rbm: Any = self.network(network)
        lr = self.optimizer_configs["pretraining"]["lr"] * (
            self.code_lr_factor if rbm.hidden_units == "gaussian" else 1.0
        )
        biases = [rbm.visible_bias, rbm.hidden_bias]
        return [{"params": [rbm.weight], "lr": lr}, {"params": biases, "lr": lr, "weight_decay": 0.0}]

    def layer_loss(self, index: int, values: Tensor) -> tuple[Tensor, Measurements]:
        rbm = self.rbms[index]
        visible = upwards([below.hidden_mean for below in self.rbms[:index]], values)
        gap = rbm.contrastive_divergence(visible, self.cd_steps, self._drawn, last_means=self.visible_means)
        measured = {"rbm/free_energy_gap": gap.detach()}
        if self.measuring:
            with torch.no_grad():
                errors = squared_error(rbm.reconstruct(visible), visible).mean()
            measured |= {"loss/reconstruction": errors, "reconstruction/mse": errors / visible.shape[1]}
        return gap, measured

    def _drawn(self, like: Tensor, kind: Literal["uniform", "normal"]) -> Tensor:
        return self.draw_shared(*like.shape, draw=torch.rand if kind == "uniform" else torch.randn)

    def update(self, network: str) -> None:
        if network not in self.layer_names:
            super().update(network)
            return
        self._set_momentum(network)
        super().update(network)
        self.unroll(self.layer_names.index(network))

    def _set_momentum(self, network: str) -> None:
        """By the count of the phase's iterations alone, whatever a resumed optimizer brought along."""
        own = self.optimizer_configs["pretraining"].get("momentum")
        if own is None or self.phase is None:
            return
        early = self.iteration - self.phase.first < self.momentum_from
        for group in self._optimizer_of[network].param_groups:
            group["momentum"] = min(self.initial_momentum, own) if early else own

    @torch.no_grad()
    def unroll(self, index: int) -> None:
        """Give a machine's weights (from 0) to the autoencoder's layers: up as they are, down transposed."""
        rbm = self.rbms[index]
        up, down = self.layers[index].encoder.linears[0], self.layers[index].decoder
        up.weight.copy_(rbm.weight)
        up.bias.copy_(rbm.hidden_bias)
        down.weight.copy_(rbm.weight.T)
        down.bias.copy_(rbm.visible_bias)
