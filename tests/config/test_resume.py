import re

import pytest
from omegaconf import OmegaConf

from ganlab.config.resume import find_run, rebase
from ganlab.errors import CheckpointError, ConfigError


@pytest.fixture
def run_folder(tmp_path, job):
    """A run's folder with its own configuration (a GAN on the ring, seed 7) and two files in place of checkpoints."""
    folder = tmp_path / "outputs" / "gan-ring" / "first"
    (folder / ".hydra").mkdir(parents=True)
    (folder / "checkpoints").mkdir()
    for name in ("last.ckpt", "iteration_000004.ckpt"):
        (folder / "checkpoints" / name).write_bytes(b"weights")
    config = job("model=gan", "data=ring", "seed=7", "model.latent_dim=3", "optimizer.generator.lr=0.25")
    own = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
    OmegaConf.save(own, folder / ".hydra" / "config.yaml")
    return folder


def test_find_run_by_folder_and_by_file(run_folder):
    last, earlier = (run_folder / "checkpoints" / name for name in ("last.ckpt", "iteration_000004.ckpt"))
    assert find_run(run_folder) == (run_folder, last)
    assert find_run(last) == (run_folder, last)
    assert find_run(earlier) == (run_folder, earlier)


def test_a_file_outside_a_checkpoints_folder(tmp_path):
    moved = tmp_path / "mine.ckpt"
    moved.write_bytes(b"weights")
    assert find_run(moved) == (tmp_path, moved)


def test_the_folder_above_a_run(run_folder):
    with pytest.raises(CheckpointError, match=f"^resume={run_folder.parent}: .*did you mean {run_folder}\\?$"):
        find_run(run_folder.parent, "resume")


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_what_is_no_run(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError) as error:
        find_run(tmp_path / name)
    assert str(error.value).startswith(f"run={tmp_path / name}: ") and "\n" not in str(error.value)


def test_the_runs_own_configuration_replaces_the_default(run_folder, job):
    config = job(f"resume={run_folder}")
    rebase(config)
    assert (config.model.name, config.data.name, config.seed, config.model.latent_dim) == ("gan", "ring", 7, 3)
    assert config.optimizer.generator.lr == 0.25 and config.optimizer.discriminator.lr == 1e-3
    assert config.resume == str(run_folder / "checkpoints" / "last.ckpt")
    assert config.hydra.run.dir == str(run_folder)
    assert config.hydra.output_subdir is None  # Hydra would write over the run's configuration


def test_overrides_are_applied_on_top(run_folder, job):
    config = job(
        f"resume={run_folder}",
        "trainer.max_iterations=9",
        "trainer.evaluate_every=3",
        "+optimizer.generator.clip_norm=1.5",
        "trainer.sample_every=null",
        "name='a b'",
        "hydra.run.dir=elsewhere",
    )
    rebase(config)
    assert (config.trainer.max_iterations, config.trainer.evaluate_every, config.trainer.sample_every) == (9, 3, None)
    assert config.optimizer.generator.clip_norm == 1.5
    assert config.name == "a b"
    assert config.seed == 7
    assert config.hydra.run.dir == str(run_folder)


def test_what_follows_from_an_override_follows(run_folder, job):
    config = job(f"resume={run_folder}", "++data.num_modes=5")
    rebase(config)
    assert (config.data.num_classes, config.data.condition_size) == (5, 5)


@pytest.mark.parametrize("override", ["model=cgan", "data=grid", "optimizer=sgd", "logger=csv", "model/networks=mlp"])
def test_another_choice_of_a_group_is_refused(run_folder, job, override):
    config = job(f"resume={run_folder}", override)
    with pytest.raises(ConfigError, match=f"^{re.escape(override)}: a run that is resumed keeps its "):
        rebase(config)


@pytest.mark.parametrize("override", ["+trainer.max_iteration=9", "data.image_size=8", "+foo.bar=3"])
def test_a_key_that_the_run_does_not_have(run_folder, job, override):
    # data.image_size is a key of the default's digits, and none of the run's ring.
    config = job(f"resume={run_folder}", override)
    with pytest.raises(ConfigError, match=f"^{re.escape(override)}: unknown key$"):
        rebase(config)


@pytest.mark.parametrize("text", ["model: [", "- a\n- b\n", "", "just words", "foo: 3\n", None])
def test_a_configuration_that_cannot_be_used(run_folder, job, text):
    own = run_folder / ".hydra" / "config.yaml"
    own.unlink()
    if text is not None:
        own.write_text(text)
    with pytest.raises(CheckpointError) as error:
        rebase(job(f"resume={run_folder}"))
    assert str(error.value).startswith(f"resume={run_folder}: {own} cannot be used: ")
    assert "\n" not in str(error.value)
