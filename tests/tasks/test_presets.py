"""The presets of conf/experiment, and the table of benchmarks/quality.py that measures them."""

import importlib.util
import json
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from ganlab.config.paths import conf_folder
from ganlab.config.scores import generic

PRESETS = sorted((conf_folder() / "experiment").glob("*.yaml"))
NEED_FILES = {"dcgan_paper"}


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
        assert run["optimizer.generator.algorithm"] == chosen["override /optimizer"]


@pytest.mark.parametrize("preset", PRESETS, ids=named)
def test_a_preset_tells_its_command(preset):
    assert f"#   python -m ganlab experiment={preset.stem}" in "\n".join(preset.read_text().splitlines()[:4])


# -- benchmarks/quality.py --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def quality():
    path = Path(__file__).parents[2] / "benchmarks" / "quality.py"
    specification = importlib.util.spec_from_file_location("quality", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_every_row_is_a_command_that_passes_the_check(settings, quality):
    for row in quality.ROWS.values():
        settings(*row.words.split(), "seed=0")
        assert all(generic(name) for name in row.scores.split() if "(" not in name)


def test_every_preset_that_needs_no_files_is_measured(quality):
    measured = {word for row in quality.ROWS.values() for word in row.words.split() if word.startswith("experiment=")}
    assert measured == {f"experiment={preset.stem}" for preset in PRESETS if preset.stem not in NEED_FILES}


def test_rank_correlation_is_over_iterations_where_both_are_logged(quality, tmp_path):
    table = tmp_path / "metrics.csv"
    rows = [(1, 9, ""), (2, 1, 10), (3, "", 99), (4, 2, 40), (5, 3, 20), (6, 4, 30)]
    table.write_text("iteration,a,b\n" + "".join(f"{i},{a},{b}\n" for i, a, b in rows))
    # Ranks of b are 1, 4, 2, 3: 1 - 6 (0 + 4 + 1 + 1) / (4 * 15).
    assert quality.rank_correlation(table, "a", "b") == pytest.approx(1 - 6 * 6 / 60)


@pytest.fixture
def finished_run(tmp_path):
    """finished_run(seed, words, fd, recall): a folder as a run leaves it."""

    def written(seed, words, fd, recall):
        folder = tmp_path / f"seed_{seed}"
        (folder / ".hydra").mkdir(parents=True)
        (folder / ".hydra" / "overrides.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(words)))
        scores = {
            "metric/fd_digits": {"value": fd, "better": "lower", "real": 0.05},
            "metric/recall": {"value": recall, "better": "higher", "real": 0.9},
        }
        (folder / "results.json").write_text(json.dumps({"wall_seconds": 10.0 * seed, "scores": scores}))
        return folder

    return written


def test_the_worst_is_on_the_side_that_is_worse(quality, finished_run, capsys):
    words = [["seed=1"], ["seed=2"], ["seed=3"]]
    given = [(1, 0.4, 0.7), (2, 0.1, 0.8), (3, 0.2, 0.6)]
    folders = [finished_run(seed, word, fd, recall) for word, (seed, fd, recall) in zip(words, given, strict=True)]
    row = quality.Row("model=dcgan", "fd_digits recall", "published: 0.3")
    quality.tell("name", row, [1, 2, 3], [quality.run(*pair) for pair in zip(folders, words, strict=True)])
    lines = [line.strip() for line in capsys.readouterr().out.strip().splitlines()]
    assert lines == [
        "name: python -m ganlab model=dcgan",
        "seeds [1, 2, 3], 20 s a run",
        "published: 0.3",
        "fd_digits        median 0.2, worst 0.4 (real samples 0.05)",
        "recall           median 0.7, worst 0.6 (real samples 0.9)",
    ]


def test_a_kept_run_serves_the_same_words_only(quality, finished_run, tmp_path):
    folder = finished_run(1, ["seed=1", "trainer.threads=1"], 0.1, 0.5)
    assert quality.finished(folder, ["seed=1", "trainer.threads=1"])
    assert not quality.finished(folder, ["seed=1"])
    (folder / "results.json").unlink()
    assert not quality.finished(folder, ["seed=1", "trainer.threads=1"])
    assert not quality.finished(tmp_path / "none", ["seed=1"])
