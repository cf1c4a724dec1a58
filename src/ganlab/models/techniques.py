"""What goes with every adversarial family: what the discriminator is shown, and penalties on either player."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ganlab.config.types import NonNegativeFloat, PositiveFraction
from ganlab.errors import ConfigError
from ganlab.models.base import GenerativeModel, Measurements
from ganlab.models.history import History
from ganlab.networks.minibatch import MinibatchDiscrimination
from ganlab.networks.verdict import Verdict
from ganlab.objectives.augmentation import SHARES, augmented
from ganlab.objectives.penalties import GradientPenalties

Observe = Callable[[Tensor, Tensor | None], Verdict]
"""Samples and conditions to a verdict; one discriminator's, where a family has several."""
Players = Literal["discriminator", "generator"]


class Techniques(GenerativeModel):
    """Options of `conf/model/techniques/`; with their defaults nothing is done and nothing drawn.

    `gradient_penalty` times E[(‖∇D‖ - gradient_centre)²] between real and generated samples, `r1` and `r2` times
    E[‖∇D‖²] / 2 at them, all at what the discriminator is shown; `relativistic` scores
    (`ganlab.objectives.relativistic`); `augment`, the same random operations on all that the discriminator sees
    (`ganlab.objectives.augmentation`); `instance_noise`, the standard deviation of Gaussian noise on the same, which
    falls on a line to 0 at the share `instance_noise_until` of the run (Arjovsky & Bottou 2017; Sønderby et al. 2017);
    `historical_averaging` times the squared distance of each player's weights from their mean so far (Salimans et al.
    2016).
    """

    score_is_logit: bool = True
    """Whether the sigmoid of a score is the discriminator's probability that the sample is real."""
    threshold: float | None = 0.0
    """Score above which the discriminator calls a sample real; None for scores that have no zero, as a critic's."""

    def __init__(
        self,
        *,
        gradient_penalty: NonNegativeFloat = 0.0,
        gradient_centre: Literal[0, 1] = 1,
        r1: NonNegativeFloat = 0.0,
        r2: NonNegativeFloat = 0.0,
        relativistic: Literal["none", "paired", "average"] = "none",
        augment: list[Literal["color", "translation", "cutout"]] | None = None,
        instance_noise: NonNegativeFloat = 0.0,
        instance_noise_until: PositiveFraction = 0.5,
        historical_averaging: NonNegativeFloat = 0.0,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.penalties = GradientPenalties(gradient_penalty, gradient_centre, r1, r2)
        self.relativistic = relativistic
        if relativistic != "none":
            # A score is about real samples and generated ones together: it has no zero of its own.
            self.score_is_logit, self.threshold = False, None
        self.augment = list(augment or [])
        self.instance_noise, self.instance_noise_until = instance_noise, instance_noise_until
        self.historical_averaging = historical_averaging
        if self.augment and len(self.sample_shape) != 3:
            raise ConfigError(f"model.augment={self.augment}: these are operations on images; set model.augment=[]")

    # -- what the discriminator is shown ------------------------------------------------------------------------

    def presented(self, samples: Tensor) -> Tensor:
        """What the discriminator is shown of samples: augmented, under this iteration's instance noise."""
        if self.augment:
            samples = augmented(samples, self.augment, self.draw_shared(len(samples), SHARES, draw=torch.rand))
        std = self.number("instance_noise_std") if self.instance_noise > 0 else 0.0
        if isinstance(std, Tensor) or std > 0:
            samples = samples + std * self.draw_shared(*samples.shape, draw=torch.randn)
        return samples

    @property
    def instance_noise_std(self) -> float:
        """The standard deviation of the instance noise at this iteration."""
        if self.instance_noise == 0:
            return 0.0
        end = self.instance_noise_until * self.max_iterations
        return self.instance_noise * max(0.0, 1 - self.iteration / end)

    # -- penalties ----------------------------------------------------------------------------------------------

    def gradient_penalties(
        self, real: Tensor, fakes: Tensor, condition: Tensor | None, observe: Observe
    ) -> tuple[Measurements, Measurements]:
        """The weighted penalties by tag, and what they tell besides. In full precision: squares of small numbers."""
        with torch.autocast(self.device.type, enabled=False):
            shares = self.draw_shared(len(real), draw=torch.rand) if self.penalties.gradient > 0 else None
            real, fakes = real.to(self.dtype), fakes.to(self.dtype)
            return self.penalties(lambda samples: observe(samples, condition).scores, real, fakes, shares)

    def remember(self, **networks: nn.Module) -> None:
        """Begin each player's history, if it is asked for."""
        if self.historical_averaging > 0:
            self.histories = nn.ModuleDict({player: History(network) for player, network in networks.items()})

    def historical_penalty(self, player: Players) -> Measurements:
        """The weighted penalty of a player by its tag; nothing without historical averaging."""
        if self.historical_averaging == 0:
            return {}
        history: Any = self.histories[player]
        penalty = self.historical_averaging * history.penalty(self.parameters_of(player))
        return {f"penalty/history_{player}": penalty}

    def extend_history(self, player: Players) -> None:
        """Take a player's weights after an update into its history."""
        if self.historical_averaging > 0:
            history: Any = self.histories[player]
            history.update(self.parameters_of(player))

    @property
    def scores_depend_on_batch(self) -> bool:
        """Whether a sample's score depends on the others of its batch, in eval mode too."""
        discriminator: Any = self.discriminator
        return any(isinstance(module, MinibatchDiscrimination) for module in discriminator.modules())

    def refuse_coupled_samples(self, discriminator: nn.Module) -> None:
        """Raise `ConfigError` for a gradient penalty on a network in which one sample sees the others of its batch."""
        coupling = (nn.modules.batchnorm._BatchNorm, MinibatchDiscrimination)
        layer = next((module for module in discriminator.modules() if isinstance(module, coupling)), None)
        if self.penalties.any and layer is not None:
            remedy = "minibatch_kernels=0" if isinstance(layer, MinibatchDiscrimination) else "norm=none"
            raise ConfigError(
                f"model.discriminator: with {type(layer).__name__} the score of one sample depends on the others, "
                f"and a penalty on its gradient means nothing; set model.discriminator.{remedy}"
            )
