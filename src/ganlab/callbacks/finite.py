"""Stops a run whose losses or weights are no longer finite numbers, and says where it began."""

from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor

from ganlab.errors import TrainingError


class FiniteGuard(Callback):
    """Remembers the losses of every iteration on the device and reads them together, every `every` iterations.

    `verify` is also to be called before anything is written that must be good (a checkpoint).
    """

    def __init__(self, every: int) -> None:
        self.every = every
        self._unread: list[tuple[int, str, Tensor]] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        iteration = pl_module.iteration
        self._unread += [(iteration, tag, value) for tag, value in outputs.items() if tag.startswith("loss/")]
        if iteration % self.every == 0:
            self.verify_losses(trainer)

    def verify_losses(self, trainer: Trainer) -> None:
        """Raise `TrainingError` on every rank if any rank has seen a loss that is NaN or infinite."""
        unread, self._unread = self._unread, []
        if not unread:
            return
        finite = torch.stack([value.float() for _, _, value in unread]).isfinite()
        bad = [(iteration, tag) for (iteration, tag, _), good in zip(unread, finite.tolist(), strict=True) if not good]
        if trainer.strategy.reduce_boolean_decision(bool(bad), all=False):
            where = (
                f"{bad[0][1]} is not a finite number at iteration {bad[0][0]}"
                if bad
                else "a loss of another process is not finite"
            )
            raise TrainingError(where)

    def verify(self, trainer: Trainer, pl_module: Any) -> None:
        """Like `verify_losses`, and the weights too."""
        self.verify_losses(trainer)
        bad = [name for name, weight in pl_module.state_dict().items() if not bool(weight.isfinite().all())]
        if trainer.strategy.reduce_boolean_decision(bool(bad), all=False):
            name = bad[0] if bad else "of another process"
            raise TrainingError(f"the weight {name} is not a finite number after iteration {pl_module.iteration}")
