"""Ctrl-C and SIGTERM: finish the iteration, save a checkpoint, end with the exit code that the shell expects."""

import signal
import sys
from types import FrameType
from typing import Any

from lightning import Callback, Trainer

from ganlab.callbacks.checkpoints import Checkpoints

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


class Interrupted(SystemExit):
    """The run was asked to end and has saved itself; its code is 130 (Ctrl-C) or 143 (SIGTERM)."""


class EndOnSignal(Callback):
    """Takes the signal as a wish: the iteration ends, all ranks agree, a checkpoint is saved, the run ends.

    A second Ctrl-C ends at once, without saving. With several processes they agree every `every`
    iterations only, because each agreement costs a synchronisation.
    """

    def __init__(self, checkpoints: Checkpoints, every: int) -> None:
        self.checkpoints = checkpoints
        self.every = every
        self.received: int = 0
        self._previous: dict[int, Any] = {}
        self._speaks = True

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        # Lightning has set its own handlers by now; ours replace them while training runs.
        self._speaks = trainer.is_global_zero
        for number in EXIT_CODES:
            self._previous[number] = signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received == signal.SIGINT and number == signal.SIGINT:
            raise SystemExit(EXIT_CODES[signal.SIGINT])
        self.received = number
        if self._speaks:
            print("\nending after this iteration, and saving; Ctrl-C again to end without", file=sys.stderr, flush=True)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.world_size > 1:
            if pl_module.iteration % self.every:
                return
            if not trainer.strategy.reduce_boolean_decision(bool(self.received), all=False):
                return
        elif not self.received:
            return
        if pl_module.iteration >= self.checkpoints.max_iterations:
            return  # the run ends here anyway, and with its scores
        self.checkpoints.save(trainer, pl_module)
        raise Interrupted(EXIT_CODES[signal.Signals(self.received or signal.SIGTERM)])

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Lightning's own handlers are put back before it puts back those of before the run: `teardown` is too late."""
        self._put_back()

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        self._put_back()

    def _put_back(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._previous.clear()
