"""Ctrl-C, SIGTERM, a cluster's warning: finish the iteration, save, end with the exit code that the shell expects."""

import signal
import sys
import time
from types import FrameType
from typing import Any

import torch
from lightning import Callback, Trainer

from ganlab.callbacks.checkpoints import Checkpoints

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
"""Of SIGUSR1 and SIGUSR2, by which a cluster tells that the time is nearly up, that of SIGTERM."""
EXIT_CODES |= {getattr(signal, name): 143 for name in ("SIGUSR1", "SIGUSR2") if hasattr(signal, name)}
AGREE_WITHIN = 2.0
"""Seconds of training, about, between two agreements of several processes."""


class Interrupted(SystemExit):
    """The run was asked to end and has saved itself; its code is 130 (Ctrl-C) or 143 (SIGTERM)."""


class EndOnSignal(Callback):
    """Takes the signal as a wish: the iteration ends, all ranks agree, a checkpoint is saved, the run ends.

    A second Ctrl-C ends at once, without saving. Several processes do not agree at each iteration, because
    that costs a synchronisation: they do at multiples of `every`, and between them as often as about two
    seconds pass. With each agreement comes the iteration of the next one, from the pace of the slowest.
    """

    def __init__(self, checkpoints: Checkpoints, every: int) -> None:
        self.checkpoints = checkpoints
        self.every = every
        self.received: int = 0
        self._agree_at = 0
        self._agreed = (0, 0.0)
        self._previous: dict[int, Any] = {}
        self._speaks = True

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        # Lightning has set its own handlers by now; ours replace them while training runs.
        self._speaks = trainer.is_global_zero
        self._agree_at = pl_module.iteration + 1
        self._agreed = pl_module.iteration, time.monotonic()
        for number in EXIT_CODES:
            self._previous[number] = signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received == signal.SIGINT and number == signal.SIGINT:
            raise SystemExit(EXIT_CODES[signal.SIGINT])
        self.received = number
        if self._speaks:
            print("\nending after this iteration, and saving; Ctrl-C again to end without", file=sys.stderr, flush=True)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        number = self.received
        if trainer.world_size > 1:
            if pl_module.iteration < self._agree_at:
                return
            number = self._agree(trainer, pl_module.iteration)
        if not number:
            return
        if pl_module.iteration >= self.checkpoints.max_iterations:
            return  # the run ends here anyway, and with its scores
        self.checkpoints.save(trainer, pl_module)
        raise Interrupted(EXIT_CODES[signal.Signals(number)])

    def _agree(self, trainer: Trainer, iteration: int) -> int:
        """The signal that any process has got (SIGTERM before SIGINT) or 0; settles when to agree next."""
        at, since = self._agreed
        pace = (time.monotonic() - since) / max(1, iteration - at)
        own = torch.tensor([float(self.received), pace], device=trainer.strategy.root_device)
        # What all have from here on is equal to the last bit; each process's own clock would not be.
        number, slowest = trainer.strategy.reduce(own, reduce_op="max").tolist()
        self._agree_at = next_agreement(iteration, slowest, self.every)
        self._agreed = iteration, time.monotonic()
        return int(number)

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Lightning's own handlers are put back before it puts back those of before the run: `teardown` is too late."""
        self._put_back()

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        self._put_back()

    def _put_back(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._previous.clear()


def next_agreement(iteration: int, pace: float, every: int) -> int:
    """The next multiple of `every`, or earlier where `pace` (seconds an iteration) makes that too long to wait."""
    soon = iteration + max(1, int(AGREE_WITHIN / max(pace, 1e-9)))
    return min(soon, iteration - iteration % every + every)
