"""Runs of an experiment: trained once each, gone on with, ended together. Here a run is a tiny program."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from ganlab.claims import lab as module
from ganlab.claims.composing import composed
from ganlab.claims.lab import Lab
from ganlab.config.resume import LAST_CHECKPOINT
from ganlab.errors import OutputError, TrainingError
from ganlab.tasks.comparing.runs import OVERRIDES, RESULTS
from living import gone

STAND_IN = """
import json, os, signal, sys, time
from pathlib import Path

words = sys.argv[1:]
given = {word.partition("=")[0]: word.partition("=")[2].strip("'") for word in words}
folder = Path(given.get("resume") or given["hydra.run.dir"])
with open(folder.parent / "starts", "a") as file:
    file.write(json.dumps(words) + "\\n")
(folder / ".hydra").mkdir(parents=True, exist_ok=True)
if "resume" not in given:
    own = [word for word in words if not word.startswith("hydra.")]
    (folder / ".hydra" / "overrides.yaml").write_text(json.dumps(own))
(folder / "pid").write_text(str(os.getpid()))

def end(number, frame):
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "last.ckpt").write_text("")
    sys.exit(143)

signal.signal(signal.SIGTERM, end)
(folder / "ready").write_text("")
if "model=fails" in words:
    while not all((folder.parent / name / "ready").exists() for name in ["slow_seed0"]):
        time.sleep(0.01)
    print("\\nbut the reason is this", file=sys.stderr)
    print("", file=sys.stderr)
    sys.exit(7)
if "model=slow" in words and "resume" not in given:
    time.sleep(1000)
