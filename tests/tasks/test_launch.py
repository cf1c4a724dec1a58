"""Refusals that only the running task can make, and what of them the command line shows."""

import os
import re

import pytest
from hydra.errors import HydraException

from ganlab.tasks import launch
from ganlab.tasks.sweeps.record import read_records


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def one_line(done):
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.splitlines()
    return line


def test_a_batch_larger_than_the_data(ganlab, tmp_path):
    line = one_line(ganlab("data.batch_size=5000"))
    # Half of scikit-learn's 1,797 digits is held out, class by class.
    assert "data.batch_size=5000: more than the 899 training samples of data=digits" in line
    assert list(tmp_path.iterdir()) == []


def test_a_shared_batch_larger_than_the_data_is_refused_before_processes_start(ganlab, tmp_path):
    line = one_line(ganlab("data.batch_size=500", "++trainer.devices=2", "trainer.accelerator=cpu"))
    assert "data.batch_size=500" in line and "899" in line
    assert list(tmp_path.iterdir()) == []


def test_more_gpus_than_there_are(ganlab, tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    line = one_line(ganlab("++trainer.devices=8"))
    assert line.endswith("trainer.devices=8: this machine shows 4 CUDA devices; use at most 4")
    assert list(tmp_path.iterdir()) == []


def test_fp16_where_the_machine_has_no_gpu(ganlab, tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert "trainer.precision=16-mixed: needs a CUDA device" in one_line(ganlab("trainer.precision=16-mixed"))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def trained(ganlab, tmp_path):
    """A run of 12 iterations with checkpoints at 8 and 12."""
    assert ganlab("hydra.run.dir=run", "trainer.keep_checkpoints=2").returncode == 0
    return tmp_path / "run"


def test_a_damaged_checkpoint_is_named_with_the_newest_good_one(ganlab, trained):
    checkpoints = trained / "checkpoints"
    half = (checkpoints / "last.ckpt").read_bytes()[:-5000]
    for name, good in [("last.ckpt", "iteration_000012.ckpt"), ("iteration_000012.ckpt", "iteration_000008.ckpt")]:
        (checkpoints / name).unlink()  # last.ckpt is a second name of the same file
        (checkpoints / name).write_bytes(half)
        before = files(trained)
        line = one_line(ganlab("resume=run", "trainer.max_iterations=14", tiny=False))
        assert f"checkpoints/last.ckpt is damaged; the newest good one is run/checkpoints/{good}" in line
        assert files(trained) == before
    last_good = (checkpoints / good).read_bytes()
    (checkpoints / good).write_bytes(b"")
    assert "there is no other one beside it" in one_line(ganlab("resume=run", "trainer.max_iterations=14", tiny=False))
    (checkpoints / good).write_bytes(last_good)
    assert ganlab(f"resume=run/checkpoints/{good}", "trainer.max_iterations=14", tiny=False).returncode == 0
    assert (checkpoints / "iteration_000014.ckpt").is_file()


def test_a_resume_that_is_refused_changes_nothing(ganlab, trained):
    before = files(trained)
    line = one_line(ganlab("resume=run", tiny=False))
    assert re.search(
        r"resume=.*run: this run has finished its 12 iterations; go on with trainer.max_iterations=24", line
    )
    line = one_line(ganlab("resume=run", "model=dcgan", tiny=False))
    assert line.startswith("model=dcgan: a run that is resumed keeps its model")
    line = one_line(ganlab("resume=run", "model.latent_dim=5", "trainer.max_iterations=14", tiny=False))
    assert "it differs in model.latent_dim" in line
    assert files(trained) == before


@pytest.fixture
def same_process(ganlab, tmp_path):
    """same_process("seed=0,1"): a sweep within one process: what it printed, and the jobs it recorded."""

    def run(*words):
        sweep = (
            "hydra.mode=MULTIRUN",
            "sweep=same_process",
            "hydra.sweep.dir=sweep",
            "hydra.sweep.subdir=${hydra.job.num}",
        )
        return ganlab(*sweep, *words), read_records(tmp_path / "sweep")

    return run


def test_a_job_that_is_refused_is_recorded_and_the_next_one_goes_on(same_process, tmp_path):
    done, (refused, trained) = same_process("model.latent_dim=-1,4")
    assert done.returncode == 1
    assert "job 0: model.latent_dim=-1: must be greater than 0" in done.stderr and "Traceback" not in done.stderr
    assert "1 of 2 jobs failed: 0" in done.stderr
    assert (refused.status, refused.exit_code, refused.folder) == ("failed", 2, "")
    assert (trained.status, trained.exit_code, trained.folder) == ("completed", 0, "1")
    assert (tmp_path / "sweep" / "1" / "checkpoints" / "last.ckpt").is_file()
    assert not (tmp_path / "sweep" / "0").exists()


def test_a_job_with_a_fault_of_the_programs_shows_it_and_the_next_one_goes_on(same_process, monkeypatch):
    import ganlab.tasks.train as train

    build = train.building.build_model

    def broken(settings):
        if settings["seed"] == 0:
            raise ArithmeticError("a fault")
        return build(settings)

    monkeypatch.setattr(train.building, "build_model", broken)
    done, records = same_process("seed=0,1")
    assert done.returncode == 1
    assert "Traceback" in done.stderr and "ArithmeticError: a fault" in done.stderr
    assert [(one.status, one.exit_code) for one in records] == [("failed", 1), ("completed", 0)]


def test_a_signal_to_a_sweep_within_this_process_ends_it(same_process):
    done, records = same_process(
        "seed=0,1", "callbacks.extra=[{_target_: provoking.SignalAt, iteration: 3, name: SIGTERM}]"
    )
    assert done.returncode == 143, done.stderr
    assert [(one.status, one.exit_code) for one in records] == [("stopped", 143)]


def test_a_fault_of_the_program_is_a_traceback(ganlab, monkeypatch):
    """Hydra's own exceptions too: what an object's constructor raises comes wrapped in one."""
    import ganlab.tasks.train as train

    def broken(*args):
        raise HydraException("in a constructor")

    monkeypatch.setattr(train.building, "build_model", broken)
    done = ganlab()
    assert done.returncode == 1
    assert "Traceback" in done.stderr and "in a constructor" in done.stderr


@pytest.mark.parametrize("flag", ["HYDRA_FULL_ERROR", "GANLAB_FULL_ERROR"])
def test_a_flag_shows_the_traceback_of_a_mistake(ganlab, monkeypatch, flag):
    monkeypatch.setenv(flag, "1")
    done = ganlab("data.batch_size=5000")
    assert done.returncode != 0
    assert "Traceback" in done.stderr and "899" in done.stderr


def test_processes_that_are_started_by_a_run_do_not_take_its_setting_for_the_users(monkeypatch):
    monkeypatch.setattr(launch.hydra, "main", lambda **options: lambda task: lambda: None)
    for name in (launch.DEBUG, launch.OWN_DEBUG):
        monkeypatch.setenv(name, "")  # so that what `main` sets is undone after the test
        monkeypatch.delenv(name)
    launch.main()
    assert os.environ[launch.DEBUG] == "1" and not launch.debugging()
    launch.main()  # what a second process does with the first one's environment
    assert not launch.debugging()
