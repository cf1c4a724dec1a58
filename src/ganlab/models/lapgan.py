"""Deep generative image models using a Laplacian pyramid of adversarial networks, Denton et al. 2015."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ganlab.config.types import Component, PyramidLevels, PyramidShape
from ganlab.errors import ConfigError
from ganlab.models.adversarial import Observe, Players, Round
from ganlab.models.averaging import WeightAverage
from ganlab.models.base import Measurements
from ganlab.models.evaluating import evaluating
from ganlab.models.gan import GAN
from ganlab.networks.pyramid import bands_of
from ganlab.networks.verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class LevelRound(Round):
    """A level's game: real and generated residuals of the same low-pass images; images at the coarsest level."""

    level: int
    low_pass: Tensor | None


@dataclass(frozen=True, kw_only=True)
class PyramidRound(Round):
    """The games of all levels that are trained; `real` and `fakes` are those of the first of them."""

    games: tuple[LevelRound, ...]


def level_in_turn(iteration: int, max_iterations: int, levels: int) -> tuple[int, int]:
    """Whose turn it is at an iteration (from 0), coarsest level first, and the iteration that began the turn."""
    turn = min(iteration * levels // max_iterations, levels - 1)
    return levels - 1 - turn, -(-turn * max_iterations // levels)


class LAPGAN(GAN):
    """A GAN a level: at the coarsest of whole images, at each finer level k of residuals, given the low-pass image
    l_k (figure 2). In training l_k comes from the real image, so no level waits for another; in sampling, from
    the coarser levels' image (figure 1). One level is a plain GAN.

    `train_levels`: "together" makes every iteration train all levels, their losses added (the gradients are each
    level's own); "in_turn" cuts the run into a phase a level, coarsest first, in which nothing of the others moves.
    A learning-rate schedule spans the whole run in either case; a run that is resumed with more iterations has its
    phases anew, of the longer run.

    Level 0 is the finest, as in the paper: `loss/generator_level_0`. Losses and scores without a level are sums over
    the levels that are trained, other values their means. Relativistic scores, instance noise and penalties on
    gradients (with respect to the residual) work at each level.
    """

    def __init__(
        self,
        *,
        sample_shape: PyramidShape,
        levels: PyramidLevels,
        train_levels: Literal["together", "in_turn"] = "together",
        generator: Component,
        discriminator: Component,
        **common: Any,
    ) -> None:
        generator, discriminator = ({**node, "levels": levels} for node in (generator, discriminator))
        super().__init__(sample_shape=sample_shape, generator=generator, discriminator=discriminator, **common)
        self.levels, self.train_levels = levels, train_levels
        if self.in_turn and self.generator_ema is not None:
            self.generator_ema = AverageInTurn(self.generator, self.generator_ema.decay, self.turn)
        self._refuse_what_needs_one_level()

    @property
    def in_turn(self) -> bool:
        return self.train_levels == "in_turn" and self.levels > 1

    def turn(self, iteration: int) -> tuple[int, int]:
        """`level_in_turn` of this run."""
        return level_in_turn(iteration, self.max_iterations, self.levels)

    @property
    def trained_levels(self) -> Iterable[int]:
        """Levels that this iteration trains."""
        return [self.turn(self.iteration)[0]] if self.in_turn else range(self.levels)

    # -- the games --------------------------------------------------------------------------------------------

    def answer(self, real: Tensor, condition: Tensor | None, labelled: Any = None) -> Round:
        """Of each level that is trained: the real residuals, and generated ones of the same low-pass images."""
        if self.levels == 1:
            return super().answer(real, condition, labelled)
        bands = bands_of(real, self.levels)
        latents = self.draw_latents(len(real))
        parts = self.generator.parts(latents)
        games = []
        for level in self.trained_levels:
            residuals, low_pass = bands[level]
            fakes = self.graphed("make_level", level, parts[level], low_pass, condition)
            games.append(LevelRound(residuals, fakes, parts[level], condition, level=level, low_pass=low_pass))
        return PyramidRound(games[0].real, games[0].fakes, latents, condition, labelled, games=tuple(games))

    def make_level(self, level: int, latents: Tensor, low_pass: Tensor | None, condition: Tensor | None) -> Tensor:
        """A level's generated residuals of low-pass images, or images, with their graph."""
        return self.generator.make(level, latents, low_pass, condition)

    def discriminator_loss(self, given: Round) -> tuple[Tensor, Measurements]:
        """The sum of the trained levels' losses, and what is logged of them."""
        if not isinstance(given, PyramidRound):
            return super().discriminator_loss(given)
        losses = [super(LAPGAN, self).discriminator_loss(game) for game in given.games]
        return self._joined("discriminator", given, losses)

    def generator_loss(self, given: Round) -> tuple[Tensor, Measurements]:
        """The sum of the trained levels' losses, and what is logged of them."""
        if not isinstance(given, PyramidRound):
            return super().generator_loss(given)
        losses = [super(LAPGAN, self).generator_loss(game) for game in given.games]
        return self._joined("generator", given, losses)

    def observer(self, given: Round) -> Observe:
        """A level's discriminator, with the low-pass images that its residuals belong to."""
        if not isinstance(given, LevelRound):
            return super().observer(given)
        level, low_pass = given.level, given.low_pass

        def observe(residuals: Tensor, condition: Tensor | None) -> Verdict:
            return Verdict(self.discriminator.judge(level, residuals, low_pass, condition))

        return observe

    def _joined(
        self, player: Players, given: PyramidRound, losses: list[tuple[Tensor, Measurements]]
    ) -> tuple[Tensor, Measurements]:
        measured: Measurements = {}
        for tag in losses[0][1]:
            values = torch.stack([of_level[tag] for _, of_level in losses])
            measured[tag] = values.sum() if tag.startswith(("loss/", "penalty/", "score/")) else values.mean()
        if self.measuring:
            for game, (loss, _) in zip(given.games, losses, strict=True):
                measured[f"loss/{player}_level_{game.level}"] = loss.detach()
        return torch.stack([loss for loss, _ in losses]).sum(), measured

    # -- set up and sampling ----------------------------------------------------------------------------------

    def prepare_training(self, **decided: Any) -> None:
        """As in the base. Raises `ConfigError` for a run that is too short for a turn of every level."""
        super().prepare_training(**decided)
        if self.in_turn and self.max_iterations < self.levels:
            raise ConfigError(
                f"trainer.max_iterations={self.max_iterations}: {self.levels} levels in turn "
                f"need at least {self.levels} iterations"
            )

    @torch.no_grad()
    def stages(self, latents: Tensor, condition: Tensor | None = None) -> list[Tensor]:
        """The images of every level, [n, channels, s, s] in [-1, 1], coarsest first; the last are `decode`'s."""
        network: Any = self.generator if self.generator_ema is None else self.generator_ema.network
        with evaluating(network):
            return network.stages(latents.to(self.dtype), self.condition_vectors(condition))

    def _refuse_what_needs_one_level(self) -> None:
        if self.levels == 1:
            return
        whole = {
            "augment": (self.augment, "[]", "it would move a residual without the low-pass image that it belongs to"),
            "historical_averaging": (self.historical_averaging, "0", "it would move levels that are not trained"),
            "balanced": (self.balanced, "false", "every level has two losses of its own to compare"),
        }
        for name, (value, off, reason) in whole.items():
            if value:
                raise ConfigError(f"model.{name}={value}: {reason}; set model.{name}={off} or model.levels=1")


class AverageInTurn(WeightAverage):
    """The average of a generator whose levels are trained in turn: it follows the level whose turn it is, counted
    from the turn's first iteration. The other levels' averages stay, instead of running on to their last weights."""

    def __init__(self, network: nn.Module, decay: float, turn: Callable[[int], tuple[int, int]]) -> None:
        super().__init__(network, decay)
        self.turn = turn

    @torch.no_grad()
    def update(self, network: Any, iteration: int) -> None:
        level, first = self.turn(iteration - 1)
        finished = iteration - first
        decay = min(self.decay, (1 + finished) / (10 + finished))
        average: Any = self.network
        averages = average.levels[level].state_dict()
        for name, weight in network.levels[level].state_dict().items():
            if weight.is_floating_point():
                averages[name].lerp_(weight, 1 - decay)
            else:
                averages[name].copy_(weight)
