"""Data modules from the shipped configuration."""

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from ganlab.config import resolvers
from ganlab.config.paths import conf_folder

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def cache_dir(tmp_path, monkeypatch):
    """A cache of the test's own."""
    folder = tmp_path / "decoded"
    monkeypatch.setenv("GANLAB_CACHE", str(folder))
    return folder


@pytest.fixture
def build():
    """build("digits", "image_size=32"): the data module of conf/data/digits.yaml with `data.` overrides."""
    resolvers.register()

    def make(name, *overrides):
        with initialize_config_dir(str(conf_folder()), version_base="1.3"):
            config = compose(f"data/{name}", overrides=[f"data.{override}" for override in overrides])
        return instantiate(config.data, _convert_="all", _recursive_=False)

    return make


@pytest.fixture
def loaded(build):
    """The same, prepared and set up."""

    def make(name, *overrides):
        module = build(name, *overrides)
        module.prepare_data()
        module.setup("fit")
        return module

    return make
