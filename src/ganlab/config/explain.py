"""Hydra's refusals in this project's words: every wrong override, a line each, the nearest right one beside it."""

import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ganlab.config.nearest import nearest
from ganlab.config.paths import conf_folder
from ganlab.errors import typed

REFUSALS = (HydraException, OmegaConfBaseException, ValueError, TypeError)
"""What Hydra raises for overrides that cannot be composed."""
EXTRAS = {"ray": "ray"}
"""Which extra of this package brings what a sweep of that name needs; all others need `sweeps`."""


def explain(overrides: Sequence[str], config_dir: str | None, original: Exception, sweep: bool = False) -> str:
    """Lines that say what is wrong with the overrides that Hydra refused; `original` if nothing else is found.

    `sweep`: they may hold several values, of which the first is looked at.
    """
    GlobalHydra.instance().clear()
    remaining = [_first_of(override) for override in overrides] if sweep else list(overrides)
    lines: list[str] = []
    search = (f"hydra.searchpath=[file://{Path(config_dir).resolve()}]",) if config_dir else ()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        while remaining:
            try:
                compose("config", overrides=[*remaining, *search])
            except REFUSALS as error:
                line, culprit = _line(error, remaining, search)
                if culprit is None:
                    break
                lines.append(line.replace(culprit, typed(culprit)) if culprit else line)
                remaining.remove(culprit)
            else:
                break
    return "\n".join(lines) or _first_line(original)


def _first_of(override: str) -> str:
    """An override with the first of its values: model=gan for model=gan,lsgan."""
    try:
        (parsed,) = OverridesParser.create().parse_overrides([override])
        if not parsed.is_sweep_override():
            return override
        first = next(parsed.sweep_string_iterator())
    except (HydraException, StopIteration):
        return override
    return f"{override.partition('=')[0]}={first}"


def _line(error: Exception, overrides: list[str], search: tuple[str, ...]) -> tuple[str, str | None]:
    message = str(error)
    for override in overrides:
        extra = EXTRAS.get(override.removeprefix("sweep="), "sweeps") if override.startswith("sweep=") else None
        if extra and "Could not find 'hydra/" in message:
            return f"{override}: needs a package that is not installed: pip install 'ganlab[{extra}]'", override
    unreadable = getattr(error, "override", None)
    if unreadable in overrides:
        return f"{unreadable}: cannot be read as key=value ({_first_line(error)})", unreadable
    if (without := re.match(r"In 'experiment/.+?': Could not override '(.+?)'", message)) is not None:
        return _does_not_suit(without[1], overrides)
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        if f"'{key}/{value}'" in message:
            options = re.findall(r"^\t(\S+)$", message, flags=re.MULTILINE)
            return f"{override}: there is no {key} named {value}{_options(value, options)}", override
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0]
        if override.startswith("+") and f"already at '{key}'" in message:
            return f"{override}: this key is there already; leave the + out", override
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0]
        if key and (f"'{key}'" in message or f"'{key}@" in message):
            return f"{override}: unknown key{_nearest_key(key, _choices(overrides), search)}", override
    for override in sorted(overrides, key=_is_plain):
        if f"'{override}'" in message or f" {override}" in message or not _composes(override, search):
            return f"{override}: {_first_line(error)}", override
    return "", None


def _does_not_suit(group: str, overrides: Sequence[str]) -> tuple[str, str | None]:
    """A preset that chooses of a group, model/coders, which what was typed beside it has not."""
    preset = next((override for override in overrides if override.lstrip("+").startswith("experiment=")), None)
    if preset is None:
        return "", None
    whole = group.partition("/")[0]
    beside = next((override for override in overrides if override.startswith(f"{whole}=")), f"its {whole}")
    return f"{preset}: chooses {group}, which {beside} does not have; leave one of the two out", preset


def _is_plain(override: str) -> bool:
    """Whether it is key=value without signs; such ones are tried last, for each try takes a while."""
    return re.fullmatch(r"\w+(\.\w+)*=[\w.,\[\]-]*", override) is not None


def _composes(override: str, search: tuple[str, ...]) -> bool:
    try:
        compose("config", overrides=[override, *search])
    except REFUSALS:
        return False
    return True


def _options(value: str, options: list[str]) -> str:
    close = nearest(value, options)
    listed = f"; there are: {', '.join(options)}"
    return close if close == listed else f"{close}{listed}"


def _choices(overrides: list[str]) -> tuple[str, ...]:
    """The overrides that choose a file of a group, model=wgan: which keys there are depends on them."""
    return tuple(override for override in overrides if "." not in override.lstrip("+~").partition("=")[0])


def _nearest_key(key: str, choices: tuple[str, ...], search: tuple[str, ...]) -> str:
    """The nearest keys of the group that is meant, or of the whole configuration if there is no such group."""
    known, group = _known_keys(choices, search) or _known_keys((), search), key.rpartition(".")[0]
    inside = [other for other in known if group and other.rpartition(".")[0] == group]
    return nearest(key, inside or known) or nearest(key, [other for other in known if "." not in other])


@functools.cache
def _known_keys(choices: tuple[str, ...], search: tuple[str, ...]) -> list[str]:
    try:
        config = compose("config", overrides=[*choices, *search], return_hydra_config=True)
    except REFUSALS:
        return []
    return _names(OmegaConf.to_container(config, resolve=False), "")


def _names(node: Any, prefix: str) -> list[str]:
    if not isinstance(node, dict):
        return []
    return [name for key, value in node.items() for name in [f"{prefix}{key}", *_names(value, f"{prefix}{key}.")]]


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
