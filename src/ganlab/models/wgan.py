"""Wasserstein GAN, Arjovsky, Chintala & Bottou 2017."""

from typing import Any

import torch
from torch import Tensor

from ganlab.config.types import NonNegativeInt, PositiveFloat, PositiveInt
from ganlab.counting import UpdatePlan
from ganlab.errors import ConfigError
from ganlab.models.adversarial import AdversarialModel
from ganlab.models.base import Measurements
from ganlab.objectives.wasserstein import critic_terms, distance_estimate, generator_loss


class WassersteinModel(AdversarialModel):
    """The discriminator is a critic of the dual form of the Wasserstein distance; what keeps it
    Lipschitz is a family's own."""

    threshold = None
    score_is_logit = False
    watched_held_out = ("wasserstein/estimate",)

    def discriminator_terms(self, real_scores: Tensor, fake_scores: Tensor) -> tuple[Tensor, Tensor]:
        return critic_terms(real_scores, fake_scores)

    def generator_term(self, fake_scores: Tensor) -> Tensor:
        return generator_loss(fake_scores)

    def judge(self, real_scores: Tensor, fake_scores: Tensor) -> Measurements:
        """The mean raw scores, and the critic's estimate of the distance: positive once it can tell."""
        estimate = distance_estimate(real_scores, fake_scores)
        return {**super().judge(real_scores, fake_scores), "wasserstein/estimate": estimate}


class WGAN(WassersteinModel):
    """Algorithm 1: after each of the critic's updates all of its weights are clipped to [-clip, clip].

    The authors' code brings the critic near its best before the generator moves far: `warmup_updates` of it in each of
    the first `warmup_iterations` iterations and in every `warmup_every`th, beginning with the first (0: in none).
    """

    def __init__(
        self,
        *,
        clip: PositiveFloat = 0.01,
        warmup_iterations: NonNegativeInt = 0,
        warmup_updates: PositiveInt = 100,
        warmup_every: NonNegativeInt = 0,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.clip = clip
        self._plan = UpdatePlan(self.discriminator_updates, warmup_iterations, warmup_updates, warmup_every)
        if self.balanced and (warmup_iterations or warmup_every):
            raise ConfigError(
                f"model.warmup_iterations={warmup_iterations}, model.warmup_every={warmup_every}: with "
                "model.balanced=true the losses decide who is trained, one update an iteration; set both to 0"
            )

    @property
    def update_plan(self) -> UpdatePlan:
        return self._plan

    @torch.no_grad()
    def after_discriminator_update(self) -> None:
        for parameter in self.parameters_of("discriminator"):
            parameter.clamp_(-self.clip, self.clip)
