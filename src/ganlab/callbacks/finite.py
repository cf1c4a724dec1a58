"""Judges whether losses and weights are finite numbers, says where they began not to be, and ends the run."""

from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor

from ganlab.callbacks.batches import batch_of, data_fault
from ganlab.errors import TrainingError

SLOWER = "try a lower learning rate"


class NotFinite(TrainingError):
    """A loss, gradient, weight or sample that is not a finite number; `remedy` says what to do about it.

    `place`: how early it comes among what several processes have found, for what one of them begins all soon have.
    """

    def __init__(self, line: str, remedy: str = SLOWER, place: int = 0) -> None:
        super().__init__(line)
        self.remedy = remedy
        self.place = place


class FiniteGuard(Callback):
    """Remembers the losses of every iteration on the device and reads them together, every `every` iterations.

    What it finds ends the run. The batches that came before are looked through only then: they follow from the
    iteration, and data that are no numbers are told as such and not as a loss.

    `Checkpoints` asks it before anything is written that must be good.
    """

    checkpoints: Any = None
    """Set by `Checkpoints`, which has this guard."""
    anchor: int | None = None
    """The iteration whose checkpoint must stay, however many newer ones there are."""
    saves_beginning = False
    """Whether a checkpoint is needed before the first iteration."""

    def __init__(self, every: int) -> None:
        self.every = every
        self._unread: list[tuple[int, str, Tensor]] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        iteration = pl_module.iteration
        self._unread += [(iteration, tag, value) for tag, value in outputs.items() if tag.startswith("loss/")]
        if self.due(pl_module):
            fault = self.fault_of_losses(trainer)
            if fault is not None:
                self.answer(trainer, pl_module, fault)

    def due(self, model: Any) -> bool:
        """Whether the losses are read after this iteration."""
        return model.iteration % self.every == 0

    def answer(self, trainer: Trainer, model: Any, fault: NotFinite) -> None:
        """What follows from a fault, on all processes together."""
        raise fault

    def allows_saving(self, trainer: Trainer, model: Any) -> bool:
        """Whether a checkpoint of now would be a good one; raises `NotFinite` if it would not be."""
        fault = self.fault(trainer, model)
        if fault is not None:
            raise fault
        return True

    def fault(self, trainer: Trainer, model: Any) -> NotFinite | None:
        """What is wrong with the losses that were not yet read, the weights, or what the optimizers keep of them."""
        return self.fault_of_losses(trainer) or agreed(trainer, _fault_of_state(trainer, model))

    def fault_of_losses(self, trainer: Trainer) -> NotFinite | None:
        """The first loss that is no finite number, of those that were not yet read; the same on every process."""
        unread, self._unread = self._unread, []
        if not unread:
            return None
        values = torch.stack([value.float() for _, _, value in unread])
        finite = values.isfinite().tolist()
        bad = next((place for place, good in enumerate(finite) if not good), None)
        if bad is None:
            return agreed(trainer, None)
        iteration, tag, value = unread[bad]
        return agreed(trainer, fault_at(trainer, said_of(tag, float(value)), iteration, since=unread[0][0], place=bad))


def said_of(what: str, value: float) -> str:
    return f"{what} is not a finite number ({value:g})"


def fault_at(trainer: Any, said: str, iteration: int, since: int, place: int) -> NotFinite:
    """A fault of an iteration, or the data that made it, in a batch of iteration `since` or later."""
    data = data_fault(trainer, since, iteration)
    if data is not None:
        return NotFinite(data, "mend or leave out that sample", place=-1)
    return NotFinite(f"{said} at iteration {iteration}{batch_of(trainer, iteration)}", place=place)


def agreed(trainer: Any, fault: NotFinite | None) -> NotFinite | None:
    """The fault that comes first, of the first process that has it, on all of them."""
    if not trainer.strategy.reduce_boolean_decision(fault is not None, all=False):
        return None
    if trainer.world_size == 1:
        return fault
    found: list[Any] = [None] * trainer.world_size
    told = None if fault is None else (fault.place, str(fault), fault.remedy)
    torch.distributed.all_gather_object(found, told)
    place, rank = min((told[0], rank) for rank, told in enumerate(found) if told is not None)
    _, line, remedy = found[rank]
    return NotFinite(f"{line}, on process {rank}", remedy, place)


def _fault_of_state(trainer: Any, model: Any) -> NotFinite | None:
    name = _first_not_finite(model.state_dict())
    if name is not None:
        return NotFinite(f"the weight {name} is not a finite number after iteration {model.iteration}")
    for optimizer in getattr(trainer, "optimizers", ()):
        kept = [value for state in optimizer.state.values() for value in state.values() if torch.is_tensor(value)]
        if _first_not_finite(dict(enumerate(kept))) is not None:
            network = model.network_of(optimizer)
            line = f"the moments of the gradient that {network}'s optimizer keeps are not finite numbers"
            return NotFinite(f"{line} after iteration {model.iteration}")
    return None


def _first_not_finite(tensors: dict[Any, Tensor]) -> Any:
    """The name of the first tensor that holds other than finite numbers; they are read in one transfer a device."""
    by_device: dict[torch.device, list[tuple[Any, Tensor]]] = {}
    for name, tensor in tensors.items():
        if tensor.is_floating_point():
            by_device.setdefault(tensor.device, []).append((name, tensor.isfinite().all()))
    for judged in by_device.values():
        good = torch.stack([finite for _, finite in judged]).tolist()
        if not all(good):
            return judged[good.index(False)][0]
    return None
