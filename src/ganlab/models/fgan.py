"""f-GAN, Nowozin, Cseke & Tomioka 2016."""

from typing import Any, Literal

from torch import Tensor

from ganlab.models.adversarial import AdversarialModel
from ganlab.models.base import Measurements
from ganlab.objectives.f_divergences import (
    DIVERGENCES,
    discriminator_terms,
    lower_bound,
    minimax_generator_loss,
    non_saturating_generator_loss,
)

_GENERATOR_LOSSES = {"minimax": minimax_generator_loss, "non_saturating": non_saturating_generator_loss}


class FGAN(AdversarialModel):
    """The discriminator raises a lower bound of an f-divergence between real and generated distribution,
    the generator lowers it (equation 4), or raises E[g_f(V)] on its samples (section 3.2)."""

    watched_held_out = ("divergence/estimate",)

    def __init__(
        self,
        *,
        divergence: Literal[
            "kl",
            "reverse_kl",
            "pearson",
            "neyman",
            "squared_hellinger",
            "jensen_shannon",
            "gan",
            "total_variation",
        ] = "jensen_shannon",
        generator_loss: Literal["minimax", "non_saturating"] = "non_saturating",
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.divergence = DIVERGENCES[divergence]
        self.threshold = self.divergence.boundary
        if divergence not in ("gan", "jensen_shannon"):
            self.score_is_logit = False  # of these two alone V is log(p/q) at the bound's best
        self.of_generator = _GENERATOR_LOSSES[generator_loss]

    def discriminator_terms(self, real_scores: Tensor, fake_scores: Tensor) -> tuple[Tensor, Tensor]:
        return discriminator_terms(self.divergence, real_scores, fake_scores)

    def generator_term(self, fake_scores: Tensor) -> Tensor:
        return self.of_generator(self.divergence, fake_scores)

    def judge(self, real_scores: Tensor, fake_scores: Tensor) -> Measurements:
        """The bound on the divergence beside the scores."""
        estimate = lower_bound(self.divergence, real_scores, fake_scores)
        return {**super().judge(real_scores, fake_scores), "divergence/estimate": estimate}
