"""What an iteration's time goes to: a watch on the methods that are its phases."""

import time
from typing import Any

import torch
from lightning import Callback

REST = "rest"


class Phases(Callback):
    """Times the phases of a run as they are, without those that they contain; the first `skip` iterations are left out.

    On a GPU each phase ends when the device has done its work, which costs a little of the overlap.
    """

    def __init__(self, skip: int) -> None:
        self.skip = skip
        self.times: dict[str, float] = {}
        self.iterations = 0
        self._open: list[str] = [REST]
        self._since = 0.0

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        watched = {
            "data": [(trainer.datamodule, "train_dataloader")],
            "discriminator": [(pl_module, "_train_discriminator")],
            "generator": [(pl_module, "_train_generator")],
            "autoencoder": [(pl_module, "_updated")],
            "average": [(getattr(pl_module, "generator_ema", None), "update")],
            "callbacks": [(callback, "on_train_batch_end") for callback in trainer.callbacks if callback is not self],
        }
        stream = trainer.fit_loop._combined_loader.flattened[0]
        watched["data"] = [(stream, "batch")]
        for phase, methods in watched.items():
            for owner, method in methods:
                if owner is not None and hasattr(owner, method):
                    self._watch(phase, owner, method)
        self._since = time.perf_counter()

    def _watch(self, phase: str, owner: Any, method: str) -> None:
        inner = getattr(owner, method)

        def timed(*args: Any, **options: Any) -> Any:
            self._turn()
            self._open.append(phase)
            try:
                return inner(*args, **options)
            finally:
                self._turn()
                self._open.pop()

        object.__setattr__(owner, method, timed)

    def _turn(self) -> None:
        """All time since the last turn was of the phase that is open."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = time.perf_counter()
        phase = self._open[-1]
        self.times[phase] = self.times.get(phase, 0.0) + now - self._since
        self._since = now

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *args: Any) -> None:
        self._turn()
        self.iterations += 1
        if self.iterations == self.skip:
            self.times.clear()

    @property
    def seconds(self) -> float:
        """Of an iteration."""
        return sum(self.times.values()) / max(1, self.iterations - self.skip)

    def shares(self) -> str:
        """Each phase's share, in words."""
        total = sum(self.times.values())
        return ", ".join(f"{phase} {100 * seconds / total:.1f} %" for phase, seconds in self.times.items())
