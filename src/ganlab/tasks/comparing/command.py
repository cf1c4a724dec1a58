"""The command line that makes a run once more."""

import shlex
from pathlib import Path
from typing import Any

from ganlab.config.words import quoted
from ganlab.tasks.comparing.labels import of_configuration, written
from ganlab.tasks.comparing.runs import Run, flat
from ganlab.tasks.console import python

NOT_AGAIN = ("seed", "resume", "sweep")
"""Keys that the command sets itself, or that are of the sweep and not of the run."""


def again(run: Run) -> str:
    """The command, quoted for a shell; where the run cannot be made from its overrides alone, a line that says so."""
    overrides = [word for word in run.overrides if _key(word) not in NOT_AGAIN and not _key(word).startswith("hydra")]
    overrides += changed_on_resume(run, overrides)
    if not all(word.isprintable() for word in overrides):
        return "the overrides of the best run hold control characters, and are not shown as a command"
    return shlex.join([python(), "-m", "ganlab", *overrides, f"seed={run.seed}"])


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0]


def changed_on_resume(run: Run, overrides: list[str]) -> list[str]:
    """Overrides for what a run was resumed with, which .hydra/overrides.yaml does not tell; of own files none.

    A resumed run's configuration is written down resolved, so that no key of it follows from another.
    """
    if run.derived:
        return []
    composed = _composed(overrides)
    if composed is None:
        return []
    saved = of_configuration(run)
    told = {key: value for key, value in saved.items() if key in composed and written(composed[key]) != written(value)}
    return [f"{key}={_for_hydra(value)}" for key, value in told.items()]


def _composed(overrides: list[str]) -> dict[str, Any] | None:
    """What ganlab's own configuration comes to with these overrides; None if it does not compose."""
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from ganlab.config import resolvers
    from ganlab.config.paths import conf_folder

    resolvers.register()
    try:
        with initialize_config_dir(str(Path(conf_folder())), version_base="1.3"):
            config: Any = OmegaConf.to_container(compose("config", overrides=overrides), resolve=True)
    except (HydraException, OmegaConfBaseException, ValueError):
        return None
    return flat(config)


def _for_hydra(value: Any) -> str:
    """A value in Hydra's grammar."""
    if isinstance(value, list):
        return "[" + ",".join(map(_for_hydra, value)) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_for_hydra(part)}" for key, part in value.items()) + "}"
    if isinstance(value, str):
        return quoted(value)
    return written(value)
