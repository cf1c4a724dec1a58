"""The two players of an adversarial model moved by hand: one may train alone, and another network take its place."""

import copy
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.claims.composing import settings_of
from ganlab.models.base import averaged, derived_seed
from ganlab.tasks.building import build_model
from ganlab.tasks.devices import choose_threads

Draw = Callable[[int, torch.Generator], Tensor]
"""A count, and what to draw by, to real samples [count, *sample_shape]."""


def built(seed: int, *overrides: str, **networks: nn.Module) -> Any:
    """The model that the command line would train with these overrides, ready to be trained on the CPU.

    `networks` (generator=…, discriminator=…) take the place of its own.
    """
    settings = {**copy.deepcopy(_settings(overrides)), "seed": seed}
    model: Any = build_model(settings)
    for name, network in networks.items():
        setattr(model, name, network)
    model.generator_ema = averaged(model.generator, settings["model"]["ema_decay"])
    model.prepare_training(
        optimizers=settings["optimizer"], seed=seed, max_iterations=settings["trainer"]["max_iterations"]
    )
    torch.set_num_threads(choose_threads("auto", model, 1))
    return model


@lru_cache
def _settings(overrides: tuple[str, ...]) -> dict[str, Any]:
    """Composed once for all seeds: that takes longer than a short training of a tiny network."""
    return settings_of(overrides)


class Game:
    """Updates by the model's own losses, noise and optimizers, each on `rows` real samples from `draw`.

    The model's randomness is a function of its seed and iteration, as in a run; real samples follow from its seed.
    """

    def __init__(self, model: Any, draw: Draw, rows: int) -> None:
        self.model, self.draw, self.rows = model, draw, rows
        self.random = torch.Generator().manual_seed(derived_seed("real samples", model.seed))
        configured = model.configure_optimizers()
        self._optimizers = {
            name: entry["optimizer"] for name, entry in zip(model.trained_networks, configured, strict=True)
        }
        # What is logged of a loss costs as much as the loss.
        model.measuring = False

    def train_discriminator(self, updates: int) -> None:
        """So many updates of the discriminator alone, an iteration each: the generator stays as it is."""
        for _ in range(updates):
            self.model.begin_iteration()
            with torch.no_grad():
                given = self._round()
            self._descend("discriminator", given)
            self.model.finish_iteration()

    def train(self, iterations: int) -> None:
        """So many iterations of both: the discriminator's updates, then one of the generator."""
        model = self.model
        for _ in range(iterations):
            model.begin_iteration()
            for _ in range(model.discriminator_updates):
                given = self._round()
                self._descend("discriminator", given)
            self._descend("generator", given)
            model.finish_iteration()
            if model.generator_ema is not None:
                model.generator_ema.update(model.generator, model.iteration)

    def _round(self) -> Any:
        return self.model.answer(self.model.laid_out(self.draw(self.rows, self.random)), None)

    def _descend(self, player: str, given: Any) -> None:
        loss, _ = getattr(self.model, f"{player}_loss")(given)
        optimizer = self._optimizers[player]
        optimizer.zero_grad()
        loss.backward(inputs=self.model.parameters_of(player))
        optimizer.step()
        if player == "discriminator":
            self.model.after_discriminator_update()
