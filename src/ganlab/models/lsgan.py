"""Least squares generative adversarial networks, Mao et al. 2017."""

from typing import Any

from torch import Tensor

from ganlab.config.types import FiniteFloat
from ganlab.errors import ConfigError
from ganlab.models.adversarial import AdversarialModel
from ganlab.objectives.least_squares import discriminator_terms, generator_loss


class LSGAN(AdversarialModel):
    """The discriminator regresses on `b` for real and `a` for generated samples, the generator on `c`
    (equation 2): a sample far on the right side of the boundary still pulls, so the loss does not saturate.
    A score past the middle of a and b, which is above a, counts as real."""

    score_is_logit = False

    losses_compare = True
    may_be_relativistic = True

    def __init__(self, *, a: FiniteFloat = 0.0, b: FiniteFloat = 1.0, c: FiniteFloat = 1.0, **common: Any) -> None:
        super().__init__(**common)
        if b <= a:
            raise ConfigError(
                f"model.b={b:g}: the target of real samples must be above that of generated ones, model.a={a:g}"
            )
        self.a, self.b, self.c = a, b, c
        self.threshold = None if self.relativistic != "none" else (a + b) / 2

    def discriminator_terms(self, real_scores: Tensor, fake_scores: Tensor) -> tuple[Tensor, Tensor]:
        return discriminator_terms(real_scores, fake_scores, self.a, self.b)

    def generator_term(self, fake_scores: Tensor) -> Tensor:
        return generator_loss(fake_scores, self.c)
