"""Auxiliary classifier GAN, Odena, Olah & Shlens 2017."""

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ganlab.config.types import ClassCount, NonNegativeFloat
from ganlab.models.adversarial import Round
from ganlab.models.base import Measurements, build_network
from ganlab.models.gan import GAN
from ganlab.networks.verdict import TwoHeaded, Verdict


class ACGAN(GAN):
    """The generator is given a class; the discriminator is not, but has to name it (section 3).

    Beside the source's loss, a GAN's, both players minimise the cross-entropy of the class: the discriminator
    on real and on generated samples, the generator on its own.
    """

    classifies = True

    def __init__(self, *, condition_size: ClassCount, class_weight: NonNegativeFloat = 1.0, **common: Any) -> None:
        self.class_weight = class_weight
        super().__init__(condition_size=condition_size, **common)

    def build_players(self, generator: dict[str, Any], discriminator: dict[str, Any]) -> tuple[Any, Any]:
        source: Any = build_network(discriminator, 0)
        classes = nn.Linear(source.feature_count, self.condition_size)
        return build_network(generator, self.latent_dim, self.condition_size), TwoHeaded(source, classes)

    def observe(self, samples: Tensor, condition: Tensor | None) -> Verdict:
        """Whatever class is meant, the discriminator is not told."""
        return super().observe(samples, None)

    def discriminator_extras(self, given: Round, real: Verdict, fake: Verdict) -> Measurements:
        return {
            "loss/class_real": self._class_loss(given, real),
            "loss/class_fake": self._class_loss(given, fake),
        }

    def generator_extras(self, given: Round, real: Verdict | None, fake: Verdict) -> Measurements:
        return {"loss/class_generator": self._class_loss(given, fake)}

    def _class_loss(self, given: Round, seen: Verdict) -> Tensor:
        assert seen.answers is not None and given.condition is not None
        return self.class_weight * cross_entropy(seen.answers, given.condition.argmax(1))
