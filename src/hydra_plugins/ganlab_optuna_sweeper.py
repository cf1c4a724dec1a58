"""A Hydra sweeper that lets optuna choose the next jobs by the scores of those before: `sweep=optuna`, `sweep=random`.

A trial is a job; with `seeds` it is one for each of them, and its value the mean of their scores. Hydra's launcher
runs the jobs. The study lies in the sweep's folder, and a sweep that is started there again goes on with it.
"""

import shlex
import shutil
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.errors import HydraException
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from ganlab.config.callback import check_job
from ganlab.config.search_space import read_search_space
from ganlab.config.study import JOURNAL, require_optuna
from ganlab.config.words import config_dir_words, given_folders, quoted
from ganlab.errors import ConfigError, TrainingError, reason_of
from ganlab.tasks.sweeps.record import RECORD, JobRecord, read_records
from ganlab.tasks.sweeps.search import FOLDERS, MONITORED, REFUSED, Search, results_of, settings_of

RESULTS = "optimization_results.yaml"
PATIENCE = 10
"""Trials that may be refused, all from the first on, before the search is given up."""


@dataclass
class OptunaSweeperConfig:
    """`hydra/sweeper=ganlab_optuna`; `ganlab.tasks.sweeps.search.SearchSettings` says what may be set."""

    _target_: str = "hydra_plugins.ganlab_optuna_sweeper.OptunaSweeper"
    n_trials: Any = 20
    n_jobs: Any = 1
    sampler: Any = "tpe"
    sampler_options: Any = None
    pruner: Any = "none"
    pruner_options: Any = None
    direction: Any = "auto"
    seed: Any = 0
    seeds: Any = field(default_factory=list)
    params: Any = None


ConfigStore.instance().store(group="hydra/sweeper", name="ganlab_optuna", node=OptunaSweeperConfig, provider="ganlab")


