"""Scores while training, at the pace that the user sets, and the best checkpoint by one of them."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from lightning import Callback, Trainer

from ganlab.callbacks.checkpoints import Checkpoints
from ganlab.files import write_atomically
from ganlab.metrics.ranks import Ranks

Scores = Mapping[str, Mapping[str, Any]]
RECORD = "best.json"


class Scoring(Protocol):
    """What scores a model: called on every process at once, each does its share; the first one gets the scores by
    tag, each with its `value`. `monitored` is the tag that tells the best checkpoint, `better` lower or higher."""

    @property
    def monitored(self) -> str | None: ...

    @property
    def better(self) -> str: ...

    @property
    def protocol_digest(self) -> str:
        """Of all that makes scores comparable: two numbers of different digests are not."""
        ...

    def prepare(self, device: Any) -> None: ...

    def __call__(self, model: Any, ranks: Ranks, /) -> Scores: ...


class Evaluate(Callback):
    """Scores every `every` iterations and at the last one; between these it costs a division.

    Scoring draws from generators of its own: training is the same, bit for bit, with and without it.

    Whenever the monitored score is the best so far, the checkpoint of that iteration is kept as
    checkpoints/best.ckpt, and best.json beside it says by what. It comes before `Checkpoints` at the end of an
    iteration: a run that is killed never goes on from an iteration whose scores are not yet written down.
    """

    def __init__(
        self,
        scorer: Scoring,
        checkpoints: Checkpoints,
        *,
        every: int | None,
        max_iterations: int,
    ) -> None:
        self.scorer = scorer
        self.checkpoints = checkpoints
        self.every = every
        self.max_iterations = max_iterations
        self.latest: Scores = {}
        self.latest_at: int | None = None
        self.best: float | None = None

    @property
    def record(self) -> Path:
        return self.checkpoints.folder / RECORD

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        self.best = self._best_before(pl_module.iteration)
        if trainer.is_global_zero:
            self.scorer.prepare(pl_module.device)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        iteration = pl_module.iteration
        if iteration == self.max_iterations or (self.every is not None and iteration % self.every == 0):
            self.evaluate(trainer, pl_module)

    def evaluate(self, trainer: Trainer, pl_module: Any) -> None:
        """Score now, on all ranks together; log, and keep the checkpoint if it is the best so far."""
        self.latest = self.scorer(pl_module, ranks_of(trainer))
        self.latest_at = pl_module.iteration
        monitored, better = self.scorer.monitored, self.scorer.better
        values = {tag: float(score["value"]) for tag, score in self.latest.items()}
        if values:
            for logger in trainer.loggers:
                logger.log_metrics(values, step=pl_module.iteration)
        # The ranks must agree on whether to save, since they save together.
        value: float | None = trainer.strategy.broadcast(values.get(monitored) if monitored else None)
        if value is not None and self._improves(value):
            told = {"iteration": pl_module.iteration, "score": monitored, "value": value, "better": better}
            told["protocol"] = self.scorer.protocol_digest
            if self.checkpoints.save(trainer, pl_module, best=lambda: self._write(told)):
                self.best = value

    def _write(self, told: dict[str, Any]) -> None:
        write_atomically(self.record, lambda file: file.write(json.dumps(told).encode()))

    def _improves(self, value: float) -> bool:
        if not math.isfinite(value):
            return False
        return self.best is None or (value > self.best if self.scorer.better == "higher" else value < self.best)

    def _best_before(self, iteration: int) -> float | None:
        """What an earlier part of this run reached by the same score; a run that was set back begins anew."""
        try:
            told = json.loads(self.record.read_bytes())
            known = told["score"] == self.scorer.monitored and told["protocol"] == self.scorer.protocol_digest
            known = known and int(told["iteration"]) <= iteration
            return float(told["value"]) if known else None
        except (OSError, ValueError, KeyError, TypeError):
            return None


def ranks_of(trainer: Trainer) -> Ranks:
    """This process's place among those of a trainer."""
    return Ranks(trainer.global_rank, trainer.world_size, trainer.strategy.root_device)
