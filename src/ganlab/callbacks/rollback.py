"""Goes back to the last good checkpoint when a loss is no longer a finite number, and on from there more slowly."""

from typing import Any

import torch
from lightning import Trainer

from ganlab.callbacks.finite import FiniteGuard, NotFinite
from ganlab.callbacks.skipping import STATE
from ganlab.callbacks.telling import warn

LOOK = 50
"""Iterations between two readings of the losses; not `trainer.log_every`, for what is logged changes no weight."""


class RollingBackGuard(FiniteGuard):
    """Weights, averages and optimizers become those of the last checkpoint by `trainer.checkpoint_every` (or of the
    run's beginning), and all learning rates are multiplied by `factor`. After `most` times the run ends.

    The count of iterations does not go back: the next iterations have data and noise that the failed ones did not have,
    and checkpoints, pictures and logs stay in order; the iterations in between are lost.

    Losses are read every 50 iterations and at those checkpoints. A checkpoint that is wanted in between (by a
    signal, or for the best score) is not written if something is not finite by then: a run that goes on from the
    checkpoint before comes to the same place, and does there what one does that was never stopped.
    """

    saves_beginning = True

    def __init__(self, every: int, *, factor: float, most: int) -> None:
        super().__init__(every)
        self.factor = factor
        self.most = most
        self.times = 0

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        if self.anchor is None and pl_module.iteration:
            self.anchor = pl_module.iteration  # of a run that has begun without this guard

    def due(self, model: Any) -> bool:
        return model.iteration % LOOK == 0 or self.checkpoints.due(model)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        # Weights may be spoiled before a loss shows it: they must not become the state to go back to.
        if self.checkpoints.due(pl_module):
            fault = self.fault(trainer, pl_module)
            if fault is not None:
                self.answer(trainer, pl_module, fault)

    def answer(self, trainer: Trainer, model: Any, fault: NotFinite) -> None:
        if self.times >= self.most:
            before = f"it was rolled back {self.times} times before (callbacks.most_roll_backs)"
            raise NotFinite(f"{fault}; {before}", fault.remedy)
        path = None if self.anchor is None else self.checkpoints.path(self.anchor)
        if path is None or not path.is_file():
            raise NotFinite(f"{fault}; there is no checkpoint to roll back to", fault.remedy)
        self.times += 1
        _restore(trainer, model, trainer.strategy.load_checkpoint(path), self.factor)
        back = f"rolled back to the state of iteration {self.anchor}, learning rates times {self.factor:g}"
        warn(trainer, f"{fault}: {back}, after iteration {model.iteration} ({self.times} of {self.most} times)")
        for logger in trainer.loggers:
            logger.log_metrics({"guard/rolled_back": float(self.times)}, step=model.iteration)

    def allows_saving(self, trainer: Trainer, model: Any) -> bool:
        unread = list(self._unread)
        bad = self.fault(trainer, model) is not None
        self._unread = unread  # to be answered where a run that saves nothing now would answer it
        if not bad and (model.iteration == 0 or self.checkpoints.due(model)):
            self.anchor = model.iteration
        return not bad

    def on_save_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint[STATE] = {"rolled_back": self.times, "anchor": self.anchor}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        state = checkpoint.get(STATE, {})
        self.times, self.anchor = int(state.get("rolled_back", 0)), state.get("anchor")


def _restore(trainer: Any, model: Any, saved: dict[str, Any], factor: float) -> None:
    """The state of a checkpoint, with the learning rates of now times `factor`."""
    model.load_state_dict(saved["state_dict"])
    for optimizer, state in zip(trainer.optimizers, saved["optimizer_states"], strict=True):
        rates = [{key: group[key] for key in ("lr", "initial_lr") if key in group} for group in optimizer.param_groups]
        optimizer.load_state_dict(state)
        for group, kept in zip(optimizer.param_groups, rates, strict=True):
            group.update({key: rate * factor for key, rate in kept.items()})
    for config in trainer.lr_scheduler_configs:
        config.scheduler.base_lrs = [rate * factor for rate in config.scheduler.base_lrs]
    if torch.is_autocast_enabled(model.device.type):
        torch.clear_autocast_cache()
