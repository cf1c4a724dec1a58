"""A search over configurations: optuna's study of it, which chooses trials by the scores of those before.

Without torch, and without optuna at import: Hydra loads the sweeper that uses this at each start.
"""

import json
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from omegaconf import DictConfig, OmegaConf
from pydantic import ValidationError

from ganlab.config.check import lines_of
from ganlab.config.schema import Strict
from ganlab.config.scores import AUTO, UnknownScore, kind_of
from ganlab.config.search_space import SearchSpace
from ganlab.config.study import JOURNAL, PRUNER, STUDY, Better, PrunerName, build_pruner, built, open_journal
from ganlab.config.types import NonNegativeInt, PositiveInt
from ganlab.errors import ConfigError

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

MONITORED = "monitored"
"""The study's attribute with the score that its trials are compared by, from the first that finished."""
REFUSED = "refused"
"""A trial's attribute: why its configuration cannot be."""
FOLDERS = "folders"
"""A trial's attribute: where its runs lie."""
Direction = Literal["minimize", "maximize"]
_SAMPLERS = {"tpe": "TPESampler", "random": "RandomSampler", "grid": "RandomSampler", "cmaes": "CmaEsSampler"}


class SearchSettings(Strict):
    """What the user sets under `hydra.sweeper`.

    `n_trials`: in all, those of an earlier start in the same folder included; `n_jobs`: jobs that are handed to the
    launcher at once; `seed`: of the sampler, null for another one each time.
    """

    n_trials: PositiveInt
    n_jobs: PositiveInt
    sampler: Literal["tpe", "random", "grid", "cmaes"]
    sampler_options: dict[str, Any] | None
    pruner: PrunerName
    pruner_options: dict[str, Any] | None
    direction: Literal["auto", "minimize", "maximize"]
    seed: NonNegativeInt | None
    seeds: list[NonNegativeInt]
    params: dict[str, Any] | None

    @property
    def runs_a_trial(self) -> int:
        return max(1, len(self.seeds))

    @property
    def trials_at_once(self) -> int:
        return max(1, self.n_jobs // self.runs_a_trial)


def settings_of(given: Mapping[str, Any]) -> SearchSettings:
    """The checked settings; raises `ConfigError`, a line for each problem."""
    plain = {key: OmegaConf.to_container(node) if OmegaConf.is_config(node) else node for key, node in given.items()}
    try:
        return SearchSettings.model_validate(plain)
    except ValidationError as error:
        raise ConfigError("\n".join(lines_of(error, plain, ("hydra", "sweeper"), SearchSettings))) from None


class Search:
    """The study in the folder of a sweep: a new one, or the one that an earlier start left there.

    `config`: the configuration that all trials begin with.
    """

    def __init__(self, settings: SearchSettings, space: SearchSpace, config: DictConfig) -> None:
        """Raises `ConfigError` for settings that do not go together."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        self.settings, self.space, self.config = settings, space, config
        self.study: Study
        _verify(settings, space, config)
        self._pruner_options = _pruner_options(settings, config)
        build_pruner(settings.pruner, self._pruner_options)
        self._sampler(0)

    def open(self, folder: Path) -> None:
        """Begin, or go on; trials that an earlier start left unfinished have failed."""
        import optuna

        running = (optuna.trial.TrialState.RUNNING,)
        self.folder = folder
        self._storage = open_journal(folder / JOURNAL)
        if STUDY in [study.study_name for study in self._storage.get_all_studies()]:
            self.study = optuna.load_study(study_name=STUDY, storage=self._storage)
            for trial in self.study.get_trials(states=running):
                self.study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        else:
            self.study = optuna.create_study(study_name=STUDY, storage=self._storage, direction=self._direction())
        self.study.set_user_attr(PRUNER, {"name": self.settings.pruner, "options": self._pruner_options})
        self.study.pruner = build_pruner(self.settings.pruner, self._pruner_options)
        self.study.sampler = self._sampler(len(self.trials))

    # -- trials -----------------------------------------------------------------------------------------------

    @property
    def trials(self) -> "list[FrozenTrial]":
        return self.study.get_trials(deepcopy=False)

    @property
    def wanted(self) -> int:
        """How many trials there shall be; of a grid no more than it has places."""
        places = self.space.size if self.settings.sampler == "grid" else None
        return self.settings.n_trials if places is None else min(places, self.settings.n_trials)

    def ask(self) -> "Trial":
        """The next trial; raises `ConfigError` if the study that was there has searched something else."""
        try:
            if self.settings.sampler == "grid":
                # optuna's own sampler of grids ends the study at its last place, and cannot while trials are told here.
                self.study.enqueue_trial(self.space.place(len(self.trials)))
            return self.study.ask(self.space.searched)
        except ValueError as error:
            raise ConfigError(
                f"{self.folder}: the study that is there has searched otherwise ({error}); start in another folder"
            ) from None

    def compare(self, results: Mapping[str, Any]) -> None:
        """Learn from the first results what trials are compared by; raises `ConfigError` for any that are not alike."""
        monitored, known = results[MONITORED], self.study.user_attrs.get(MONITORED)
        if monitored is None:
            raise ConfigError("nothing to compare: a trial has no monitored score; see metrics.scores, metrics.monitor")
        if known is None:
            better = results["scores"][monitored]["better"]
            direction: Direction = "maximize" if better == "higher" else "minimize"
            asked = self.settings.direction
            if asked not in ("auto", direction):
                raise ConfigError(f"hydra.sweeper.direction={asked}: {monitored} is better {better}; leave this out")
            self._turn(direction)
            self.study.set_user_attr(MONITORED, monitored)
        elif known != monitored:
            raise ConfigError(
                f"trials are compared by {known}, and this one has {monitored}; "
                "name one score that all have: metrics.monitor=…"
            )

    # -- direction --------------------------------------------------------------------------------------------

    @property
    def better(self) -> Better:
        """Which way a score is better."""
        return "lower" if self.study.direction.name == "MINIMIZE" else "higher"

    def _direction(self) -> Direction:
        """The study's direction, as far as it is known: with `auto` and no score named, the first results tell."""
        if self.settings.direction != "auto":
            return self.settings.direction
        monitor = str(self.config.metrics.monitor)
        try:
            return "minimize" if monitor == AUTO or kind_of(monitor).better == "lower" else "maximize"
        except UnknownScore:
            return "minimize"  # the check of each trial says what is wrong

    def _turn(self, direction: Direction) -> None:
        """Give the study its direction: optuna's have theirs for good, so that another one takes over the trials."""
        import optuna

        old = self.study
        if old.direction.name.lower() == direction:
            return
        trials, told = old.get_trials(), old.user_attrs
        optuna.delete_study(study_name=STUDY, storage=self._storage)
        # A sampler belongs to one study, too.
        self.study = optuna.create_study(
            study_name=STUDY,
            storage=self._storage,
            direction=direction,
            sampler=self._sampler(len(trials)),
            pruner=old.pruner,
        )
        self.study.add_trials(trials)
        for key, value in told.items():
            self.study.set_user_attr(key, value)

    def _sampler(self, before: int) -> Any:
        """The sampler of a study that has so many trials: it does not draw those again."""
        from optuna import samplers

        name = self.settings.sampler
        options: dict[str, Any] = {"seed": None if self.settings.seed is None else self.settings.seed + before}
        if name == "tpe" and self.settings.trials_at_once > 1:
            options["constant_liar"] = True  # so that the trials of a batch are not all the same
        if name == "cmaes" and find_spec("cmaes") is None:
            raise ConfigError("hydra.sweeper.sampler=cmaes needs the package cmaes: pip install cmaes")
        options |= self.settings.sampler_options or {}
        return built(getattr(samplers, _SAMPLERS[name]), options, "hydra.sweeper.sampler_options")


def _verify(settings: SearchSettings, space: SearchSpace, config: DictConfig) -> None:
    if settings.seeds and any(word.lstrip("+").startswith("seed=") for word in space.fixed):
        raise ConfigError("hydra.sweeper.seeds: each trial has these seeds; leave seed= out")
    if settings.sampler == "grid":
        space.place(0)
    if OmegaConf.is_list(config.metrics.scores) and not config.metrics.scores:
        raise ConfigError("metrics.scores=[]: a search compares scores; name one, or leave this out")
    if settings.pruner == "none":
        return
    if settings.seeds:
        raise ConfigError(
            f"hydra.sweeper.pruner={settings.pruner}: it judges single runs; leave hydra.sweeper.seeds out"
        )
    if config.trainer.evaluate_every is None:
        raise ConfigError(
            f"hydra.sweeper.pruner={settings.pruner}: it judges scores while training; "
            "say how often, e.g. trainer.evaluate_every=500"
        )


def _pruner_options(settings: SearchSettings, config: DictConfig) -> dict[str, Any]:
    given = dict(settings.pruner_options or {})
    if settings.pruner == "hyperband":
        # Its own defaults suit runs of a hundred steps, and wait for a first trial to see how many there are.
        trainer = config.trainer
        return {"min_resource": trainer.evaluate_every, "max_resource": trainer.max_iterations} | given
    if settings.pruner == "percentile":
        return {"percentile": 50.0} | given
    return given


def results_of(folder: Path) -> dict[str, Any]:
    """results.json of a run; empty if it has none."""
    try:
        told = json.loads((folder / "results.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) and MONITORED in told else {}
