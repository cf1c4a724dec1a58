"""Hydra's refusals in this project's words: every wrong override, a line each, the nearest right one beside it."""

import re
from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from ganlab.config.check import nearest
from ganlab.config.paths import conf_folder

_PASSED_OVER = ("hydra.", "hydra/")


def explain(overrides: Sequence[str], config_dir: str | None, original: Exception) -> str:
    """Lines that say what is wrong with the overrides that Hydra refused; `original` if nothing else is found."""
    GlobalHydra.instance().clear()
    remaining = [o for o in overrides if not o.startswith(_PASSED_OVER)]
    lines: list[str] = []
    search = [f"hydra.searchpath=[file://{Path(config_dir).resolve()}]"] if config_dir else []
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        for _ in range(len(remaining) + 1):
            try:
                compose("config", overrides=[*remaining, *search])
            except HydraException as error:
                line, culprit = _line(error, remaining, search)
                if culprit is None:
                    break
                lines.append(line)
                remaining.remove(culprit)
            else:
                break
    return "\n".join(lines) or _first_line(original)


def _line(error: Exception, overrides: list[str], search: list[str]) -> tuple[str, str | None]:
    message = str(error)
    unreadable = getattr(error, "override", None)
    if unreadable in overrides:
        return f"{unreadable}: cannot be read as key=value ({_first_line(error)})", unreadable
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        if f"'{key}/{value}'" in message:
            options = re.findall(r"^\t(\S+)$", message, flags=re.MULTILINE)
            return f"{override}: there is no {key} named {value}{_options(value, options)}", override
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0]
        if f"'{key}'" in message or f"'{key}@" in message:
            return f"{override}: unknown key{nearest(key, _known_keys(search))}", override
    for override in overrides:
        if f"'{override}'" in message or f" {override}" in message:
            return f"{override}: {_first_line(error)}", override
    return "", None


def _options(value: str, options: list[str]) -> str:
    close = nearest(value, options)
    listed = f"; there are: {', '.join(options)}"
    return close if close == listed else f"{close}{listed}"


def _known_keys(search: list[str]) -> list[str]:
    try:
        return _leaves(compose("config", overrides=search), "")
    except HydraException:
        return []


def _leaves(config: DictConfig, prefix: str) -> list[str]:
    keys = []
    for key, value in config.items_ex(resolve=False):
        keys.append(f"{prefix}{key!s}")
        if OmegaConf.is_dict(value):
            keys += _leaves(value, f"{prefix}{key!s}.")
    return keys


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
