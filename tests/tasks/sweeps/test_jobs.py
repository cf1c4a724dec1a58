"""A job as a process of its own: what it is told, what is left of it, what is recorded. Here jobs are tiny programs."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ganlab.errors import OutputError
from ganlab.files import CLAIMED
from ganlab.tasks.sweeps import jobs
from ganlab.tasks.sweeps.jobs import Job, clean, command, run_job, run_to_the_end, status_of
from ganlab.tasks.sweeps.record import read_records
from ganlab.tasks.sweeps.slots import Share
from living import running


def run(program, folder, *words, **options):
    """The exit code, and the signal that was passed on."""
    return run_to_the_end([sys.executable, "-c", program, *map(str, words)], os.environ, folder, **options)


def when(path, act):
    """Do it as soon as the file is there, from another thread."""

    def wait():
        while not path.exists():
            time.sleep(0.01)
        act()

    threading.Thread(target=wait, daemon=True).start()


LEAVES_ONE_BEHIND = """
import os, subprocess, sys
child = subprocess.Popen(["sleep", "1000"])
open(sys.argv[1], "w").write(str(child.pid))
if sys.argv[2] == "killed":
    os.kill(os.getpid(), 9)
sys.exit(int(sys.argv[2]))
"""


@pytest.mark.parametrize(("ending", "code"), [("0", 0), ("7", 7), ("killed", -signal.SIGKILL)])
def test_nothing_of_a_job_is_left_when_its_first_process_has_ended(tmp_path, monkeypatch, ending, code):
    monkeypatch.setattr(jobs, "_GRACE", 0.2)
    monkeypatch.setattr(jobs, "_GRACE_AFTER_FAILURE", 0.1)
    assert run(LEAVES_ONE_BEHIND, tmp_path, tmp_path / "child", ending) == (code, None)
    assert not running(int((tmp_path / "child").read_text()))


def test_processes_that_end_by_themselves_are_given_the_time(tmp_path):
    program = "import subprocess; subprocess.Popen(['sh', '-c', 'sleep 0.3; touch done'])"
    assert run(program, tmp_path) == (0, None)
    assert (tmp_path / "done").exists()


SAVES_ITSELF = """
import pathlib, signal, sys, time
count = []
def handle(number, frame):
    count.append(number)
    pathlib.Path(f"signal_{len(count)}").write_text(str(int(number)))
    if len(count) == int(sys.argv[1]):
        sys.exit(128 + number)
signal.signal(signal.SIGTERM, handle)
signal.signal(signal.SIGINT, handle)
pathlib.Path("ready").touch()
while True:
    time.sleep(0.01)
"""


@pytest.fixture(autouse=True)
def in_the_foreground():
    """A shell lets what it starts in the background ignore Ctrl-C, and so would these jobs."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_passed_on_and_waited_for(tmp_path, number):
    before = signal.getsignal(number)
    when(tmp_path / "ready", lambda: os.kill(os.getpid(), number))
    assert run(SAVES_ITSELF, tmp_path, 1) == (128 + number, number)
    assert (tmp_path / "signal_1").read_text() == str(int(number))
    assert signal.getsignal(number) is before


def test_the_second_ctrl_c_reaches_the_job_and_the_third_ends_it(tmp_path):
    for after in ("ready", "signal_1", "signal_2"):
        when(tmp_path / after, lambda: os.kill(os.getpid(), signal.SIGINT))
    assert run(SAVES_ITSELF, tmp_path, 99) == (-signal.SIGKILL, signal.SIGINT)
    assert (tmp_path / "signal_2").exists() and not (tmp_path / "signal_3").exists()


STARTS_A_JOB = """
import os, pathlib, sys
from ganlab.tasks.sweeps.jobs import run_to_the_end
run_to_the_end([sys.executable, "-c", sys.argv[1], "1"], os.environ, pathlib.Path.cwd())
"""


def test_a_job_is_told_to_end_when_its_sweep_is_killed(tmp_path):
    sweep = subprocess.Popen([sys.executable, "-c", STARTS_A_JOB, SAVES_ITSELF], cwd=tmp_path)
    when(tmp_path / "ready", sweep.kill)
    assert sweep.wait(timeout=60) == -signal.SIGKILL
    patience = time.monotonic() + 20
    while not (tmp_path / "signal_1").exists() and time.monotonic() < patience:
        time.sleep(0.05)
    assert (tmp_path / "signal_1").read_text() == str(int(signal.SIGTERM))


def test_a_job_stays_on_its_cores_and_its_screen_may_be_a_file(tmp_path):
    core = max(os.sched_getaffinity(0))
    with open(tmp_path / "screen", "wb") as screen:
        program = "import os, sys; print(sorted(os.sched_getaffinity(0))); print('no', file=sys.stderr)"
        assert run(program, tmp_path, cores=[core], screen=screen) == (0, None)
    assert sorted((tmp_path / "screen").read_text().split()) == sorted([f"[{core}]", "no"])


