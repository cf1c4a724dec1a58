"""The presets of conf/experiment: what they say is what is run."""

import pytest
from omegaconf import OmegaConf

from ganlab.config.paths import conf_folder

PRESETS = sorted((conf_folder() / "experiment").glob("*.yaml"))


def named(preset):
    return preset.stem


def leaves(node, path=""):
    """Dotted name to value."""
    if not isinstance(node, dict):
        return {path: node}
    found = {}
    for key, child in node.items():
        found |= leaves(child, f"{path}.{key}" if path else key)
    return found


@pytest.mark.parametrize("preset", PRESETS, ids=named)
def test_what_a_preset_says_is_what_is_run(settings, preset):
    """A group that is composed later, or a model that brings its optimizer, could have the last word instead."""
    said = OmegaConf.to_container(OmegaConf.load(preset))
    chosen = {key: value for choice in said.pop("defaults") for key, value in choice.items()}
    run = leaves(settings(f"experiment={preset.stem}"))
    assert {name: run[name] for name in leaves(said)} == leaves(said)
    assert run["model.name"] == chosen["override /model"] and run["data.name"] == chosen["override /data"]
    if "override /optimizer" in chosen:
        trained = [key for key in run if key.startswith("optimizer.") and key.endswith(".algorithm")]
        assert {run[key] for key in trained} == {chosen["override /optimizer"]}


@pytest.mark.parametrize("preset", PRESETS, ids=named)
def test_a_preset_tells_its_command(preset):
    assert f"#   python -m ganlab experiment={preset.stem}" in "\n".join(preset.read_text().splitlines()[:4])
