"""Hydra as it is, but for what it does again and again: reading the same files, composing each command line twice."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.core_plugins.importlib_resources_config_source import ImportlibResourcesConfigSource
from hydra._internal.hydra import Hydra


@contextmanager
def quick_hydra() -> Iterator[None]:
    """Within it ganlab's and Hydra's configuration files are read once."""
    patch = pytest.MonkeyPatch()
    for source in (FileConfigSource, ImportlibResourcesConfigSource):
        patch.setattr(source, "load_config", _remembered(source.load_config))
    patch.setattr(Hydra, "get_mode", _only_where_it_may_be_set(Hydra.get_mode))
    try:
        yield
    finally:
        patch.undo()


def _remembered(load: Any) -> Any:
    known: dict[tuple[str, str], Any] = {}

    def load_config(self: Any, config_path: str) -> Any:
        place = (self.path, config_path)
        if place not in known:
            known[place] = load(self, config_path)
        return copy.deepcopy(known[place])

    return load_config


def _only_where_it_may_be_set(whole: Any) -> Any:
    """Hydra composes everything only to see hydra.mode, which no file of ganlab's sets."""

    def get_mode(self: Any, config_name: Any, overrides: list[str]) -> Any:
        return whole(self, config_name, overrides) if any("hydra" in word for word in overrides) else None

    return get_mode
