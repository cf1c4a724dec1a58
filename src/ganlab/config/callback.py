"""Hydra's hook before a run: check the configuration, prepare the run's folder, or refuse.

Hydra calls it after composing and before it makes a folder, so that a refused run leaves nothing behind.
"""

import os
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from ganlab.config.check import problems_of, unused_optimizers
from ganlab.config.processes import end, meet, settle_processes, share_folder
from ganlab.config.ranks import is_first, launched
from ganlab.config.resume import rebase, task_overrides
from ganlab.errors import ConfigError, GanlabError, OutputError
from ganlab.files import CLAIMED, claim_folder


class CheckConfig(Callback):
    """Refuses what cannot run: problems go to standard error, a line each, and the exit code is 2."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        # Hydra turns an Exception of a callback into a warning, and would train; SystemExit passes.
        try:
            prepare(config)
        except GanlabError as mistake:
            end(mistake)
        except Exception:
            traceback.print_exc()
            raise SystemExit(1) from None

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        world = launched()
        if world is not None and world.processes > 1:
            end(ConfigError(f"-m: {world}, and each would run the whole sweep; start a sweep as one process"))


def prepare(config: DictConfig) -> None:
    """Check a composed configuration and settle its folder, both in place; raises `GanlabError`."""
    if config.get("resume") is not None:
        rebase(config)
    overrides = task_overrides(config.hydra)
    check_job(config, overrides)
    settle_processes(config, overrides)
    world = launched()
    if world is not None and world.processes > 1:
        share_folder(config, meet(), settle_folder)
    elif is_first() and config.get("resume") is None:
        settle_folder(config)


def check_job(config: DictConfig, overrides: Iterable[str]) -> None:
    """Check the configuration of one job, and drop from it, in place, what its model has no use for."""
    drop_unused_optimizers(config, overrides)
    check(config)


def drop_unused_optimizers(config: DictConfig, overrides: Iterable[str]) -> None:
    """Remove the optimizers of networks that the model does not have; refuse one that was asked for by name."""
    unused = unused_optimizers(config)
    if not unused:
        return
    model = config.get("model") or {}
    trained = ", ".join(model.get("trains") or [])
    asked = [
        f"{override.lstrip('+~')}: model={model.get('name')} trains {trained} and no {network}"
        for override in overrides
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
    task = _without_hydra(config)
    written: Any = OmegaConf.to_container(task, resolve=False)
    try:
        resolved: Any = OmegaConf.to_container(task, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise ConfigError(_told(error)) from None
    problems = problems_of(resolved, set(_derived(written)))
    if problems:
        raise ConfigError("\n".join(problems))


def _told(error: OmegaConfBaseException) -> str:
    where = f"{error.full_key}: " if error.full_key else ""
    return f"{where}{str(error).splitlines()[0]}"


def _derived(node: dict[Any, Any], prefix: str = "") -> Iterator[str]:
    """Dotted names of the values that follow from others by interpolation, wholly or (a list) in part."""
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _derived(value, f"{prefix}{key}.")
        elif "${" in str(value):
            yield f"{prefix}{key}"


def _without_hydra(config: DictConfig) -> DictConfig:
    task = config.copy()
    with open_dict(task):
        task.pop("hydra", None)
    return task


def settle_folder(config: DictConfig) -> None:
    """Claim the run's folder, or one beside it if another run began in the same second.

    Raises `OutputError` where it cannot be written.
    """
    try:
        wanted = Path(config.hydra.run.dir)
    except OmegaConfBaseException as error:
        raise ConfigError(f"hydra.run.dir: {_told(error)}") from None
    if os.environ.get(CLAIMED) == str(wanted):
        return
    if wanted.name in ("", ".."):
        raise OutputError(f"hydra.run.dir={wanted}: a run needs a folder of its own; name one")
    try:
        folder = claim_folder(wanted)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OutputError(f"hydra.run.dir={wanted}: cannot be written ({reason}); choose another folder") from None
    if folder != wanted:
        config.hydra.run.dir = str(folder)
