"""The alternation of the two players; what each of them minimises is a family's own."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from ganlab.config.types import Component, Decay, FewTimes, PositiveInt
from ganlab.counting import UpdatePlan
from ganlab.errors import ConfigError
from ganlab.models.base import Measurements, averaged, build_network
from ganlab.models.evaluating import evaluating
from ganlab.models.techniques import Observe, Players, Techniques
from ganlab.networks.verdict import Verdict, squashed_by
from ganlab.objectives.relativistic import relative_scores


@dataclass(frozen=True)
class Round:
    """What both players are about: real samples and the generated ones that answer them, [n, *sample_shape] each.

    `labelled`: samples and their class labels, for a family that learns from them.
    """

    real: Tensor
    fakes: Tensor
    latents: Tensor
    condition: Tensor | None
    labelled: Any = None


class Said(NamedTuple):
    """A player's loss with its graph; what is logged of it, and the verdicts that it is made of, without."""

    loss: Tensor
    measured: Measurements
    real: Verdict | None
    fake: Verdict


class AdversarialModel(Techniques):
    """Algorithm 1 of Goodfellow et al. 2014: k discriminator updates, then one of the generator.

    A family says how scores become losses (`discriminator_terms`, `generator_term`), which further terms there are
    (`discriminator_extras`, `generator_extras`), what constrains the discriminator's weights
    (`after_discriminator_update`) and, through `condition_size`, what the networks are conditioned on.

    One iteration consumes k·a batches of real data (a: accumulation). The last batch of generated
    samples serves both players: detached for the discriminator, with its graph for the generator.
    The losses that a step returns are those of its last batch.

    With `balanced` an iteration has one update, of the player whose loss is larger before it (`balance/…`); the
    discriminator's counts as the mean of its two parts, and terms beside the scores' do not count. After
    `longest_streak` updates in a row it is the other player's turn.
    What else goes with every family is in `ganlab.models.techniques`.
    """

    generates = True
    judges = True
    trained_networks = ("generator", "discriminator")
    losses_compare = False
    """Whether the two players' losses are of one kind, so that the larger one tells who is behind."""
    may_be_relativistic = False
    """Whether the losses make sense of scores beside those of the other kind."""
    generator_sees_real = False
    """Whether the generator's loss compares with real samples."""
    updates_so_far: Tensor
    """Of the discriminator and of the generator, where the updates are balanced."""
    streaks: Tensor
    """Updates in a row, of the same two."""

    def __init__(
        self,
        *,
        generator: Component,
        discriminator: Component,
        discriminator_updates: FewTimes = 1,
        ema_decay: Decay = 0.0,
        balanced: bool = False,
        longest_streak: PositiveInt | None = 5,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.discriminator_updates = discriminator_updates
        self.balanced, self.longest_streak = balanced, longest_streak
        self.generator, self.discriminator = self.build_players(generator, discriminator)
        self.generator_ema = averaged(self.generator, ema_decay)
        self.remember(generator=self.generator, discriminator=self.discriminator)
        self.refuse_coupled_samples(self.discriminator)
        self._refuse_other_than_scores()
        if balanced:
            self.register_buffer("updates_so_far", torch.zeros(2, dtype=torch.int64))
            self.register_buffer("streaks", torch.zeros(2, dtype=torch.int64))

    def prepare_training(self, **decided: Any) -> None:
        """As in the base. Raises `ConfigError` for techniques that this family's losses make no sense of."""
        self._refuse_what_does_not_fit()
        super().prepare_training(**decided)

    # -- what a family says -----------------------------------------------------------------------------------

    def build_players(self, generator: dict[str, Any], discriminator: dict[str, Any]) -> tuple[Any, Any]:
        """The two networks of their checked configurations."""
        return (
            build_network(generator, self.latent_dim, self.condition_size),
            build_network(discriminator, self.condition_size),
        )

    @abstractmethod
    def discriminator_terms(self, real_scores: Tensor, fake_scores: Tensor) -> tuple[Tensor, Tensor]:
        """The discriminator's loss on real and on generated samples, scalars to be added."""

    @abstractmethod
    def generator_term(self, fake_scores: Tensor) -> Tensor:
        """The generator's loss, a scalar."""

    def discriminator_extras(self, given: Round, real: Verdict, fake: Verdict) -> Measurements:
        """Further weighted terms of the discriminator's loss, by tag; none by default."""
        return {}

    def generator_extras(self, given: Round, real: Verdict | None, fake: Verdict) -> Measurements:
        """Further weighted terms of the generator's loss, by tag; `real` is there if `generator_sees_real`."""
        return {}

    def after_discriminator_update(self) -> None:
        """A constraint on the discriminator's weights; none by default."""

    # -- the alternation --------------------------------------------------------------------------------------

    @property
    def update_plan(self) -> UpdatePlan:
        """The discriminator's updates in an iteration."""
        return UpdatePlan(self.discriminator_updates)

    def training_step(self, batch: Any, batch_idx: int) -> Measurements:
        self.begin_iteration()
        parts = self._parts(batch)
        measured = self._train_the_weaker(parts) if self.balanced else self._alternate(parts)
        self.finish_iteration()
        if self.generator_ema is not None and (self.gate is None or self.gate.admitted("generator")):
            self.generator_ema.update(self.generator, self.iteration)
        return measured

    def _alternate(self, parts: list[tuple[Any, ...]]) -> Measurements:
        updates = [parts[first : first + self.accumulate] for first in range(0, len(parts), self.accumulate)]
        measured: Measurements = {}
        for number, update in enumerate(updates, start=1):
            # Kept with its graph for the generator's step, unless accumulation would keep several.
            keep_graph = number == len(updates) and self.accumulate == 1
            trained, given = self._train_discriminator(update, keep_graph)
            measured |= trained
        return measured | self._train_generator(parts, given if self.accumulate == 1 else None)

    def _train_discriminator(
        self, parts: list[tuple[Any, ...]], keep_graph: bool = False
    ) -> tuple[Measurements, Round]:
        measured: Measurements = {}
        for part in parts:
            with torch.set_grad_enabled(keep_graph):
                given = self.answer(*part)
            measured |= self._descend("discriminator", given)
        self._finish_update("discriminator")
        return measured, given

    def _train_generator(self, parts: list[tuple[Any, ...]], given: Round | None = None) -> Measurements:
        measured: Measurements = {}
        self._set_trainable("discriminator", False)
        for part in parts[-self.accumulate :]:
            measured |= self._descend("generator", given or self.answer(*part))
        self._finish_update("generator")
        self._set_trainable("discriminator", True)
        return measured

    def _train_the_weaker(self, parts: list[tuple[Any, ...]]) -> Measurements:
        """One update, of the player whose loss is larger before it; the discriminator's is the mean of its parts."""
        with torch.no_grad():
            losses = torch.stack([self.graphed("both_losses", self.answer(*part)) for part in parts]).mean(0)
        if self._trainer is not None and self.trainer.world_size > 1:
            losses = self.trainer.strategy.reduce(losses, reduce_op="mean")  # type: ignore[assignment]
        weaker = int(losses[1] >= losses[0])
        if self.longest_streak is not None and self.streaks[weaker] >= self.longest_streak:
            weaker = 1 - weaker
        self.streaks[weaker] += 1
        self.streaks[1 - weaker] = 0
        measured = self._train_generator(parts) if weaker == 1 else self._train_discriminator(parts)[0]
        self.updates_so_far[weaker] += 1
        counts = self.updates_so_far.clone()
        for index, player in enumerate(("discriminator", "generator")):
            measured |= {f"balance/{player}": losses[index], f"updates/{player}": counts[index]}
        return measured

    def both_losses(self, given: Round) -> Tensor:
        """The discriminator's loss, as the mean of its two parts, and the generator's: [2], comparable."""
        real = self.observe(self.presented(given.real), given.condition)
        fake = self.observe(self.presented(given.fakes), given.condition)
        on_real, on_fake = self._terms(real.scores, fake.scores)
        return torch.stack([(on_real + on_fake) / 2, self._generator_term(real, fake)])

    def _parts(self, batch: Any) -> list[tuple[Any, ...]]:
        """The batches of an iteration's updates: real samples, their conditions, labelled samples with their labels."""
        count = self.update_plan.at(self.iteration) * self.accumulate
        conditions = self.condition_vectors(batch.conditions)
        labelled: Any = (None,) * count
        if batch.labelled is not None:
            samples, labels, _ = batch.labelled
            labelled = zip(self.laid_out(samples).chunk(count), labels.chunk(count), strict=True)
        return list(
            zip(
                self.laid_out(batch.samples).chunk(count),
                (None,) * count if conditions is None else conditions.chunk(count),
                labelled,
                strict=True,
            )
        )

    def answer(self, real: Tensor, condition: Tensor | None, labelled: Any = None) -> Round:
        """Generated samples in answer to real ones, as many, of the same conditions."""
        latents = self.draw_latents(len(real))
        return Round(real, self.graphed("make", latents, condition), latents, condition, labelled)

    def make(self, latents: Tensor, condition: Tensor | None) -> Tensor:
        """The generator's samples of latents, with their graph."""
        return self.generator(latents, condition)

    def _descend(self, player: Players, given: Round) -> Measurements:
        loss, measured = self.discriminator_loss(given) if player == "discriminator" else self.generator_loss(given)
        self.descend(loss)
        return measured

    def _finish_update(self, player: Players) -> None:
        self.update(player)
        if player == "discriminator":
            self.after_discriminator_update()
        self.extend_history(player)

    # -- the losses -------------------------------------------------------------------------------------------

    def discriminator_loss(self, given: Round) -> tuple[Tensor, Measurements]:
        """The whole loss with its graph, and what is logged of it."""
        said = self.graphed("discriminator_says", given)
        measured = {"loss/discriminator": said.loss.detach()}
        if self.measuring:
            assert said.real is not None
            measured |= said.measured | self.describe(given, said.real, said.fake)
            if self.instance_noise > 0:
                measured["instance_noise/std"] = said.loss.new_tensor(self.instance_noise_std)
        return said.loss, measured

    def discriminator_says(self, given: Round) -> Said:
        """The discriminator's loss, its terms by tag, and the verdicts that it is made of."""
        observe = self.observer(given)
        real_seen, fakes_seen = self.presented(given.real), self.presented(given.fakes.detach())
        real, fake = observe(real_seen, given.condition), observe(fakes_seen, given.condition)
        on_real, on_fake = self._terms(real.scores, fake.scores)
        terms = self.discriminator_extras(given, real, fake) | self.historical_penalty("discriminator")
        observed: Measurements = {}
        if self.penalties.any:
            on_gradients, observed = self.gradient_penalties(real_seen, fakes_seen, given.condition, observe)
            terms = terms | on_gradients
        measured = {"loss/discriminator_real": on_real, "loss/discriminator_fake": on_fake, **terms, **observed}
        return Said(sum(terms.values(), on_real + on_fake), _without_graph(measured), real.detach(), fake.detach())

    def generator_loss(self, given: Round) -> tuple[Tensor, Measurements]:
        """The whole loss with its graph, and what is logged of it."""
        said = self.graphed("generator_says", given)
        measured = {"loss/generator": said.loss.detach()}
        return said.loss, measured | said.measured if self.measuring else measured

    def generator_says(self, given: Round) -> Said:
        """The generator's loss, its further terms by tag, and the verdicts that it is made of."""
        observe = self.observer(given)
        fake = observe(self.presented(given.fakes), given.condition)
        real = None
        if self.generator_sees_real or self.relativistic != "none":
            with torch.no_grad():
                real = observe(self.presented(given.real), given.condition)
        terms = self.generator_extras(given, real, fake) | self.historical_penalty("generator")
        loss = sum(terms.values(), self._generator_term(real, fake))
        return Said(loss, _without_graph(terms), real, fake.detach())

    def observer(self, given: Round) -> Observe:
        """Who judges the samples of a round."""
        return self.observe

    def _terms(self, real_scores: Tensor, fake_scores: Tensor) -> tuple[Tensor, Tensor]:
        """The discriminator's two terms, of relative scores if they are asked for."""
        on_real, on_fake = self.discriminator_terms(*relative_scores(real_scores, fake_scores, self.relativistic))
        # Of paired scores both terms are one and the same (RSGAN has it once).
        return (on_real / 2, on_fake / 2) if self.relativistic == "paired" else (on_real, on_fake)

    def _generator_term(self, real: Verdict | None, fake: Verdict) -> Tensor:
        if self.relativistic == "none":
            return self.generator_term(fake.scores)
        assert real is not None
        # The roles exchanged: generated samples are to look more real than real ones.
        relative = relative_scores(real.scores, fake.scores, self.relativistic)
        on_fake, on_real = self.discriminator_terms(relative[1], relative[0])
        return (on_fake + on_real) / 2 if self.relativistic == "paired" else on_fake + on_real

    @torch.no_grad()
    def describe(self, given: Round, real: Verdict, fake: Verdict) -> Measurements:
        """What is logged of the discriminator's verdicts beside its loss."""
        return self.judge(real.scores, fake.scores)

    def judge(self, real_scores: Tensor, fake_scores: Tensor) -> Measurements:
        """Mean raw scores, and the share that the discriminator calls right (1/2 each at equilibrium)."""
        scores = {"score/real": real_scores.mean(), "score/fake": fake_scores.mean()}
        if self.threshold is None:
            return scores
        return scores | {
            "accuracy/discriminator_real": (real_scores > self.threshold).float().mean(),
            "accuracy/discriminator_fake": (fake_scores <= self.threshold).float().mean(),
        }

    def observe(self, samples: Tensor, condition: Tensor | None) -> Verdict:
        """What the discriminator says of samples as they are."""
        said = self.discriminator(samples, condition)
        return said if isinstance(said, Verdict) else Verdict(said)

    def _refuse_what_does_not_fit(self) -> None:
        if self.relativistic != "none" and not self.may_be_relativistic:
            raise ConfigError(
                f"model.relativistic={self.relativistic}: the losses of model={self.name} (or this choice of them) "
                "make no sense of relative scores; they go with model=lsgan, and with the non-saturating and the hinge "
                "loss of gan, dcgan, cgan, acgan, infogan and lapgan, without label smoothing"
            )
        if not self.balanced:
            return
        if not self.losses_compare or self.relativistic != "none":
            raise ConfigError(
                f"model.balanced=true: the two losses of model={self.name} (or this choice of them) do not compare; "
                "they do in model=lsgan, and with model.loss=non_saturating in gan, dcgan, cgan, acgan and infogan"
            )
        if self.discriminator_updates > 1:
            raise ConfigError(
                f"model.discriminator_updates={self.discriminator_updates}: with model.balanced=true the losses decide "
                "who is trained, one update an iteration; set model.discriminator_updates=1"
            )

    def _refuse_other_than_scores(self) -> None:
        """Losses of scores [n, 1] beside [n] would broadcast, and of probabilities they would be of another game."""
        condition = torch.zeros(2, self.condition_size) if self.condition_size else None
        with evaluating(self.discriminator):
            scores = self.observe(torch.zeros(2, *self.sample_shape), condition).scores
        squashed = squashed_by(scores)
        if squashed is not None:
            raise ConfigError(
                f"model.discriminator: it ends in a {squashed}, and the losses take raw scores; leave that layer out"
            )
        if scores.shape != (2,):
            raise ConfigError(
                f"model.discriminator: it makes scores of shape {list(scores.shape)} of 2 samples, and there must be "
                "one number a sample, [2]; squeeze its output"
            )

    # -- sampling ---------------------------------------------------------------------------------------------

    @property
    def weights_sampled(self) -> Literal["last", "averaged"]:
        return "last" if self.generator_ema is None else "averaged"

    @torch.no_grad()
    def decode(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        """Latents [n, latent_dim] to samples [n, *sample_shape], by the averaged generator if there is one."""
        return self.decode_with_graph(latents, condition)

    def decode_with_graph(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        """As `decode`, differentiable in the latents."""
        network = self.generator if self.generator_ema is None else self.generator_ema.network
        return self._generated(network, latents, condition)

    @torch.no_grad()
    def decode_last(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        """As `decode`, by the generator's last weights: those that the discriminator is trained against."""
        return self._generated(self.generator, latents, condition)

    def _generated(self, network: torch.nn.Module, latents: Tensor, condition: Tensor | None) -> Tensor:
        with evaluating(network):
            return network(latents.to(self.dtype), self.condition_vectors(condition))

    @torch.no_grad()
    def score(self, samples: Tensor, condition: Tensor | None = None) -> Tensor:
        """Raw discriminator scores [n] of samples [n, *sample_shape]."""
        return self._scored(samples, condition)

    def _scored(self, samples: Tensor, condition: Tensor | None) -> Tensor:
        with evaluating(self.discriminator):
            return self.observe(samples.to(self.dtype), self.condition_vectors(condition)).scores

    def realism_losses(self, samples: Tensor, condition: Tensor | None = None) -> Tensor:
        """The generator's loss of each sample by itself, [n], differentiable in the samples; further terms left out.

        Relativistic scores are no score of one sample: there it is minus the raw score.
        """
        scores = self._scored(samples, condition)
        return -scores if self.relativistic != "none" else torch.vmap(self.generator_term)(scores.unsqueeze(1))

    @torch.no_grad()
    def classify(self, samples: Tensor) -> Tensor:
        """What the discriminator's other head answers, [n, num_classes], of samples [n, *sample_shape]."""
        if not self.classifies:
            return super().classify(samples)
        with evaluating(self.discriminator):
            answers = self.observe(samples.to(self.dtype), None).answers
        assert answers is not None
        return answers


def _without_graph(measured: Measurements) -> Measurements:
    return {tag: value.detach() for tag, value in measured.items()}
