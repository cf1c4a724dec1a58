"""conf/data: every file is complete, is explained, and composes."""

import re

import pytest
from omegaconf import OmegaConf

from ganlab.config import resolvers
from ganlab.config.check import problems_of
from ganlab.config.paths import conf_folder
from ganlab.config.signature import parameters_of

FILES = sorted((conf_folder() / "data").glob("*.yaml"))
NAMES = [file.stem for file in FILES]


@pytest.fixture(autouse=True)
def known_resolvers():
    resolvers.register()


def settings_of(file):
    return OmegaConf.to_container(OmegaConf.create({"data": OmegaConf.load(file)}), resolve=True)["data"]


def test_all_data_sets_are_there():
    assert set(NAMES) >= {
        *("digits", "mnist", "fashion_mnist", "cifar10", "celeba", "image_folder"),
        *("ring", "grid", "uniform", "swiss_roll", "stacked_digits"),
    }


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_every_key_is_one_of_the_constructors_and_the_other_way_round(file):
    settings = settings_of(file)
    assert settings["name"] == file.stem
    assert set(settings) - {"_target_"} == {parameter.name for parameter in parameters_of(settings["_target_"])}


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_every_key_has_a_comment(file):
    lines = file.read_text().splitlines()
    assert lines[0].startswith("# ")
    for line in lines[1:]:
        if not line.startswith(("_target_", "name:")):
            assert re.fullmatch(r"\w+: .+  +# .+|\w+: \S.* # .+", line), line


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_sizes_follow_one_another(file):
    settings = settings_of(file)
    if "image_size" in settings:
        assert settings["sample_shape"] == [settings["channels"], settings["image_size"], settings["image_size"]]
    else:
        assert settings["sample_shape"] == [2]
    assert settings["condition_size"] == settings["num_classes"]
    assert settings["batch_size"] == {"digits": 64}.get(file.stem, 128 if "image_size" in settings else 256)


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_the_check_accepts_it_and_tells_what_is_wrong(file):
    settings = settings_of(file)
    assert not [line for line in problems_of({"data": settings}) if line.startswith("data.")]
    wrong = settings | {"batch_size": -1, "num_classes": "many", "colour": True}
    lines = [line for line in problems_of({"data": wrong}) if line.startswith("data.")]
    assert {line.split("=")[0].split(":")[0] for line in lines} == {
        "data.batch_size",
        "data.num_classes",
        "data.colour",
    }


@pytest.mark.parametrize(("attributes", "size"), [("[]", 0), ("[Male,Smiling]", 2), ("all", 40), ("null", 0)])
def test_celebas_condition_follows_its_attributes(build, attributes, size):
    assert build("celeba", f"attributes={attributes}").condition_size == size


def test_the_cache_follows_the_environment(build, monkeypatch, tmp_path):
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "there"))
    assert build("image_folder").cache_dir == tmp_path / "there"
    monkeypatch.delenv("GANLAB_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert build("image_folder").cache_dir == tmp_path / ".cache" / "ganlab"
