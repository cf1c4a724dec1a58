"""Sweeps through the command line: a process a job, one folder, failures told and survived."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import JobStatus

from ganlab.config import resolvers
from ganlab.config.paths import conf_folder
from ganlab.tasks.sweeps.record import JobFailed, JobRecord
from living import gone, group_running
from sweeping import HELPERS, SCORED, TINY

TWO = ["trainer.devices=2", "trainer.accelerator=cpu"]


def sweep(folder, *words, **variables):
    left = {"MASTER_PORT": "1", "PL_GLOBAL_SEED": "7", "SLURM_NTASKS": "2", "SLURM_JOB_NAME": "x", "NODE_RANK": "1"}
    environment = {**os.environ, **variables, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HELPERS), **left}
    return subprocess.run(
        [sys.executable, "-m", "ganlab", "-m", *TINY, *words],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=280,
        start_new_session=True,
        # A shell lets what it starts in the background ignore Ctrl-C; this is about one in the foreground.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def witness(folder, *more):
    """An override of callbacks.extra: the witness, and what shall happen; `folder` is where it writes."""
    folder.mkdir(exist_ok=True)
    return f"[{','.join([f'{{_target_: provoking.Witness, folder: {folder}}}', *more])}]"


def provoke(kind, **options):
    words = ", ".join(f"{key}: {value}" for key, value in {"iteration": 2, **options}.items())
    return f"{{_target_: provoking.{kind}, {words}}}"


def folder_of(start):
    (folder,) = (start / "outputs" / "sweeps" / "sweep").iterdir()
    return folder


def rows_of(folder):
    with open(folder / "sweep.csv", newline="") as file:
        return list(csv.DictReader(file))


def seen_in(folder):
    return sorted((json.loads(path.read_text()) for path in folder.iterdir()), key=lambda seen: seen["rank"])


def verify_two_ranks_of_one_job(seen, folder, *words):
    """Both ranks are of one job: its overrides, its folder, one learning rate, one group, and nothing of others."""
    assert [(one["rank"], one["world_size"]) for one in seen] == [(0, 2), (1, 2)]
    for key in ("overrides", "lr", "seed", "folder", "group"):
        assert seen[0][key] == seen[1][key], key
    assert set(words) <= set(seen[0]["overrides"]) and Path(seen[0]["folder"]) == folder
    for one in seen:
        assert not [key for key in one["environment"] if key.startswith(("SLURM_", "PL_"))]
        assert one["environment"].get("MASTER_PORT") != "1" and one["environment"].get("NODE_RANK") != "1"


@pytest.mark.slow
@pytest.mark.long
def test_a_job_that_loses_a_rank_is_recorded_and_the_next_one_trains_on_two_processes(tmp_path):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    extra = f"callbacks.extra={witness(killed, provoke('RankSignalAt', rank=1, name='SIGKILL'))},{witness(whole)}"
    done = sweep(tmp_path, *SCORED, *TWO, "seed=3", "optimizer.generator.lr=0.003", extra)
    assert done.returncode == 1, done.stderr
    assert "1 of 2 jobs failed: 0" in done.stderr
    folder = folder_of(tmp_path)
    first, second = rows_of(folder)
    assert (first["job"], first["status"], first["objective"]) == ("0", "failed", "") and first["exit_code"] != "0"
    assert (second["job"], second["status"], second["exit_code"]) == ("1", "completed", "0")
    results = json.loads((folder / second["folder"] / "results.json").read_text())
    assert float(second["objective"]) == results["objective"] and results["machine"]["processes"] == 2
    assert (second["seed"], second["optimizer.generator.lr"], second["trainer.devices"]) == ("3", "0.003", "2")
    assert sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name != ".locks") == [
        first["folder"], second["folder"],
    ]  # fmt: skip
    assert "rank 1 was killed by SIGKILL" in done.stderr
    verify_two_ranks_of_one_job(seen_in(killed), folder / first["folder"], "seed=3")
    verify_two_ranks_of_one_job(seen_in(whole), folder / second["folder"], "optimizer.generator.lr=0.003")
    assert gone(*(one["group"] for path in (killed, whole) for one in seen_in(path)), runs=group_running)
    table = done.stdout.split("\n\n")[-1].splitlines()
    assert table[0].split() == ["job", "overrides", "status", "w2", "seconds"]
    assert table[-1] == f"sweep: {(folder / 'sweep.csv').relative_to(tmp_path)}"


@pytest.mark.slow
def test_a_grid_on_two_processes_a_job(tmp_path):
    seen = tmp_path / "seen"
    words = ["model=gan,lsgan", "seed=0,1,2", *TWO, f"callbacks.extra={witness(seen)}"]
    done = sweep(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    folder = folder_of(tmp_path)
    rows = rows_of(folder)
    assert [(row["model"], row["seed"]) for row in rows] == [(m, s) for m in ("gan", "lsgan") for s in "012"]
    ranks = seen_in(seen)
    assert len(ranks) == 12
    for row in rows:
        own = [one for one in ranks if Path(one["folder"]) == folder / row["folder"]]
        verify_two_ranks_of_one_job(own, folder / row["folder"], f"model={row['model']}", f"seed={row['seed']}")
    assert len([path for path in folder.iterdir() if path.is_dir() and path.name != ".locks"]) == 6


@pytest.mark.slow
def test_each_way_to_fail_is_survived(tmp_path):
    ways = [
        provoke("RankRaiseAt", rank=0),
        provoke("RankRaiseAt", rank=1),
        provoke("RankSignalAt", rank=0, name="SIGKILL"),
        provoke("RankSignalAt", rank=1, name="SIGTERM", iteration=1),
    ]
    folders = [tmp_path / str(index) for index in range(len(ways))]
    pairs = zip(folders, ways, strict=True)
    extra = ",".join(witness(folder, way) for folder, way in pairs)
    done = sweep(tmp_path, *TWO, "trainer.devices=99,2", f"callbacks.extra={extra}")
    rows = rows_of(folder_of(tmp_path))
    # The last one is ended by a signal to one of its ranks: it saves itself, and ends the sweep.
    assert [row["status"] for row in rows] == ["failed"] * 7 + ["stopped"]
    assert [row["exit_code"] for row in rows][:4] == ["2"] * 4 and not any(row["folder"] for row in rows[:4])
    assert done.returncode == 143, done.stderr
    assert gone(*(one["group"] for folder in folders for one in seen_in(folder)), runs=group_running)


def test_all_jobs_are_checked_before_the_first_begins(tmp_path):
    refused = sweep(tmp_path, "seed=0,1", "trainer.log_every=5,0")
    assert refused.returncode == 2
    lines = refused.stderr.strip().splitlines()
    assert len(lines) == 2 and all("trainer.log_every=0: must be greater than 0" in line for line in lines)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_ctrl_c_lets_the_job_save_itself_and_starts_no_other(tmp_path):
    stop = "callbacks.extra=[{_target_: provoking.SignalGroupAt, iteration: 1, name: SIGINT}]"
    stopped = sweep(tmp_path, "seed=0,1", stop)
    assert stopped.returncode == 130, stopped.stderr
    assert "Traceback" not in stopped.stderr
    folder = folder_of(tmp_path)
    (row,) = rows_of(folder)
    assert (row["status"], row["exit_code"]) == ("stopped", "130")
    assert (folder / row["folder"] / "checkpoints" / "iteration_000001.ckpt").is_file()


@pytest.fixture
def returned(monkeypatch, tmp_path):
    """returned("seed=0,1", ends=[…]): what the sweeper is given for jobs that end so, and the jobs; none is run."""

    def sweep(*words, ends):
        jobs, given = [], []

        def ended(job):
            jobs.append(job)
            status, code, objective = ends[len(jobs) - 1]
            return JobRecord(job.number, status, code, objective, 0.0, "")

        resolvers.register()
        application = Hydra.create_main_hydra2("ganlab", create_config_search_path(str(conf_folder())))
        # Not before: Hydra looks for plugins by running their files again.
        plugin = sys.modules["hydra_plugins.ganlab_process_launcher"]
        launch = plugin.ProcessLauncher.launch
        monkeypatch.setattr(plugin, "run_job", ended)
        monkeypatch.setattr(plugin.ProcessLauncher, "launch", lambda *args, **more: given.extend(launch(*args, **more)))
        monkeypatch.chdir(tmp_path)
        try:
            application.multirun("config", None, list(words), with_log_configuration=False)
        except (TypeError, SystemExit) as error:  # what the sweeper itself makes of it is not asked here
            given.append(error)
        finally:
            GlobalHydra.instance().clear()
        return given, jobs

    return sweep


def test_the_sweeper_is_given_the_score_of_each_job_and_failures_as_values(returned):
    ends = [("completed", 0, 0.5), ("failed", -9, None), ("pruned", 3, 0.75)]
    (first, second, third, _), jobs = returned("seed=0,1,2", "model/networks=mlp", ends=ends)
    assert (first.return_value, third.return_value) == (0.5, 0.75)
    assert second.status is JobStatus.FAILED
    with pytest.raises(JobFailed, match="1 of 3 jobs failed:\n  job 1: exit code -9: seed=1"):
        second.return_value  # noqa: B018
    assert [list(job.overrides) for job in jobs][2] == ["seed=2", "model/networks=mlp"]
    # One folder, whatever the keys look like.
    assert [job.folder.parent == job.sweep for job in jobs] == [True] * 3
    assert jobs[1].folder.name == "1_model.networks=mlp,seed=1"


def test_a_job_that_the_user_stops_ends_the_sweep(returned):
    (stopped,), jobs = returned("seed=0,1,2", ends=[("completed", 0, 0.5), ("stopped", 143, None)])
    assert stopped.code == 143 and len(jobs) == 2
