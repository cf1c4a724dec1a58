"""Configurations as the command line composes them, with Hydra's own part."""

import os
from collections.abc import Callable

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from ganlab.config import resolvers
from ganlab.config.paths import conf_folder
from launchers import FOREIGN


@pytest.fixture
def job() -> Callable[..., DictConfig]:
    """job("model=gan", "hydra.run.dir=out"): composed, not checked."""
    resolvers.register()

    def composed(*overrides: str) -> DictConfig:
        with initialize_config_dir(str(conf_folder()), version_base="1.3"):
            return compose("config", overrides=list(overrides), return_hydra_config=True)

    return composed


@pytest.fixture
def environment(monkeypatch) -> Callable[..., None]:
    """environment(RANK="1", …): these variables, and nothing else of what launchers leave."""
    for name in [name for name in os.environ if name.startswith(FOREIGN)]:
        monkeypatch.delenv(name)

    def given(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return given