began = time.time()
time.sleep(0.2 if "model=brief" in words else 0)
(folder / "results.json").write_text(json.dumps([began, time.time()]))
"""


@pytest.fixture(autouse=True)
def stand_in(monkeypatch):
    monkeypatch.setattr(module, "PROGRAM", (sys.executable, "-c", STAND_IN))
    monkeypatch.setattr(module, "POLL", 0.01)


def starts(folder: Path) -> list[list[str]]:
    path = folder / "runs" / "starts"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_each_arm_is_trained_with_each_seed(tmp_path, capsys):
    lab = Lab("code_size", tmp_path, seeds=(4, 2))
    folders = lab.train({"one": ["model=brief"], "two": []})
    runs = tmp_path / "runs"
    assert folders == {
        "one": [runs / "one_seed4", runs / "one_seed2"],
        "two": [runs / "two_seed4", runs / "two_seed2"],
    }
    assert all((folder / RESULTS).exists() for of_arm in folders.values() for folder in of_arm)
    assert starts(tmp_path)[1] == [
        "experiment=claims/code_size", "model=brief", "seed=2", "trainer.progress=false", "trainer.threads=1",
        f"hydra.run.dir='{runs / 'one_seed2'}'",
    ]  # fmt: skip
    assert capsys.readouterr().out.splitlines()[-1] == "trained 4 of 4: two_seed2"


def test_a_finished_run_is_not_trained_again(tmp_path):
    lab = Lab("code_size", tmp_path, seeds=(0, 1))
    first = lab.train({"one": []})
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert lab.train({"one": []}) == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    lab.train({"one": [], "two": []})
    assert len(starts(tmp_path)) == 4


def test_a_run_that_was_stopped_goes_on(tmp_path):
    lab = Lab("code_size", tmp_path, seeds=(0,))
    (folder,) = lab.train({"one": []})["one"]
    (folder / RESULTS).unlink()
    (folder / LAST_CHECKPOINT).parent.mkdir()
    (folder / LAST_CHECKPOINT).write_text("half way")
    lab.train({"one": []})
    assert starts(tmp_path)[-1] == [f"resume='{folder}'", "trainer.progress=false"]
    assert (folder / RESULTS).exists() and (folder / LAST_CHECKPOINT).read_text() == "half way"


def test_a_run_that_was_stopped_before_its_first_checkpoint_begins_again(tmp_path):
    lab = Lab("code_size", tmp_path, seeds=(0,))
    (folder,) = lab.train({"one": []})["one"]
    (folder / RESULTS).unlink()
    (folder / "remains").write_text("")
    lab.train({"one": []})
    assert len(starts(tmp_path)) == 2 and starts(tmp_path)[0] == starts(tmp_path)[1]
    assert (folder / RESULTS).exists() and not (folder / "remains").exists()


@pytest.mark.parametrize(
    "other", [["model.latent_dim=3"], None, "damaged"], ids=["other words", "no run", "damaged overrides"]
)
def test_what_is_no_run_of_this_experiment_is_left_alone(tmp_path, other):
    lab = Lab("code_size", tmp_path, seeds=(0,))
    folder = tmp_path / "runs" / "one_seed0"
    folder.mkdir(parents=True)
    (folder / "something").write_text("of value")
    (folder / RESULTS).write_text("{}")
    if other is not None:
        (folder / OVERRIDES).parent.mkdir()
        (folder / OVERRIDES).write_text("[" if other == "damaged" else yaml.safe_dump(other))
    with pytest.raises(OutputError, match=r"one_seed0: holds .*, and not one of .*; choose another output$") as refused:
        lab.train({"one": []})
    assert len(str(refused.value).splitlines()) == 1
    assert (folder / "something").read_text() == "of value"
    assert starts(tmp_path) == []


def test_another_budget_is_another_run(tmp_path):
    Lab("linear_ae_is_pca", tmp_path, seeds=(0,), budget=0.1).train({"one": []})
    full = composed(["experiment=claims/linear_ae_is_pca"]).trainer.max_iterations
    assert starts(tmp_path)[0][2] == f"trainer.max_iterations={full // 10}"
    with pytest.raises(OutputError):
        Lab("linear_ae_is_pca", tmp_path, seeds=(0,)).train({"one": []})


def test_the_budget_is_of_an_arms_own_iterations(tmp_path):
    words = Lab("linear_ae_is_pca", tmp_path, budget=0.01).words(["trainer.max_iterations=700"], 3)
    assert words[-2:] == ["seed=3", "trainer.max_iterations=7"]


def test_steps_of_a_budget(tmp_path):
    assert Lab("code_size", tmp_path).steps(1000) == 1000
    assert Lab("code_size", tmp_path, budget=0.25).steps(1000) == 250
    assert Lab("code_size", tmp_path, budget=0.001).steps(1000) == 2


@pytest.mark.parametrize("jobs", [1, 2])
def test_no_more_runs_train_at_a_time_than_were_asked_for(tmp_path, monkeypatch, jobs):
    begun, at_a_time, begin = [], [], module._begin

    def counted(folder, words):
        begun.append(begin(folder, words))
        at_a_time.append(sum(process.poll() is None for process in begun))
        return begun[-1]

    monkeypatch.setattr(module, "_begin", counted)
    Lab("code_size", tmp_path, seeds=(0, 1, 2, 3), jobs=jobs).train({"one": ["model=brief"]})
    assert len(begun) == 4 and max(at_a_time) <= jobs


def test_a_run_that_fails_is_a_line_and_ends_the_others(tmp_path):
    arms = {"slow": ["model=slow"], "failing": ["model=fails"], "later": []}
    with pytest.raises(TrainingError) as failed:
        Lab("code_size", tmp_path, seeds=(0,), jobs=2).train(arms)
    line = str(failed.value)
    assert "\n" not in line
    assert line.startswith("run failing_seed0 ended with exit code 7: but the reason is this (all of it: ")
    assert "but the reason is this" in (tmp_path / "runs" / "failing_seed0.screen.log").read_text()
    slow = tmp_path / "runs" / "slow_seed0"
    assert gone(int((slow / "pid").read_text()))
    assert (slow / LAST_CHECKPOINT).exists()
    assert not (tmp_path / "runs" / "later_seed0").exists()


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_experiment_ends_its_runs_and_they_go_on_later(tmp_path, monkeypatch, end):
    lab = Lab("code_size", tmp_path, seeds=(0,))
    folder = tmp_path / "runs" / "one_seed0"

    def sleep(seconds):
        if (folder / "ready").exists():
            raise end
        time.sleep(seconds)

    with monkeypatch.context() as patched:
        patched.setattr(module, "time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))
        with pytest.raises(end):
            lab.train({"one": ["model=slow"]})
    assert gone(int((folder / "pid").read_text()))
    lab.train({"one": ["model=slow"]})
    assert (folder / RESULTS).exists()
    assert starts(tmp_path)[-1][0] == f"resume='{folder}'"


def test_a_run_that_does_not_end_by_itself_is_killed(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(1000)"
    process = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    module._end([process])
    process.stdout.close()
    assert process.returncode == -signal.SIGKILL


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only there a process can ask to die with its parent")
def test_no_run_outlives_an_experiment_that_is_killed(tmp_path):
    program = (
        "import sys\nfrom pathlib import Path\nfrom ganlab.claims import lab\n"
        f"lab.PROGRAM = (sys.executable, '-c', {STAND_IN!r})\n"
        f"lab.Lab('code_size', Path({str(tmp_path)!r}), (0,)).train({{'one': ['model=slow']}})"
    )
    process = subprocess.Popen([sys.executable, "-c", program])
    ready = tmp_path / "runs" / "one_seed0" / "ready"
    until = time.monotonic() + 120
    while not ready.exists() and time.monotonic() < until:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert gone(int((ready.parent / "pid").read_text()))
