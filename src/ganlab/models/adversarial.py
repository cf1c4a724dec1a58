"""The alternation of the two players; what each of them minimises is a family's own."""

from abc import abstractmethod
from typing import Any, Literal

import torch
from torch import Tensor

from ganlab.config.types import Component, Decay, NonNegativeFloat, PositiveInt
from ganlab.models.base import GenerativeModel, Measurements, averaged, build_network
from ganlab.objectives.penalties import centred_penalty, gradient_norms, mixtures, zero_centred_penalty


class AdversarialModel(GenerativeModel):
    """Algorithm 1 of Goodfellow et al. 2014: k discriminator updates, then one of the generator.

    A family says how scores become losses (`discriminator_terms`, `generator_term`), what else
    constrains the discriminator (`discriminator_penalties`, `after_discriminator_update`) and,
    through `condition_size`, what the networks are conditioned on.

    One iteration consumes k·a batches of real data (a: accumulation). The last batch of generated
    samples serves both players: detached for the discriminator, with its graph for the generator.
    The losses that a step returns are those of its last batch.

    Penalties on the discriminator's gradient go with every family: `gradient_penalty` times
    E[(‖∇D‖ - gradient_centre)²] between real and generated samples, `r1` and `r2` times E[‖∇D‖²] / 2 at them.
    """

    generates = True
    trained_networks = ("generator", "discriminator")
    threshold: float | None = 0.0
    """Score above which the discriminator calls a sample real; None for a critic, whose scores have no zero."""

    def __init__(
        self,
        *,
        generator: Component,
        discriminator: Component,
        discriminator_updates: PositiveInt = 1,
        ema_decay: Decay = 0.0,
        gradient_penalty: NonNegativeFloat = 0.0,
        gradient_centre: Literal[0, 1] = 1,
        r1: NonNegativeFloat = 0.0,
        r2: NonNegativeFloat = 0.0,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.discriminator_updates = discriminator_updates
        self.gradient_penalty, self.gradient_centre = gradient_penalty, gradient_centre
        self.r1, self.r2 = r1, r2
        self.generator = build_network(generator, self.latent_dim, self.condition_size)
        self.discriminator = build_network(discriminator, self.condition_size)
        self.generator_ema = averaged(self.generator, ema_decay)

    # -- what a family says -----------------------------------------------------------------------------------

    @abstractmethod
    def discriminator_terms(self, real_scores: Tensor, fake_scores: Tensor) -> tuple[Tensor, Tensor]:
        """The discriminator's loss on real and on generated samples, scalars to be added."""

    @abstractmethod
    def generator_term(self, fake_scores: Tensor) -> Tensor:
        """The generator's loss, a scalar."""

    def discriminator_penalties(self, real: Tensor, fakes: Tensor, conditions: Tensor | None) -> Measurements:
        """Weighted terms added to the discriminator's loss, by tag; none by default."""
        return {}

    def after_discriminator_update(self) -> None:
        """A constraint on the discriminator's weights; none by default."""

    # -- the alternation --------------------------------------------------------------------------------------

    @property
    def batches_per_iteration(self) -> int:
        return self.discriminator_updates * self.accumulate

    def training_step(self, batch: Any, batch_idx: int) -> Measurements:
        self.begin_iteration()
        samples, conditions = self._batches(batch)
        measured: Measurements = {}

        for update in range(self.discriminator_updates):
            last = update == self.discriminator_updates - 1
            for index in range(update * self.accumulate, (update + 1) * self.accumulate):
                real, condition = samples[index], conditions[index]
                # Kept with its graph for the generator's step, unless accumulation would keep several.
                with torch.set_grad_enabled(last and self.accumulate == 1):
                    fakes = self.generator(self.draw_latents(len(real)), condition)
                measured |= self._discriminator_backward(real, fakes.detach(), condition)
            self.update("discriminator")
            self.after_discriminator_update()

        self._set_trainable("discriminator", False)
        for index in range(-self.accumulate, 0):
            condition = conditions[index]
            if self.accumulate > 1:
                fakes = self.generator(self.draw_latents(len(samples[index])), condition)
            measured |= self._generator_backward(fakes, condition)
        self.update("generator")
        self._set_trainable("discriminator", True)

        self.finish_iteration()
        if self.generator_ema is not None:
            self.generator_ema.update(self.generator, self.iteration)
        return measured

    def _batches(self, batch: Any) -> tuple[tuple[Tensor, ...], tuple[Tensor | None, ...]]:
        samples = batch.samples
        if self.channels_last:
            samples = samples.contiguous(memory_format=torch.channels_last)
        conditions = self.condition_vectors(batch.conditions)
        count = self.batches_per_iteration
        if conditions is None:
            return samples.chunk(count), (None,) * count
        return samples.chunk(count), conditions.chunk(count)

    def _discriminator_backward(self, real: Tensor, fakes: Tensor, condition: Tensor | None) -> Measurements:
        real_scores = self.discriminator(real, condition)
        fake_scores = self.discriminator(fakes, condition)
        on_real, on_fake = self.discriminator_terms(real_scores, fake_scores)
        penalties = self.discriminator_penalties(real, fakes, condition)
        observed: Measurements = {}
        if self.penalises_gradients:
            on_gradients, observed = self._gradient_penalties(real, fakes, condition)
            penalties = penalties | on_gradients
        loss = sum(penalties.values(), on_real + on_fake)
        self.descend(loss)
        measured = {"loss/discriminator": loss.detach()}
        if self.measuring:
            measured |= {
                "loss/discriminator_real": on_real.detach(),
                "loss/discriminator_fake": on_fake.detach(),
                **{tag: penalty.detach() for tag, penalty in penalties.items()},
                **observed,
                **self.judge(real_scores.detach(), fake_scores.detach()),
            }
        return measured

    def _generator_backward(self, fakes: Tensor, condition: Tensor | None) -> Measurements:
        loss = self.generator_term(self.discriminator(fakes, condition))
        self.descend(loss)
        return {"loss/generator": loss.detach()}

    def judge(self, real_scores: Tensor, fake_scores: Tensor) -> Measurements:
        """Mean raw scores, and the share that the discriminator calls right (1/2 each at equilibrium)."""
        scores = {"score/real": real_scores.mean(), "score/fake": fake_scores.mean()}
        if self.threshold is None:
            return scores
        return scores | {
            "accuracy/discriminator_real": (real_scores > self.threshold).float().mean(),
            "accuracy/discriminator_fake": (fake_scores <= self.threshold).float().mean(),
        }

    # -- penalties on the discriminator's gradient ------------------------------------------------------------

    @property
    def penalises_gradients(self) -> bool:
        return max(self.gradient_penalty, self.r1, self.r2) > 0

    def _gradient_penalties(
        self, real: Tensor, fakes: Tensor, condition: Tensor | None
    ) -> tuple[Measurements, Measurements]:
        """The weighted penalties, and what they tell besides. In full precision: they are squares of small numbers."""
        penalties: Measurements = {}
        observed: Measurements = {}

        def score(samples: Tensor) -> Tensor:
            return self.discriminator(samples, condition)

        with torch.autocast(self.device.type, enabled=False):
            real, fakes = real.to(self.dtype), fakes.to(self.dtype)
            if self.gradient_penalty > 0:
                norms = gradient_norms(score, mixtures(real, fakes, self._draw_shares(len(real))))
                penalties["penalty/gradient"] = self.gradient_penalty * centred_penalty(norms, self.gradient_centre)
                observed["grad_norm/critic_mean"] = norms.detach().mean()
            if self.r1 > 0:
                penalties["penalty/r1"] = self.r1 * zero_centred_penalty(score, real)
            if self.r2 > 0:
                penalties["penalty/r2"] = self.r2 * zero_centred_penalty(score, fakes)
        return penalties, observed

    def _draw_shares(self, count: int) -> Tensor:
        """This rank's part of the global batch's mixing shares: [count], uniform on [0, 1]."""
        world = self.trainer.world_size if self._trainer is not None else 1
        shares = torch.rand(count * world, generator=self._noise, device=self.device, dtype=torch.float32)
        return shares[self.global_rank * count : (self.global_rank + 1) * count].to(self.dtype)

    def compile_networks(self) -> None:
        """As in the base; but compiled code has no second derivatives, and penalties on gradients need them."""
        if self.penalises_gradients:
            self.generator.compile()
        else:
            super().compile_networks()

    # -- sampling ---------------------------------------------------------------------------------------------

    @property
    def weights_sampled(self) -> Literal["last", "averaged"]:
        return "last" if self.generator_ema is None else "averaged"

    @torch.no_grad()
    def decode(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        """Latents [n, latent_dim] to samples [n, *sample_shape], by the averaged generator if there is one."""
        network = self.generator if self.generator_ema is None else self.generator_ema.network
        with evaluating(network):
            return network(latents.to(self.dtype), self.condition_vectors(condition))

    @torch.no_grad()
    def score(self, samples: Tensor, condition: Tensor | None = None) -> Tensor:
        """Raw discriminator scores [n] of samples [n, *sample_shape]."""
        with evaluating(self.discriminator):
            return self.discriminator(samples.to(self.dtype), self.condition_vectors(condition))


class evaluating:
    """A network in eval mode for a while; afterwards each of its modules is as it was."""

    def __init__(self, network: torch.nn.Module) -> None:
        self._modes = [(module, module.training) for module in network.modules()]
        self._network = network

    def __enter__(self) -> None:
        self._network.eval()

    def __exit__(self, *error: object) -> None:
        for module, mode in self._modes:
            module.training = mode
