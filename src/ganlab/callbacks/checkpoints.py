"""Checkpoints by the count of iterations, written so that a good one is always there."""

import os
import shutil
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer
from lightning.fabric.plugins import TorchCheckpointIO

from ganlab import __version__
from ganlab.callbacks.finite import FiniteGuard
from ganlab.files import write_atomically

LAST = "last.ckpt"
BEST = "best.ckpt"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes to a temporary file in the same folder, flushes and renames; reads with `weights_only=True`."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        write_atomically(Path(path), lambda file: torch.save(checkpoint, file))

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: Any = None) -> dict[str, Any]:
        return torch.load(path, map_location=map_location or "cpu", weights_only=True)


class Checkpoints(Callback):
    """checkpoints/iteration_000500.ckpt every `every` iterations and at the end; last.ckpt is the newest.

    best.ckpt is whichever `keep_best` was called for last. Of a run with phases there is one at the end of each as
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
        self.saved_at: int | None = None

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        iteration = pl_module.iteration
        ended = [phase.name for phase in getattr(pl_module, "phases", ()) if phase.last == iteration]
        if ended or iteration == self.max_iterations or (self.every is not None and iteration % self.every == 0):
            self.save(trainer, pl_module)
        if ended and trainer.is_global_zero:
            self._name(self._numbered(iteration), f"{ended[0]}.ckpt")

    def on_save_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        names = list(getattr(trainer.datamodule, "condition_names", []))  # type: ignore[attr-defined]
        checkpoint["ganlab"] = {"version": __version__, "config": self.config, "condition_names": names}

    def save(self, trainer: Trainer, pl_module: Any) -> None:
        """Save now, on all ranks together; raises `TrainingError` rather than save a NaN."""
        if self.saved_at == pl_module.iteration:
            return
        self.guard.verify(trainer, pl_module)
        path = self._numbered(pl_module.iteration)
        trainer.save_checkpoint(path)
        self.saved_at = pl_module.iteration
        if trainer.is_global_zero:
            self._name(path, LAST)
            self._prune()

    def keep_best(self, trainer: Trainer, pl_module: Any) -> None:
        """Save now, on all ranks together, under the name best.ckpt too, which pruning leaves alone."""
        self.save(trainer, pl_module)
        if trainer.is_global_zero:
            self._name(self._numbered(pl_module.iteration), BEST)

    def _numbered(self, iteration: int) -> Path:
        return self.folder / f"iteration_{iteration:06d}.ckpt"

    def _name(self, path: Path, name: str) -> None:
        """A second name of a file (a copy where links cannot be made)."""
        temporary = self.folder / f".{name}.tmp"
        temporary.unlink(missing_ok=True)
        try:
            os.link(path, temporary)
        except OSError:
            shutil.copyfile(path, temporary)
        os.replace(temporary, self.folder / name)

    def _prune(self) -> None:
        # By number, not by name: a seventh digit would put the newest first.
        count = {path: int(path.stem.removeprefix("iteration_")) for path in self.folder.glob("iteration_*.ckpt")}
        past = sorted((path for path in count if count[path] <= (self.saved_at or 0)), key=count.__getitem__)
        for old in past[: -self.keep]:
            old.unlink(missing_ok=True)
