"""The command that makes a run once more survives the shell and Hydra's parser."""

import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from run_folders import write_run

from ganlab.tasks.comparing.command import _for_hydra, again
from ganlab.tasks.comparing.runs import read_runs

OVERRIDES = [
    "model=lsgan",
    "model.codes=[10,uniform,'a b']",
    r"+model.note='it\'s $HOME; `ls`'",
    "++data.root='/tmp/a, b'",
    "model.extra={_target_: mynet.Net, width: 8}",
    "~model.a",
]


def run_of(folder, *overrides, seed=0):
    write_run(folder, seed=seed)
    (folder / ".hydra" / "overrides.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(list(overrides))))
    return read_runs([str(folder)]).runs[0]


def words_of(command):
    python, *words = shlex.split(command)
    assert python.endswith("python") and words[:2] == ["-m", "ganlab"]
    return words[2:]


def test_every_override_comes_through_shell_and_parser_as_it_was_typed(tmp_path):
    run = run_of(tmp_path / "a", *OVERRIDES, "seed=7", seed=7)
    words = words_of(again(run))
    assert words == [*OVERRIDES, "seed=7"]
    parser = OverridesParser.create()
    parsed = {override.key_or_group: override.value() for override in parser.parse_overrides(words)}
    assert parsed["model.note"] == "it's $HOME; `ls`" and parsed["data.root"] == "/tmp/a, b"
    assert parsed["model.codes"] == [10, "uniform", "a b"] and parsed["seed"] == 7


@pytest.mark.parametrize(
    "value",
    ["a b", "it's", "a\\", "a\\'b", "\\\\", "", "null", "1e-3", [1, "x, y", [None, True]], {"a": "b: c", "d": 0.5}],
)
def test_values_are_written_so_that_hydra_reads_them_back(value):
    (parsed,) = OverridesParser.create().parse_overrides([f"key={_for_hydra(value)}"])
    assert parsed.value() == value


def test_the_seed_is_told_also_where_it_was_not_typed_and_the_sweep_is_not(tmp_path):
    run = run_of(tmp_path / "a", "sweep=joblib", "hydra.job.num=3", "resume=x", "model=wgan", seed=3)
    assert words_of(again(run)) == ["model=wgan", "seed=3"]


def test_control_characters_are_never_offered_to_paste(tmp_path):
    assert "control characters" in again(run_of(tmp_path / "a", "model.loss=a\nrm -rf x"))


def test_what_a_resumed_run_became_is_added(tmp_path, settings):
    typed = ["model=gan", "data=ring", "trainer.max_iterations=100"]
    run = run_of(tmp_path / "a", *typed)
    became = settings(*typed, "trainer.max_iterations=300", "optimizer.generator.betas=[0.1,0.2]", "trainer.threads=1")
    (run.folder / ".hydra" / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(became)))
    words = words_of(again(read_runs([str(run.folder)]).runs[0]))
    assert words[:3] == typed and words[-1] == "seed=0"
    assert sorted(words[3:-1]) == ["optimizer.generator.betas=[0.1,0.2]", "trainer.max_iterations=300"]


@pytest.mark.parametrize("typed", [["model=there_is_none"], ["model=gan", "nonsense[[="]])
def test_overrides_of_configurations_that_are_not_here_are_told_as_they_are(tmp_path, typed):
    run = run_of(tmp_path / "a", *typed)
    resolved = OmegaConf.to_yaml(OmegaConf.create({"model": {"name": "x"}, "seed": 0}))
    (run.folder / ".hydra" / "config.yaml").write_text(resolved)
    assert words_of(again(read_runs([str(run.folder)]).runs[0])) == [*typed, "seed=0"]
