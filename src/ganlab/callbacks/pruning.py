"""Ends a trial of a search that scores worse than the others did by then."""

import logging
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning import Callback, Trainer

from ganlab.callbacks.checkpoints import Checkpoints
from ganlab.callbacks.evaluation import Evaluate
from ganlab.config.study import RunningTrial, require_optuna
from ganlab.errors import ConfigError

log = logging.getLogger(__name__)


class Pruned(SystemExit):
    """The run was ended by its search, has saved itself and written its results; the sweep knows it by the code."""

    def __init__(self) -> None:
        super().__init__(3)


def objective(score: Mapping[str, Any]) -> float:
    """The value that a search compares: a score that is no number is the worst there can be."""
    value = float(score["value"])
    worst = -sys.float_info.max if score["better"] == "higher" else sys.float_info.max
    return value if math.isfinite(value) else worst


class Pruning(Callback):
    """Tells the study in `journal` each monitored score, as `evaluate` finds it, and asks whether to go on.

    The first process speaks with the journal, and all ranks end together: after the iteration in which they were
    told to, with a checkpoint. At the last iteration the score is told and nothing is asked. Training is the same, bit
    for bit, up to there. A journal that cannot be read any more lets the run go on.
    """

    def __init__(self, evaluate: Evaluate, checkpoints: Checkpoints, *, journal: Path, trial: int) -> None:
        """Raises `ConfigError` if there is no such journal, or no optuna."""
        require_optuna(f"callbacks.pruning.journal={journal}")
        if not journal.is_file():
            raise ConfigError(f"callbacks.pruning.journal={journal}: there is no such file; a search makes one")
        self.evaluate = evaluate
        self.checkpoints = checkpoints
        self.journal = journal
        self.trial = trial
        self.pruned = False
        self._running: RunningTrial | None = None

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        if trainer.is_global_zero:
            self._trying(self._join)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        iteration = pl_module.iteration
        if self.evaluate.latest_at != iteration:
            return
        worse = self._running is not None and bool(self._trying(self._report, iteration))
        last = iteration >= self.evaluate.max_iterations
        if trainer.strategy.reduce_boolean_decision(worse and not last, all=False):
            self.pruned = True
            self.checkpoints.save(trainer, pl_module)
            trainer.should_stop = True

    def _join(self) -> None:
        self._running = RunningTrial(self.journal, self.trial)

    def _report(self, iteration: int) -> bool:
        """Whether the study would end the trial, now that it knows this iteration's score."""
        score = self.evaluate.latest.get(self.evaluate.scorer.monitored or "")
        if self._running is None or score is None:
            return False
        self._running.report(objective(score), iteration)
        # Until a trial has finished the study may not know which way is better, and would end the best.
        return self._running.better == self.evaluate.scorer.better and self._running.should_end()

    def _trying(self, step: Any, *arguments: Any) -> Any:
        """What the step returns; if the journal fails, nothing from now on: a run does not end for that."""
        from optuna.exceptions import OptunaError

        try:
            return step(*arguments)
        except (OptunaError, OSError, RuntimeError, LookupError, ValueError) as error:
            log.warning("%s cannot be used any more (%s): this run is not pruned", self.journal, error)
            self._running = None
            return None
