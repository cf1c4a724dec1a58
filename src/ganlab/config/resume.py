"""A run that goes on: its own configuration, and what the user changes for the rest of it."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel
from yaml import AliasEvent, CollectionEndEvent, CollectionStartEvent, SafeLoader, YAMLError, parse

from ganlab.config.schema import CallbacksConfig, LoggerConfig, MetricsConfig, RunConfig, TrainerConfig
from ganlab.config.trust import DEEPEST, verify_resolved, verify_run_configuration
from ganlab.errors import CheckpointError, ConfigError
from ganlab.typed_path import typed_path

CONFIG_FILE = Path(".hydra") / "config.yaml"
LAST_CHECKPOINT = Path("checkpoints") / "last.ckpt"
LONGEST = 2**18
"""Bytes of a run's configuration; those of ganlab's have a few thousand."""
OF_EVERY_RUN: dict[str, type[BaseModel]] = {
    "trainer": TrainerConfig,
    "callbacks": CallbacksConfig,
    "metrics": MetricsConfig,
    "logger": LoggerConfig,
}
"""Groups whose keys are the same in all runs: one of an earlier version lacks those that came later."""


def find_run(path: str | Path, key: str = "run") -> tuple[Path, Path]:
    """The run folder and the checkpoint that `key`=`path` means: a run folder, or a checkpoint inside one.

    Raises `CheckpointError` if there is none.
    """
    given = typed_path(path, key, CheckpointError)
    if not given.exists():
        raise CheckpointError(
            f"{key}={given}: there is no such run; give a folder that a run made, such as outputs/<name>/<date>"
        )
    if given.is_file():
        return (given.parent.parent if given.parent.name == "checkpoints" else given.parent), given
    checkpoint = given / LAST_CHECKPOINT
    if not checkpoint.is_file():
        if (given / CONFIG_FILE).is_file():
            reason = f"it has no {LAST_CHECKPOINT}, since it ended before its first checkpoint; start it again"
            raise CheckpointError(f"{key}={given}: not a run that can go on: {reason}")
        inside = sorted(found.parent.parent for found in given.glob(f"*/{LAST_CHECKPOINT}"))
        hint = f"; did you mean {inside[-1]}?" if inside else "; a run folder holds checkpoints/last.ckpt"
        raise CheckpointError(f"{key}={given}: not a run that can go on: it has no {LAST_CHECKPOINT}{hint}")
    return given, checkpoint


def rebase(config: DictConfig) -> None:
    """Replace the composed configuration, in place, by that of the run in `config.resume`.

    Overrides of this command other than `resume` are applied on top. Group choices
    (model=…) are refused: they would make another model. The run may be a stranger's: what it names is looked at first.
    """
    folder, checkpoint = find_run(str(config.resume), "resume")
    own = _own_configuration(folder)
    trusted = bool(config.get("trust"))
    typed = [(override, *override.lstrip("+").partition("=")[::2]) for override in task_overrides(config.hydra)]
    _verify(own, folder, {key for _, key, _ in typed}, trusted)
    _complete(own, config)
    for override, key, value in typed:
        if key not in ("resume", "trust"):
            _apply(own, key, value, override)
    with open_dict(config):
        for group in [group for group in config if group != "hydra"]:
            del config[group]
        for group, node in own.items_ex(resolve=False):
            config[group] = node
        config.resume, config.trust = str(checkpoint), trusted
        config.hydra.run.dir = str(folder)
        config.hydra.output_subdir = None


def task_overrides(hydra: DictConfig) -> list[str]:
    """The overrides as they were typed: reading them one by one would resolve the interpolations in them."""
    overrides: Any = OmegaConf.to_container(hydra.overrides.task, resolve=False)
    return list(overrides)


def _own_configuration(folder: Path) -> DictConfig:
    try:
        own = OmegaConf.create(_plain_text(folder / CONFIG_FILE))
        if isinstance(own, DictConfig) and "model" in own:
            return own
        reason = "it is not the configuration of a run"
    except (OSError, ValueError, YAMLError, OmegaConfBaseException, RecursionError) as error:
        reason = getattr(error, "strerror", None) or (str(error).splitlines() or [type(error).__name__])[0]
    raise CheckpointError(f"resume={folder}: {folder / CONFIG_FILE} cannot be used: {reason}")


def _plain_text(path: Path) -> str:
    """A YAML file's text; raises `ValueError` for one that is too large, or that grows when it is read."""
    with path.open("rb") as file:
        content = file.read(LONGEST + 1)
    if len(content) > LONGEST:
        raise ValueError(f"it is longer than {LONGEST:,} bytes")
    text = content.decode()
    depth = 0
    for event in parse(text, SafeLoader):  # as it goes: what is nested deeply takes the reader hours
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError(f"it has more than {DEEPEST} levels")
        if isinstance(event, AliasEvent):
            raise ValueError("it has YAML aliases, which a run does not write")
    return text


def _verify(own: DictConfig, folder: Path, typed: Collection[str], trusted: bool) -> None:
    """Raise `CheckpointError` unless the run's configuration may be used, as it is written and as it is resolved.

    `typed`: keys that the user sets anew, whose values are not used.
    """
    run = f"resume={folder}"
    written = OmegaConf.to_container(own, resolve=False)
    verify_run_configuration(_without(written, typed), run, trusted=trusted)
    if trusted:
        return
    try:
        resolved = OmegaConf.to_container(own, resolve=True)
    except (OmegaConfBaseException, RecursionError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"{run}: {folder / CONFIG_FILE} cannot be used: {reason}") from None
    used = _without(resolved, typed)
    verify_run_configuration(used, run, trusted=False)
    verify_resolved(used, run)


def _without(config: Any, keys: Collection[str], prefix: str = "") -> Any:
    """A container without the values at dotted keys."""
    if not isinstance(config, dict):
        return config
    kept = {name: child for name, child in config.items() if f"{prefix}{name}" not in keys}
    return {name: _without(child, keys, f"{prefix}{name}.") for name, child in kept.items()}


def _complete(own: DictConfig, config: DictConfig) -> None:
    """Give a run of an earlier version the keys that came later, with what they are in `config`."""
    _add_missing(own, config, RunConfig)
    for group, schema in OF_EVERY_RUN.items():
        if isinstance(own[group], DictConfig) and isinstance(config[group], DictConfig):
            _add_missing(own[group], config[group], schema)


def _add_missing(own: DictConfig, config: DictConfig, schema: type[BaseModel]) -> None:
    with open_dict(own):
        for name, node in config.items_ex(resolve=False):
            if name in schema.model_fields and name not in own:
                own[name] = node


def _apply(config: DictConfig, key: str, value: str, override: str) -> None:
    if key.startswith("hydra"):
        return
    if key == "experiment" or isinstance(config.get(key), DictConfig) or "/" in key or "@" in key:
        raise ConfigError(f"{override}: a run that is resumed keeps its {key}; start a new run for another one")
    try:
        parsed: Any = OmegaConf.from_dotlist([f"{key}={value}"])
        if OmegaConf.select(config, key, default=None) is None and key.rpartition(".")[0]:
            parent = OmegaConf.select(config, key.rpartition(".")[0], default=None)
            if not isinstance(parent, DictConfig) or key.rpartition(".")[2] not in parent:
                raise ConfigError(f"{override}: unknown key")
        OmegaConf.update(config, key, OmegaConf.select(parsed, key), merge=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{override}: {str(error).splitlines()[0]}") from None