class OptunaSweeper(Sweeper):
    """Asks the study for a batch of trials, has them run, and tells it their scores, until there are enough."""

    def __init__(self, **settings: Any) -> None:
        self.given = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self._context = hydra_context
        self._config = config
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Run the search; raises `ConfigError` for what cannot be searched, `TrainingError` if no trial finishes."""
        require_optuna("a search (sweep=optuna, random)")
        self.settings = settings_of(self.given)
        parser = OverridesParser.create(config_loader=self._context.config_loader)
        self.space = read_search_space(parser, self.settings.params or {}, arguments)
        self.search = Search(self.settings, self.space, self._config)
        self.folder = Path(str(self._config.hydra.sweep.dir))
        self.returns: list[Sequence[JobReturn]] = []
        missing = [path for path in self.folder.absolute().parents if not path.exists()]
        self.folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self._config, self.folder / "multirun.yaml")
        try:
            self.search.open(self.folder)
            try:
                self._run_all()
            finally:
                self._tell_best()
        except ConfigError:
            self._remove_without_jobs(missing)
            raise
        if not self._count("COMPLETE"):
            raise TrainingError(f"none of {len(self.search.trials)} trials has finished; see {self.folder / RECORD}")
        return self.returns

    # -- trials -----------------------------------------------------------------------------------------------

    def _run_all(self) -> None:
        asked = len(self.search.trials)
        self.next_job = asked * self.settings.runs_a_trial
        while asked < self.search.wanted:
            count = min(self.settings.trials_at_once, self.search.wanted - asked)
            self._run([self.search.ask() for _ in range(count)])
            asked += count
            reasons = [trial.user_attrs.get(REFUSED) for trial in self.search.trials]
            if all(reasons) and len(reasons) >= min(PATIENCE, self.search.wanted):
                raise ConfigError(f"all of {len(reasons)} trials were refused, the last one: {reasons[-1]}")

    def _run(self, trials: list[Any]) -> None:
        """A batch of trials: those that the check lets through are launched together; the study hears of all."""
        self._untold = list(trials)
        first = self.next_job
        try:
            jobs = {trial.number: self._checked_jobs(trial) for trial in trials}
            launched = [overrides for own in jobs.values() for overrides in own.values()]
            if launched:
                self.returns.append(self._launcher.launch(launched, initial_job_idx=first))
                records = {record.number: record for record in read_records(self.folder)}
                for trial in list(self._untold):
                    self._judge(trial, [records.get(number) for number in jobs[trial.number]])
        finally:
            for trial in list(self._untold):
                self._tell(trial, "FAIL")

    def _checked_jobs(self, trial: Any) -> dict[int, list[str]]:
        """The overrides of each of a trial's jobs, by number; none if the configuration is refused."""
        chosen = [*self.space.overrides(trial.params), *self._pruning(trial.number)]
        seeds = [[f"seed={seed}"] for seed in self.settings.seeds] or [[]]
        jobs = {self.next_job + index: [*chosen, *seed] for index, seed in enumerate(seeds)}
        try:
            for overrides in jobs.values():
                check_job(self._context.config_loader.load_sweep_config(self._config, overrides), overrides)
        except (ConfigError, HydraException) as error:
            # Hydra's own: a key that the configuration does not have, or not with this trial's choice of files.
            reason = str(error) if isinstance(error, ConfigError) else reason_of(error)
            trial.set_user_attr(REFUSED, reason)
            self._tell(trial, "FAIL", f"refused: {reason}")
            return {}
        self.next_job += len(jobs)
        return jobs

    def _pruning(self, number: int) -> list[str]:
        """What tells a job which trial it is, so that it may be pruned."""
        if self.settings.pruner == "none":
            return []
        journal = quoted(str((self.folder / JOURNAL).absolute()))
        return [f"callbacks.pruning.journal={journal}", f"callbacks.pruning.trial={number}"]

    def _judge(self, trial: Any, records: list[JobRecord | None]) -> None:
        """Tell the study, and the user, what became of a trial."""
        folders = [str(self.folder / record.folder) for record in records if record and record.folder]
        trial.set_user_attr(FOLDERS, folders)
        results = [results_of(Path(folder)) for folder in folders]
        ended = [record for record in records if record and record.status in ("completed", "pruned")]
        if not len(ended) == len(records) == len(folders) or not all(results):
            self._tell(trial, "FAIL", "failed")
            return
        for told in results:
            self.search.compare(told)
        if any(told.get("pruned") for told in results):
            self._tell(trial, "PRUNED", f"pruned after iteration {results[0]['iterations']}")
            return
        value = statistics.fmean(told["objective"] for told in results)
        self._tell(trial, "COMPLETE", value=value)
        best = self.search.study.best_trial
        beside = "the best so far" if best.number == trial.number else f"best {best.value:.4g} of trial {best.number}"
        print(f"trial {trial.number}: {value:.4g}, {beside}", flush=True)

    def _tell(self, trial: Any, state: str, said: str | None = None, value: float | None = None) -> None:
        from optuna.trial import TrialState

        self._untold.remove(trial)
        self.search.study.tell(trial.number, value, state=TrialState[state])
        if said is not None:
            print(f"trial {trial.number}: {said}", flush=True)

    # -- the end ----------------------------------------------------------------------------------------------

    def _remove_without_jobs(self, above: list[Path]) -> None:
        """Take the folder away again, and those above that were made for it, unless it holds a job."""
        if any(path.is_dir() and not path.name.startswith(".") for path in self.folder.iterdir()):
            return
        shutil.rmtree(self.folder)
        for parent in above:
            if any(parent.iterdir()):
                return
            parent.rmdir()

    def _count(self, state: str) -> int:
        return sum(trial.state.name == state for trial in self.search.trials)

    def _tell_best(self) -> None:
        """The best trial, on the screen and in a file; nothing if none has finished."""
        if not self._count("COMPLETE"):
            return
        best, study = self.search.study.best_trial, self.search.study
        counts = {state: self._count(state) for state in ("COMPLETE", "PRUNED", "FAIL") if self._count(state)}
        results = {
            "name": "optuna",
            "best_params": dict(best.params),
            "best_value": best.value,
            "monitored": study.user_attrs[MONITORED],
            "better": self.search.better,
            "trial": best.number,
            "folders": best.user_attrs[FOLDERS],
            "command": shlex.join(["python", "-m", "ganlab", *self._words(self.space.overrides(best.params))]),
            "trials": {state.lower(): count for state, count in counts.items()},
        }
        OmegaConf.save(OmegaConf.create(results), self.folder / RESULTS)
        told = ", ".join(f"{count} {state.lower()}" for state, count in counts.items())
        print(f"best:   trial {best.number} of {len(self.search.trials)} ({told})")
        print(f"scored: {results['monitored']} {best.value:.4g} ({self.search.better} is better)")
        print(f"values: {' '.join(f'{key}={value}' for key, value in best.params.items())}")
        print(f"run:    {' '.join(results['folders'])}")
        print(f"again:  {results['command']}", flush=True)

    def _words(self, overrides: list[str]) -> list[str]:
        """What to type after the command to make a trial's runs once more."""
        words = [word for word in overrides if not word.startswith("sweep=")]
        if self.settings.seeds:
            words = ["-m", *words, f"seed={','.join(map(str, self.settings.seeds))}"]
        return [*config_dir_words(given_folders(self._context.config_loader.get_sources())), *words]
