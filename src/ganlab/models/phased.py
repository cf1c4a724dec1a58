"""Layers in turn, from the samples inwards, and then all of them together."""

from abc import abstractmethod
from typing import Any, ClassVar

from torch import Tensor

from ganlab.config.types import NonNegativeInt
from ganlab.counting import Phase, phases_of
from ganlab.errors import ConfigError
from ganlab.models.autoencoding import AutoencodingModel
from ganlab.models.base import Measurements
from ganlab.networks.stack import layers_of


class PhasedAutoencoder(AutoencodingModel):
    """A phase of `pretrain_iterations` for each layer of the encoder, and the rest of the run for `last_phase`.

    With 0 there is the last phase alone, from a random start. The layers are trained by the optimizer block
    `pretraining`, each with an optimizer of its own, the last phase by the block `autoencoder`. What a layer's
    phase logs has the phase's name as its ending: `loss/reconstruction_layer_1`.

    A family says what trains a layer: `layer_loss`.
    """

    layers_are_called: ClassVar[str] = "layer"

    def __init__(self, *, pretrain_iterations: NonNegativeInt = 500, **common: Any) -> None:
        super().__init__(**common)
        if self.condition_size:
            raise ConfigError(
                f"model.condition_size={self.condition_size}: layers that learn in turn are told no conditions; "
                "set model.condition_size=0"
            )
        self.pretrain_iterations = pretrain_iterations
        # A tuple, for modules that are attributes would be saved once more.
        self.layers: Any = layers_of(self.autoencoder.encoder, self.autoencoder.decoder)
        count = len(self.layers) if pretrain_iterations else 0
        self.layer_names = [f"{self.layers_are_called}_{number}" for number in range(1, count + 1)]
        self.last_phase = "autoencoder"
        self._phases: tuple[Phase, ...] = ()

    @property
    def trained_networks(self) -> tuple[str, ...]:  # type: ignore[override]
        return (*self.layer_names, self.last_phase)

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Those of a run that has been prepared; else none."""
        return self._phases

    def prepare_training(self, **decided: Any) -> None:
        """As in the base. Raises `ConfigError` for a run that ends before the last phase begins."""
        super().prepare_training(**decided)
        lengths = dict.fromkeys(self.layer_names, self.pretrain_iterations)
        before = sum(lengths.values())
        if self.max_iterations <= before:
            raise ConfigError(
                f"trainer.max_iterations={self.max_iterations}: the {len(lengths)} layers' pretraining takes {before} "
                f"of them, and nothing is left for the last phase, {self.last_phase}; set trainer.max_iterations above "
                f"{before}, or model.pretrain_iterations={self.pretrain_iterations} lower (0: none)"
            )
        self._phases = phases_of(lengths, self.last_phase, self.max_iterations)

    def optimizer_block(self, network: str) -> str:
        return "pretraining" if network in self.layer_names else "autoencoder"

    def loss_of(self, network: str, values: Tensor, condition: Tensor | None) -> tuple[Tensor, Measurements]:
        if network not in self.layer_names:
            return super().loss_of(network, values, condition)
        loss, measured = self.layer_loss(self.layer_names.index(network), values)
        return loss, {f"{tag}_{network}": value for tag, value in measured.items()}

    @abstractmethod
    def layer_loss(self, index: int, values: Tensor) -> tuple[Tensor, Measurements]:
        """The loss of a layer (from 0) on values [n, *sample_shape], with its graph, and what is logged of it.

        No gradient may reach anything but the layer's own parameters.
        """
