"""Checkpoints by the count of iterations, written so that a good one is always there."""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer
from lightning.fabric.plugins import TorchCheckpointIO

from ganlab import __version__
from ganlab.callbacks.finite import FiniteGuard
from ganlab.config.migration import FORMAT, migrated
from ganlab.files import TEMPORARY, write_atomically

LAST = "last.ckpt"
BEST = "best.ckpt"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes to a temporary file in the same folder, flushes and renames; reads with `weights_only=True`."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        write_atomically(Path(path), lambda file: torch.save(checkpoint, file))

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: Any = None) -> dict[str, Any]:
        checkpoint = torch.load(path, map_location=map_location or "cpu", weights_only=True)
        return migrated(checkpoint, Path(path))


class Checkpoints(Callback):
    """checkpoints/iteration_000500.ckpt every `every` iterations and at the end; last.ckpt is the newest.

    best.ckpt is whichever `save` was last told to be the best. Of a run with phases there is one at the end of each as
    well, and those stay, as checkpoints/<phase>.ckpt.

    The newest `keep` stay; those of a later iteration (the run went on from an earlier one) are let be.
    Each holds the configuration, so that a model can be rebuilt from the file alone.
    """

    def __init__(
        self,
        folder: Path,
        *,
        every: int | None,
        keep: int,
        max_iterations: int,
        config: dict[str, Any],
        guard: FiniteGuard,
    ) -> None:
        self.folder = folder
        self.every = every
        self.keep = keep
        self.max_iterations = max_iterations
        self.config = config
        self.guard = guard
        guard.checkpoints = self
        self.saved_at: int | None = None

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        if self.guard.saves_beginning and pl_module.iteration == 0:
            self.save(trainer, pl_module)

    def due(self, model: Any) -> bool:
        """Whether there is a checkpoint after this iteration, whatever else asks for one."""
        iteration = model.iteration
        return (
            iteration == self.max_iterations
            or (self.every is not None and iteration % self.every == 0)
            or any(phase.last == iteration for phase in getattr(model, "phases", ()))
        )

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.due(pl_module):
            self.save(trainer, pl_module)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        names = list(getattr(trainer.datamodule, "condition_names", []))  # type: ignore[attr-defined]
        checkpoint["ganlab"] = {
            "format": FORMAT,
            "version": __version__,
            "config": self.config,
            "condition_names": names,
        }

    def save(self, trainer: Trainer, pl_module: Any, *, best: Callable[[], object] | None = None) -> bool:
        """Save now, on all ranks together; whether it was done. Rather than save a NaN it raises `TrainingError`, or
        leaves it, as the guard decides.

        `best`: it is the best checkpoint so far, kept under the name best.ckpt too, which pruning leaves alone; called
        on the first process to write down by what.

        last.ckpt comes after all other names: a run that is killed in between goes on from the one before, and comes
        here once more. Raises `OutputError` if something cannot be written.
        """
        iteration = pl_module.iteration
        path = self.path(iteration)
        already = self.saved_at == iteration
        if not already:
            if not self.guard.allows_saving(trainer, pl_module):
                return False
            trainer.save_checkpoint(path)
            self.saved_at = iteration
        if not trainer.is_global_zero:
            return True
        if best is not None:
            self._name(path, BEST)
            best()
        if not already:
            for phase in getattr(pl_module, "phases", ()):
                if phase.last == iteration:
                    self._name(path, f"{phase.name}.ckpt")
            if iteration:
                self._name(path, LAST)
            self._prune()
        return True

    def path(self, iteration: int) -> Path:
        """The checkpoint of an iteration."""
        return self.folder / f"iteration_{iteration:06d}.ckpt"

    def _name(self, path: Path, name: str) -> None:
        """A second name of a file (a copy where links cannot be made)."""
        temporary = self.folder / f".{name}{TEMPORARY}"
        try:
            temporary.unlink(missing_ok=True)
            os.link(path, temporary)
            os.replace(temporary, self.folder / name)
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            with path.open("rb") as whole:
                write_atomically(self.folder / name, lambda file: shutil.copyfileobj(whole, file))

    def _prune(self) -> None:
        # By number, not by name: a seventh digit would put the newest first.
        count = {path: int(path.stem.removeprefix("iteration_")) for path in self.folder.glob("iteration_*.ckpt")}
        past = sorted((path for path in count if count[path] <= (self.saved_at or 0)), key=count.__getitem__)
        for old in past[: -self.keep]:
            if count[old] != self.guard.anchor:
                old.unlink(missing_ok=True)
