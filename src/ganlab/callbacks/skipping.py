"""Leaves out the updates whose loss or gradient is not a finite number."""

from typing import Any

import torch
from lightning import Trainer
from torch import Tensor

from ganlab.callbacks.finite import FiniteGuard, NotFinite, agreed, fault_at, said_of
from ganlab.callbacks.telling import warn

STATE = "not_finite"


class SkippingGuard(FiniteGuard):
    """Judges each update before it is taken: its losses, and the norm of its network's gradient.

    Of an update that is refused neither the weights move, nor what the optimizer keeps, nor the weights' average;
    buffers that the batch has spoiled (batch norm's statistics) are what they were before the iteration.
    `guard/skipped` counts such updates. After more than `most` iterations in a row with one the run ends.

    Each update waits for the device once, and several processes agree at each: that is the price. With 16-mixed the
    scaler leaves out updates with a gradient that is not finite, as a part of its work: here only losses are judged.
    """

    def __init__(self, every: int, most: int) -> None:
        super().__init__(every)
        self.most = most
        self.skipped = 0
        self.in_a_row = 0
        self._shown: list[Tensor] = []
        self._refused: dict[str, tuple[int, str] | None] = {}
        """Networks, with what this process has seen of them and its place; None: nothing, another process has."""
        self._told = False
        self._buffers: list[Tensor] = []
        self._before: list[Tensor] = []
        self._model: Any = None
        self._trainer: Any = None

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        self._trainer, self._model = trainer, pl_module
        self._buffers = [buffer for buffer in pl_module.buffers() if buffer.is_floating_point()]
        self._before = [buffer.clone() for buffer in self._buffers]
        pl_module.gate = self

    # -- what the model asks ------------------------------------------------------------------------------------

    def show(self, loss: Tensor) -> None:
        """A loss whose gradient belongs to the next update."""
        self._shown.append(loss.detach())

    def admits(self, network: str) -> bool:
        """Whether the update of a network is taken; all processes say the same."""
        model = self._model
        losses, self._shown = self._shown, []
        gradients = {} if model.gradient_scaling else _gradients(model, network)
        judged = [*losses, torch.nn.utils.get_total_norm(list(gradients.values()))] if gradients else losses
        finite = bool(torch.stack([value.isfinite() for value in judged]).all()) if judged else True
        if not self._trainer.strategy.reduce_boolean_decision(not finite, all=False):
            return True
        self.skipped += 1
        self._refused.setdefault(network, None if finite else _said(network, losses, gradients))
        return False

    def admitted(self, network: str) -> bool:
        """Whether no update of a network was refused in this iteration."""
        return network not in self._refused

    # -- after the iteration ------------------------------------------------------------------------------------

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        refused, self._refused = self._refused, {}
        if refused:
            self._restore_buffers()
            said = next(iter(refused.values()))
            iteration = pl_module.iteration
            fault = agreed(trainer, said and fault_at(trainer, said[1], iteration, since=iteration, place=said[0]))
            self._count(trainer, fault or NotFinite(f"an update is not finite at iteration {iteration}"))
        else:
            self.in_a_row = 0
            if self._buffers:
                torch._foreach_copy_(self._before, self._buffers)
        if pl_module.iteration % self.every == 0:
            for logger in trainer.loggers:
                logger.log_metrics({"guard/skipped": float(self.skipped)}, step=pl_module.iteration)

    def _restore_buffers(self) -> None:
        for buffer, before in zip(self._buffers, self._before, strict=True):
            if not bool(buffer.isfinite().all()):
                buffer.copy_(before)

    def _count(self, trainer: Any, fault: NotFinite) -> None:
        self.in_a_row += 1
        if self.in_a_row > self.most:
            raise NotFinite(
                f"{fault}; {self.most} iterations before it were skipped (callbacks.most_skipped)", fault.remedy
            )
        warn(trainer, f"{fault}: the update is skipped", shown=not self._told)
        self._told = True

    def on_save_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint[STATE] = {"skipped": self.skipped, "in_a_row": self.in_a_row}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        state = checkpoint.get(STATE, {})
        self.skipped, self.in_a_row = int(state.get("skipped", 0)), int(state.get("in_a_row", 0))


def _gradients(model: Any, network: str) -> dict[str, Tensor]:
    named = model.network(network).named_parameters()
    return {name: parameter.grad for name, parameter in named if parameter.grad is not None}


def _said(network: str, losses: list[Tensor], gradients: dict[str, Tensor]) -> tuple[int, str]:
    """Which loss or gradient is no finite number, and its place: gradients are the mean of all processes' by now."""
    for loss in losses:
        if not bool(loss.isfinite()):
            return 0, said_of(f"loss/{network}", float(loss))
    for name, gradient in gradients.items():
        bad = gradient[~gradient.isfinite()]
        if bad.numel():
            return 1, said_of(f"the gradient of {network}'s {name}", float(bad[0]))
    return 1, said_of(f"the norm of {network}'s gradient", float("inf"))
