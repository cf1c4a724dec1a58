"""A run that goes on: its own configuration, and what the user changes for the rest of it."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from ganlab.errors import CheckpointError, ConfigError

CONFIG_FILE = Path(".hydra") / "config.yaml"
LAST_CHECKPOINT = Path("checkpoints") / "last.ckpt"


def find_run(path: str | Path, key: str = "run") -> tuple[Path, Path]:
    """The run folder and the checkpoint that `key`=`path` means: a run folder, or a checkpoint inside one.

    Raises `CheckpointError` if there is none.
    """
    given = Path(path).expanduser()
    if not given.exists():
        raise CheckpointError(
            f"{key}={given}: there is no such run; give a folder that a run made, such as outputs/<name>/<date>"
        )
    if given.is_file():
        return (given.parent.parent if given.parent.name == "checkpoints" else given.parent), given
    checkpoint = given / LAST_CHECKPOINT
    if not checkpoint.is_file():
        inside = sorted(found.parent.parent for found in given.glob(f"*/{LAST_CHECKPOINT}"))
        hint = f"; did you mean {inside[-1]}?" if inside else "; a run folder holds checkpoints/last.ckpt"
        raise CheckpointError(f"{key}={given}: not a run that can go on: it has no {LAST_CHECKPOINT}{hint}")
    return given, checkpoint


def rebase(config: DictConfig) -> None:
    """Replace the composed configuration, in place, by that of the run in `config.resume`.

    Overrides of this command other than `resume` are applied on top. Group choices
    (model=…) are refused: they would make another model.
    """
    folder, checkpoint = find_run(str(config.resume), "resume")
    own = _own_configuration(folder)
    for override in task_overrides(config.hydra):
        key, _, value = override.lstrip("+").partition("=")
        if key != "resume":
            _apply(own, key, value, override)
    with open_dict(config):
        for group in [group for group in config if group != "hydra"]:
            del config[group]
        for group, node in own.items_ex(resolve=False):
            config[group] = node
        config.resume = str(checkpoint)
        config.hydra.run.dir = str(folder)
        config.hydra.output_subdir = None


def task_overrides(hydra: DictConfig) -> list[str]:
    """The overrides as they were typed: reading them one by one would resolve the interpolations in them."""
    overrides: Any = OmegaConf.to_container(hydra.overrides.task, resolve=False)
    return list(overrides)


def _own_configuration(folder: Path) -> DictConfig:
    try:
        own = OmegaConf.load(folder / CONFIG_FILE)
        if isinstance(own, DictConfig) and "model" in own:
            return own
        reason = "it is not the configuration of a run"
    except (OSError, ValueError, YAMLError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
    raise CheckpointError(f"resume={folder}: {folder / CONFIG_FILE} cannot be used: {reason}")


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
