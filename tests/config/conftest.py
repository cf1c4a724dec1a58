"""Configurations as the command line composes them, with Hydra's own part."""

from collections.abc import Callable

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from ganlab.config import resolvers
from ganlab.config.paths import conf_folder


@pytest.fixture
def job() -> Callable[..., DictConfig]:
    """job("model=gan", "hydra.run.dir=out"): composed, not checked."""
    resolvers.register()

    def composed(*overrides: str) -> DictConfig:
        with initialize_config_dir(str(conf_folder()), version_base="1.3"):
            return compose("config", overrides=list(overrides), return_hydra_config=True)

    return composed
