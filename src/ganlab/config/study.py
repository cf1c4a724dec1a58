"""The study of a sweep, as its sweeper and each of its jobs open it: one journal file, one pruner.

Without optuna at import: Hydra loads every plugin at each start, and ganlab runs without it.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ganlab.errors import ConfigError, reason_of

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.storages import JournalStorage

STUDY = "ganlab"
JOURNAL = "optuna.journal"
PRUNER = "pruner"
"""The study's attribute that says how its jobs are pruned: a journal does not keep that by itself."""

Better = Literal["lower", "higher"]
PrunerName = Literal["none", "median", "percentile", "halving", "hyperband"]
_PRUNERS = {
    "none": "NopPruner",
    "median": "MedianPruner",
    "percentile": "PercentilePruner",
    "halving": "SuccessiveHalvingPruner",
    "hyperband": "HyperbandPruner",
}


def require_optuna(asked: str) -> None:
    """Raise `ConfigError` if optuna is not installed; `asked`: the key that wants it."""
    if find_spec("optuna") is None:
        raise ConfigError(f"{asked} needs the package optuna: pip install 'ganlab[sweeps]'")


def open_journal(path: Path) -> "JournalStorage":
    """The storage in that file, which is made if it is not there."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(str(path)))


def build_pruner(name: str, options: Mapping[str, Any]) -> "BasePruner":
    """The pruner of that name; raises `ConfigError` for options that it does not have."""
    from optuna import pruners

    return built(getattr(pruners, _PRUNERS[name]), options, "hydra.sweeper.pruner_options")


def built(kind: Any, options: Mapping[str, Any], key: str) -> Any:
    """An object of a class of optuna's; raises `ConfigError` that names `key` for arguments which it refuses."""
    try:
        return kind(**options)
    except (TypeError, ValueError) as error:
        reason = reason_of(error).replace(f"{kind.__name__}.__init__() ", "")
        raise ConfigError(f"{key}={dict(options)}: {kind.__name__} {reason}") from None


class RunningTrial:
    """One trial of the study in a sweep's journal, for the job that it is.

    Raises `KeyError` if there is no such study or trial.
    """

    def __init__(self, journal: Path, number: int) -> None:
        from optuna import load_study

        self._storage = open_journal(journal)
        self._study = load_study(study_name=STUDY, storage=self._storage)
        pruner = self._study.user_attrs.get(PRUNER, {"name": "none", "options": {}})
        self._pruner = build_pruner(pruner["name"], pruner["options"])
        self._id = self._storage.get_trial_id_from_study_id_trial_number(
            self._storage.get_study_id_from_name(STUDY), number
        )

    @property
    def better(self) -> Better:
        """Which way the study takes a value to be better."""
        return "higher" if self._study.direction.name == "MAXIMIZE" else "lower"

    def report(self, value: float, step: int) -> None:
        """Tell the study what this trial had reached by that step."""
        self._storage.set_trial_intermediate_value(self._id, step, value)

    def should_end(self) -> bool:
        """Whether the pruner would end the trial, by all that the study's trials have told."""
        return self._pruner.prune(self._study, self._storage.get_trial(self._id))
