import threading
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from ganlab.config import callback
from ganlab.config.callback import CheckConfig, check, check_job, drop_unused_optimizers, prepare, settle_folder
from ganlab.errors import ConfigError, OutputError


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LOCAL_RANK", raising=False)


def everything(folder="."):
    return sorted(str(path) for path in Path(folder).rglob("*"))


def test_a_sound_configuration_gets_its_folder(job):
    config = job("hydra.run.dir=runs/first")
    prepare(config)
    assert set(config.optimizer) == {"generator", "discriminator"}
    assert Path("runs/first").is_dir()


def test_a_refused_one_gets_none(job, capsys):
    with pytest.raises(SystemExit) as end:
        CheckConfig().on_run_start(job("seed=-1", "data.batch_size=0"))
    assert end.value.code == 2
    assert capsys.readouterr().err.splitlines() == [
        "seed=-1: must be greater than or equal to 0",
        "data.batch_size=0: must be greater than 0",
    ]
    assert everything() == []


def test_a_fault_of_the_check_ends_the_program_with_a_traceback(job, capsys, monkeypatch):
    # Hydra would turn it into a warning and train unchecked.
    def broken(*args):
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(callback, "problems_of", broken)
    with pytest.raises(SystemExit) as end:
        CheckConfig().on_run_start(job())
    assert end.value.code == 1
    assert "Traceback" in (err := capsys.readouterr().err) and "ZeroDivisionError: a fault" in err
    assert everything() == []


def test_other_processes_of_a_run_make_no_folder(job, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    prepare(job("hydra.run.dir=runs/first"))
    assert everything() == []


def test_optimizers_of_networks_that_are_not_trained(job):
    overrides = ["optimizer.autoencoder.lr=0.1", "optimizer.generator.lr=0.2", "++optimizer.autoencoder.eps=1e-4"]
    with pytest.raises(ConfigError) as error:
        drop_unused_optimizers(job(*overrides), overrides)
    assert str(error.value).splitlines() == [
        "optimizer.autoencoder.lr=0.1: model=cgan trains generator, discriminator and no autoencoder",
        "optimizer.autoencoder.eps=1e-4: model=cgan trains generator, discriminator and no autoencoder",
    ]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("name=${nowhere}", "name: Interpolation key 'nowhere' not found"),
        ("data.sample_shape=[1,${data.nowhere},2]", "Interpolation key 'data.nowhere' not found"),
        ("seed=???", "seed: Missing mandatory value: seed"),
        ("~data", "Interpolation key 'data.sample_shape' not found"),
        ("~model", "model: missing"),
        ("~optimizer", "optimizer: missing"),
    ],
)
def test_what_cannot_be_resolved_is_a_line(job, override, said):
    with pytest.raises(ConfigError) as error:
        check_job(job(override), [override])
    assert said in str(error.value) and "\n" not in str(error.value)


def test_checking_leaves_the_configuration_as_it_is(job):
    config = job()
    before = OmegaConf.to_container(config, resolve=False)
    check(config)
    assert OmegaConf.to_container(config, resolve=False) == before


def test_runs_of_the_same_second_lie_beside_one_another(job):
    composed, folders = job("hydra.run.dir=runs/first"), []
    for _ in range(3):
        config = composed.copy()
        settle_folder(config)
        folders.append(config.hydra.run.dir)
    assert folders == ["runs/first", "runs/first_2", "runs/first_3"]


def test_runs_that_begin_at_once_share_no_folder(job):
    config = job("hydra.run.dir=a/b/c")
    configs = [config.copy() for _ in range(8)]
    barrier = threading.Barrier(len(configs))

    def begin(config):
        barrier.wait()
        settle_folder(config)

    threads = [threading.Thread(target=begin, args=(config,)) for config in configs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {config.hydra.run.dir for config in configs} == {"a/b/c", *(f"a/b/c_{number}" for number in range(2, 9))}


def test_an_empty_folder_of_the_users_is_taken(job):
    Path("mine").mkdir()
    config = job("hydra.run.dir=mine")
    settle_folder(config)
    assert config.hydra.run.dir == "mine"


@pytest.mark.parametrize("folder", ["file/run", f"new/{'x' * 300}", "/proc/run", "", ".", "/", ".."])
def test_a_folder_that_cannot_be(job, folder):
    Path("file").write_text("")
    with pytest.raises(OutputError, match=r"^hydra\.run\.dir=") as error:
        settle_folder(job(f"hydra.run.dir={folder}"))
    assert "\n" not in str(error.value)
    assert everything() == ["file"]
