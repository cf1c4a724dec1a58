"""Wasserstein GAN, Arjovsky, Chintala & Bottou 2017."""

from typing import Any

import torch
from torch import Tensor

from ganlab.config.types import NonNegativeInt, PositiveFloat, WarmupUpdates
from ganlab.counting import UpdatePlan
from ganlab.models.adversarial import AdversarialModel, Round
from ganlab.models.base import Measurements
from ganlab.models.evaluating import evaluating
from ganlab.networks.verdict import Verdict
from ganlab.objectives.penalties import gradient_norms, mixtures
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

    def describe(self, given: Round, real: Verdict, fake: Verdict) -> Measurements:
        """Beside the scores the mean norm of the critic's gradient between real and generated samples: at most about 1
        is what makes the estimate one of a distance. Evenly spread mixtures: measuring must draw nothing."""
        measured = super().describe(given, real, fake)
        if self.penalties.gradient > 0:
            return measured  # which comes with its own
        shares = torch.linspace(0, 1, len(given.real)).to(given.real)

        def score(samples: Tensor) -> Tensor:
            return self.observe(samples, given.condition).scores

        with evaluating(self.discriminator), torch.enable_grad(), torch.autocast(self.device.type, enabled=False):
            between = mixtures(given.real.to(self.dtype), given.fakes.detach().to(self.dtype), shares)
            return measured | {"grad_norm/critic_mean": gradient_norms(score, between).detach().mean()}

    def judge(self, real_scores: Tensor, fake_scores: Tensor) -> Measurements:
        """The mean raw scores, and the critic's estimate of the distance: positive once it can tell."""
        estimate = distance_estimate(real_scores, fake_scores)
        return {**super().judge(real_scores, fake_scores), "wasserstein/estimate": estimate}


class WGAN(WassersteinModel):
    """Algorithm 1: after each of the critic's updates all of its weights are clipped to [-clip, clip].

    The authors' code brings the critic near its best before the generator moves far: `warmup_updates` of it in each of
    the first `warmup_iterations` iterations and in every `warmup_every`th, beginning with the first (0: in none). All
    batches of an iteration are in memory at once.
    """

    def __init__(
        self,
        *,
        clip: PositiveFloat = 0.01,
        warmup_iterations: NonNegativeInt = 0,
        warmup_updates: WarmupUpdates = 100,
        warmup_every: NonNegativeInt = 0,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.clip = clip
        self._plan = UpdatePlan(self.discriminator_updates, warmup_iterations, warmup_updates, warmup_every)

    @property
    def update_plan(self) -> UpdatePlan:
        return self._plan

    @torch.no_grad()
    def after_discriminator_update(self) -> None:
        for parameter in self.parameters_of("discriminator"):
            parameter.clamp_(-self.clip, self.clip)
