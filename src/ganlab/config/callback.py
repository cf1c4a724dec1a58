"""Hydra's hook before a run: check the configuration, prepare the run's folder, or refuse.

Hydra calls it after composing and before it makes a folder, so that a refused run leaves nothing behind.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from ganlab.config.check import problems_of, unused_optimizers
from ganlab.config.resume import rebase
from ganlab.errors import ConfigError, GanlabError, OutputError


class CheckConfig(Callback):
    """Refuses what cannot run: problems go to standard error, a line each, and the exit code is 2."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        # Hydra turns an Exception of a callback into a warning; SystemExit passes.
        try:
            prepare(config)
        except GanlabError as mistake:
            print(mistake, file=sys.stderr)
            raise SystemExit(mistake.exit_code) from None

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """A job of a sweep that runs in this process was not seen by `on_run_start`."""
        if config.hydra.mode is not None and config.hydra.mode.name == "MULTIRUN":
            drop_unused_optimizers(config)


def prepare(config: DictConfig) -> None:
    """Check a composed configuration and settle its folder, both in place; raises `GanlabError`."""
    if config.get("resume") is not None:
        rebase(config)
    drop_unused_optimizers(config)
    check(config)
    if "LOCAL_RANK" not in os.environ and config.get("resume") is None:
        settle_folder(config)


def drop_unused_optimizers(config: DictConfig) -> None:
    """Remove the optimizers of networks that the model does not have; refuse one that was asked for by name."""
    unused = unused_optimizers(config)
    trained = ", ".join(config.model.get("trains") or [])
    asked = [
        f"{override.lstrip('+~')}: model={config.model.get('name')} trains {trained} and no {network}"
        for override in config.hydra.overrides.task
        for network in unused
        if override.lstrip("+~").startswith(f"optimizer.{network}.")
    ]
    if asked:
        raise ConfigError("\n".join(asked))
    with open_dict(config):
        for network in unused:
            del config.optimizer[network]


def check(config: DictConfig) -> None:
    """Raise `ConfigError` with a line for each problem of the composed configuration."""
    try:
        resolved = OmegaConf.to_container(_without_hydra(config), resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        where = f"{error.full_key}: " if error.full_key else ""
        raise ConfigError(f"{where}{str(error).splitlines()[0]}") from None
    assert isinstance(resolved, dict)
    problems = problems_of({str(key): value for key, value in resolved.items()})
    if problems:
        raise ConfigError("\n".join(problems))


def _without_hydra(config: DictConfig) -> DictConfig:
    task = config.copy()
    with open_dict(task):
        task.pop("hydra", None)
    return task


def settle_folder(config: DictConfig) -> None:
    """Make a folder for the run alone: beside one that another run began in the same second, `_2`, and so on.

    Raises `OutputError` where it cannot be written.
    """
    wanted = Path(config.hydra.run.dir)
    folder, number = wanted, 1
    while folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
        number += 1
        folder = wanted.with_name(f"{wanted.name}_{number}")
    _make(folder)
    if folder != wanted:
        config.hydra.run.dir = str(folder)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.rmdir(tempfile.mkdtemp(dir=folder))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OutputError(f"hydra.run.dir={folder}: cannot be written ({reason}); choose another folder") from None
