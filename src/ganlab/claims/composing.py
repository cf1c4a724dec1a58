"""Command lines of experiments as configurations, without a process for each."""

from collections.abc import Sequence
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from ganlab.config import resolvers
from ganlab.config.callback import check_job
from ganlab.config.paths import conf_folder


def composed(words: Sequence[str]) -> DictConfig:
    """What `python -m ganlab` would compose of these words, not checked yet; Hydra's own part is in it."""
    resolvers.register()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        config = compose("config", overrides=list(words), return_hydra_config=True)
    config.hydra.job.num = 0
    return config


def settings_of(words: Sequence[str]) -> dict[str, Any]:
    """The checked configuration as plain containers; raises `ConfigError` for what cannot be."""
    config = composed(words)
    check_job(config, words)
    own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    return OmegaConf.to_container(own, resolve=True)  # type: ignore[return-value]
