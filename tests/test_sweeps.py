"""The ways to run a sweep's jobs, `sweep=…`: at the same time, through submitit, within one process."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sweeping import HELPERS, SCORED, TINY


def sweep(folder, *words, command=("-m", "ganlab"), timeout=280, **variables):
    kept = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    return subprocess.run(
        [sys.executable, *command, "-m", *TINY, "trainer.accelerator=cpu", *words],
        cwd=folder, env={**kept, "PYTHONPATH": str(HELPERS), **variables}, capture_output=True, text=True,
        timeout=timeout,
    )  # fmt: skip


def rows_of(start):
    (record,) = start.glob("outputs/sweeps/sweep/*/sweep.csv")
    with open(record, newline="") as file:
        return record.parent, list(csv.DictReader(file))


def witness(folder, meet):
    folder.mkdir()
    return f"callbacks.extra=[{{_target_: provoking.Witness, folder: {folder}, meet: {meet}}}]"


def seen_in(folder):
    return sorted((json.loads(path.read_text()) for path in folder.glob("*.json")), key=lambda one: one["seed"])


def verify_parallel(done, tmp_path):
    """Two jobs that met while they trained, each recorded, with its screen in its folder; what they saw."""
    assert done.returncode == 0, done.stderr
    folder, rows = rows_of(tmp_path)
    assert [(row["job"], row["status"], row["seed"]) for row in rows] == [
        ("0", "completed", "0"), ("1", "completed", "1"),
    ]  # fmt: skip
    first, second = seen_in(tmp_path / "seen")
    assert (first["seed"], second["seed"]) == (0, 1) and first["process"] != second["process"]
    for row, one in zip(rows, (first, second), strict=True):
        assert Path(one["folder"]) == folder / row["folder"]
        results = json.loads((folder / row["folder"] / "results.json").read_text())
        assert float(row["objective"]) == results["objective"]
        assert "scored: w2" in (folder / row["folder"] / "screen.log").read_text()
    assert "scored:" not in done.stdout and "sweep: outputs/" in done.stdout
    return first, second


@pytest.mark.slow
def test_joblib_runs_jobs_at_the_same_time_each_on_its_cores(tmp_path):
    done = sweep(tmp_path, "sweep=joblib", "seed=0,1", *SCORED, witness(tmp_path / "seen", 2), CUDA_VISIBLE_DEVICES="")
    first, second = verify_parallel(done, tmp_path)
    cores = sorted(os.sched_getaffinity(0))
    assert {*first["cores"], *second["cores"]} == set(cores)
    if len(cores) > 1:
        assert not {*first["cores"]} & {*second["cores"]}
    assert [line for line in done.stdout.splitlines() if line.startswith("job 1: completed after")]


@pytest.mark.slow
def test_submitit_runs_jobs_through_its_local_executor(tmp_path):
    # What SLURM leaves in the environment of its jobs must not make a run believe to be one task of several.
    slurm = {"SLURM_NTASKS": "2", "SLURM_JOB_NAME": "sweep", "SLURM_PROCID": "1", "SLURM_LOCALID": "1"}
    done = sweep(tmp_path, "sweep=submitit_local", "seed=0,1", *SCORED, witness(tmp_path / "seen", 2), **slurm)
    first, second = verify_parallel(done, tmp_path)
    assert not [key for one in (first, second) for key in one["environment"] if key.startswith("SLURM_")]


@pytest.mark.slow
def test_joblib_tells_which_job_failed(tmp_path):
    done = sweep(tmp_path, "sweep=joblib", "trainer.devices=99,1", "seed=0")
    assert done.returncode == 1
    assert "1 of 2 jobs failed: 0" in done.stderr and "Traceback" not in done.stderr
    _, rows = rows_of(tmp_path)
    assert [row["status"] for row in rows] == ["failed", "completed"]


LEAVES = '''
"""`python -m ganlab`, with a look at the process after each job."""
import gc, json, logging, os, random, threading
from contextlib import suppress
import numpy as np, torch
from ganlab.tasks import launch
from ganlab.tasks.sweeps import foreign

looks = []
run_here = foreign._run_here

def look():
    gc.collect()
    with open("/proc/self/statm") as file:
        resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    kinds = [type(handler).__name__ for handler in logging.getLogger().handlers]
    return {
        "resident": resident,
        "threads": threading.active_count(),
        "torch_threads": torch.get_num_threads(),
        "dtype": str(torch.get_default_dtype()),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "random": hash((str(random.getstate()), str(np.random.get_state()), torch.get_rng_state().numpy().tobytes())),
        "handlers": kinds,
        "files": open_files(),
        "environment": hash(tuple(sorted(os.environ.items()))),
    }

def open_files():
    names = []
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the one that lists them
            names.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return sorted(names)

def watched(config, job):
    record = run_here(config, job)
    looks.append(look())
    with open("looks.json", "w") as file:
        json.dump(looks, file)
    return record

foreign._run_here = watched
launch.main()
'''


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_twenty_jobs_in_one_process_leave_nothing_behind(tmp_path):
    (tmp_path / "looking.py").write_text(LEAVES)
    seeds = ",".join(map(str, range(20)))
    words = ["sweep=same_process", f"seed={seeds}", "logger=tensorboard", "trainer.sample_every=1", "trainer.threads=2"]
    done = sweep(tmp_path, *words, *SCORED, command=("looking.py",), timeout=1100)
    assert done.returncode == 0, done.stderr
    _, rows = rows_of(tmp_path)
    assert [row["status"] for row in rows] == ["completed"] * 20
    assert len({row["objective"] for row in rows}) == 20
    looks = json.loads((tmp_path / "looks.json").read_text())
    third = looks[2]
    for number, look in enumerate(looks[3:], 3):
        assert look["resident"] < 1.05 * third["resident"], number
        for key in third.keys() - {"resident", "files"}:
            assert look[key] == third[key], (number, key)
        # The log of the job that has just ended is open until the next one's.
        files = [[name for name in one["files"] if not name.endswith("train.log")] for one in (look, third)]
        assert files[0] == files[1], number


@pytest.mark.slow
def test_a_job_in_the_same_process_scores_as_it_would_alone(tmp_path):
    done = sweep(tmp_path, "sweep=same_process", "seed=5,6", *SCORED)
    assert done.returncode == 0, done.stderr
    _, (_, second) = rows_of(tmp_path)
    alone = sweep(tmp_path, "seed=6", "hydra.sweep.dir=alone", *SCORED)
    assert alone.returncode == 0
    with open(tmp_path / "alone" / "sweep.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["objective"] == second["objective"]


@pytest.mark.slow
def test_jobs_of_two_processes_get_their_own_even_with_sweep_same_process(tmp_path):
    done = sweep(tmp_path, "sweep=same_process", "trainer.devices=2", "seed=0,1", witness(tmp_path / "seen", 2))
    assert done.returncode == 0, done.stderr
    folder, rows = rows_of(tmp_path)
    seen = seen_in(tmp_path / "seen")
    assert [(one["seed"], one["world_size"]) for one in seen] == [(0, 2), (0, 2), (1, 2), (1, 2)]
    assert [one["folder"] for one in seen] == [str(folder / row["folder"]) for row in rows for _ in range(2)]
