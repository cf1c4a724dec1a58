"""Semi-supervised learning with GANs, Salimans et al. 2016."""

from typing import Any, Literal

from torch import Tensor

from ganlab.config.types import ClassCount, Component, NonNegativeFloat
from ganlab.errors import ConfigError
from ganlab.models.adversarial import AdversarialModel, Round
from ganlab.models.base import Measurements, build_network
from ganlab.networks.verdict import Classifying, Verdict
from ganlab.objectives.adversarial import (
    discriminator_terms,
    minimax_generator_loss,
    non_saturating_generator_loss,
)
from ganlab.objectives.semi_supervised import feature_matching_loss, supervised_loss


class SemiSupervisedGAN(AdversarialModel):
    """The discriminator is a classifier of K classes with one more, "generated", whose logit is 0 (section 5).

    It learns from labelled samples which class they are, and from all others and the generated ones what is real. The
    generator matches the mean of the discriminator's features on real samples (section 3.1), or has a GAN's loss.
    `unsupervised_weight` 0 is the same network trained on the labels alone.
    """

    learns_labels = True
    classifies = True

    def __init__(
        self,
        *,
        num_classes: ClassCount,
        loss: Literal["feature_matching", "non_saturating", "minimax"] = "feature_matching",
        supervised_weight: NonNegativeFloat = 1.0,
        unsupervised_weight: NonNegativeFloat = 1.0,
        **common: Any,
    ) -> None:
        self.num_classes = num_classes
        self.loss = loss
        self.supervised_weight, self.unsupervised_weight = supervised_weight, unsupervised_weight
        self.generator_sees_real = loss == "feature_matching"
        super().__init__(**common)
        if self.condition_size:
            raise ConfigError(
                f"model.condition_size={self.condition_size}: this model learns which class a sample is of, and is not "
                "told; set model.condition_size=0"
            )

    def build_players(self, generator: Component, discriminator: Component) -> tuple[Any, Any]:
        classifier = build_network(discriminator, self.condition_size, self.num_classes)
        return build_network(generator, self.latent_dim, self.condition_size), Classifying(classifier)

    def discriminator_terms(self, real_scores: Tensor, fake_scores: Tensor) -> tuple[Tensor, Tensor]:
        on_real, on_fake = discriminator_terms(real_scores, fake_scores)
        return self.unsupervised_weight * on_real, self.unsupervised_weight * on_fake

    def generator_term(self, fake_scores: Tensor) -> Tensor:
        if self.loss == "feature_matching":
            return fake_scores.new_zeros(())
        return (minimax_generator_loss if self.loss == "minimax" else non_saturating_generator_loss)(fake_scores)

    def discriminator_extras(self, given: Round, real: Verdict, fake: Verdict) -> Measurements:
        samples, labels = given.labelled
        answers = self.observe(self.presented(samples), None).answers
        assert answers is not None
        return {"loss/supervised": self.supervised_weight * supervised_loss(answers, labels)}

    def generator_extras(self, given: Round, real: Verdict | None, fake: Verdict) -> Measurements:
        if self.loss != "feature_matching":
            return {}
        assert real is not None and real.features is not None and fake.features is not None
        return {"loss/feature_matching": feature_matching_loss(real.features, fake.features)}
