"""Scores while training, at the pace that the user sets."""

from collections.abc import Callable, Mapping
from typing import Any

from lightning import Callback, Trainer


class EvaluateEvery(Callback):
    """Calls `score(model, data)` every `every` iterations and logs what it returns, from tag to value.

    Only the first process computes. `score` draws from generators of its own, so training is the same, bit
    for bit, with and without it. The last iteration is left to the end of the run, which scores anyway.
    """

    def __init__(self, every: int, max_iterations: int, score: Callable[[Any, Any], Mapping[str, float]]) -> None:
        self.every = every
        self.max_iterations = max_iterations
        self.score = score

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        iteration = pl_module.iteration
        if iteration % self.every or iteration == self.max_iterations or not trainer.is_global_zero:
            return
        scores = dict(self.score(pl_module, trainer.datamodule))  # type: ignore[attr-defined]
        for logger in trainer.loggers:
            logger.log_metrics(scores, step=iteration)