FOREIGN = [
    *("LOCAL_RANK", "RANK", "WORLD_SIZE", "NODE_RANK", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT", "PL_GLOBAL_SEED"),
    *("HYDRA_FULL_ERROR", "TORCHELASTIC_RUN_ID", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_JOB_NAME", "LSB_JOBID"),
]


def test_what_would_make_a_job_a_rank_of_something_else_is_taken_away():
    kept = {"PATH": "/bin", "GANLAB_CACHE": "x", "CUDA_VISIBLE_DEVICES": "1", "OMP_NUM_THREADS": "2"}
    assert clean({**kept, **dict.fromkeys(FOREIGN, "1")}) == kept


def test_the_command_has_this_jobs_overrides_and_not_the_sweep(tmp_path):
    job = Job(3, ["model=gan", "sweep=joblib", "seed=1"], tmp_path, tmp_path, config_dirs=["conf dir"])
    words = command(job, tmp_path / "3_it's")
    folder = str(tmp_path / "3_it\\'s")
    assert words[1:3] == ["-m", "ganlab"]
    assert words[3:] == [
        "--config-dir", "conf dir", "model=gan", "seed=1", f"hydra.run.dir='{folder}'", "hydra.mode=RUN",
    ]  # fmt: skip
    assert command(job, tmp_path, 3)[-2:] == ["trainer.threads=3", "hydra.mode=RUN"]
    goes_on = Job(3, ["resume=old", "trainer.threads=1"], tmp_path, tmp_path, resumes=Path("old"))
    assert command(goes_on, Path("old"), 3)[3:] == ["resume=old", "trainer.threads=1", "hydra.mode=RUN"]


def test_where_jobs_cannot_be_kept_on_cores_their_threads_are_divided(monkeypatch):
    assert jobs._threads(Share((0, 1))) is None
    monkeypatch.delattr(os, "sched_setaffinity")
    assert jobs._threads(Share((0, 1))) == 2 and jobs._threads(Share()) is None


def test_exit_codes_have_names():
    names = {code: status_of(code) for code in (0, 1, 2, 3, 130, 143, -9, -15)}
    assert [code for code, name in names.items() if name == "failed"] == [1, 2, -9, -15]
    assert (names[0], names[3], names[130], names[143]) == ("completed", "pruned", "stopped", "stopped")


@pytest.fixture
def job(tmp_path, monkeypatch):
    """job(code, number): records what run_job does with a program that notes its environment and ends with the code."""
    program = """
import json, os, pathlib, sys
folder = pathlib.Path(sys.argv[1])
print("hello from", folder.name)
if sys.argv[2] != "2":
    results = {"objective": 0.5, "environment": dict(os.environ), "monitored": "metric/w2"}
    (folder / "results.json").write_text(json.dumps(results))
sys.exit(int(sys.argv[2]))
"""

    def run(code, number=0, prepared=False, **options):
        monkeypatch.setattr(
            jobs, "command", lambda job, folder, threads: [sys.executable, "-c", program, str(folder), str(code)]
        )
        sweep = tmp_path / "sweep"
        return run_job(Job(number, ["seed=1"], sweep, sweep / f"{number}_seed=1", prepared=prepared), **options)

    return run


def test_a_job_is_recorded_as_it_ended(job, tmp_path, capfd):
    kept = [job(0), job(1, 1), job(jobs.PRUNED, 2), job(130, 3), job(2, 4)]
    told = [(one.status, one.exit_code, one.objective, one.folder) for one in kept]
    assert told == [
        ("completed", 0, 0.5, "0_seed=1"),
        ("failed", 1, None, "1_seed=1"),
        ("pruned", 3, 0.5, "2_seed=1"),
        ("stopped", 130, None, "3_seed=1"),
        ("failed", 2, None, ""),
    ]
    # What was refused before it began leaves no folder.
    assert not (tmp_path / "sweep" / "4_seed=1").exists()
    again = read_records(tmp_path / "sweep")
    assert [(one.status, one.overrides) for one in again] == [(one.status, {"seed": "1"}) for one in kept]
    assert "hello from 0_seed=1" in capfd.readouterr().out


def test_a_job_does_not_take_the_folder_or_the_score_of_an_earlier_one(job, tmp_path):
    first, second = job(0), job(1)
    assert (first.folder, second.folder) == ("0_seed=1", "0_seed=1_2")
    assert second.objective is None


def test_a_folder_that_hydra_has_made_is_taken_over_and_one_of_another_sweep_is_not(job, tmp_path):
    claimed = tmp_path / "sweep" / "5_seed=1"
    (claimed / ".hydra").mkdir(parents=True)
    assert job(0, 5).folder == "5_seed=1_2"
    assert job(0, 5, prepared=True).folder == "5_seed=1"


@pytest.mark.parametrize(("code", "recorded"), [("0", ("completed", 0)), ("-15", ("stopped", 143))])
def test_a_sweep_that_is_told_to_end_does_so_when_the_job_has_been_recorded(tmp_path, monkeypatch, code, recorded):
    """A job may end well all the same, or die of a signal for which it is not ready yet."""
    monkeypatch.setattr(jobs, "run_to_the_end", lambda *words: (int(code), signal.SIGTERM))
    with pytest.raises(SystemExit) as end:
        run_job(Job(0, ["seed=1"], tmp_path, tmp_path / "0"))
    assert end.value.code == 143
    assert [(one.status, one.exit_code) for one in read_records(tmp_path)] == [recorded]


def test_a_folder_that_cannot_be_made_is_a_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        run_job(Job(0, [], tmp_path / "file", tmp_path / "file" / "0"))


def test_a_job_in_the_background_has_its_own_screen_and_its_share(job, tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    record = job(0, share=Share((0,), ("2", "3")), in_background=True, environment={"OWN": "yes"})
    folder = tmp_path / "sweep" / record.folder
    assert (folder / "screen.log").read_text() == "hello from 0_seed=1\n"
    out = capfd.readouterr().out
    assert "hello" not in out and out.splitlines()[0] == "job 0: seed=1" and "job 0: completed after" in out
    environment = json.loads((folder / "results.json").read_text())["environment"]
    assert environment["CUDA_VISIBLE_DEVICES"] == "2,3" and environment["OWN"] == "yes"
    assert environment[CLAIMED] == str(folder) and "RANK" not in environment
