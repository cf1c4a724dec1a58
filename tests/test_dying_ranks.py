"""Runs of two real processes, one of which is killed, fails or is told to end: both end, soon, and say so once."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from living import running_in_session

WORDS = [
    "model=gan", "data=ring", "data.batch_size=8", "model.generator.width=8", "model.discriminator.width=8",
    "metrics.scores=[]", "logger=csv", "trainer.progress=false", "trainer.sample_every=null", "trainer.threads=1",
    "trainer.accelerator=cpu", "trainer.devices=2", "trainer.checkpoint_every=4", "trainer.log_every=2",
    "hydra.run.dir=run",
]  # fmt: skip
BOUND = 60
"""Seconds from the event to the end of the last process; alone on a machine it is about two, or GRACE and two."""
LAST = Path("run", "checkpoints", "last.ckpt")


class Run:
    """A command in a session of its own, so that whatever it starts is found."""

    def __init__(self, folder, *words):
        foreign = ("LOCAL_RANK", "MASTER_", "WORLD_SIZE", "NODE_RANK", "HYDRA_FULL_ERROR", "GANLAB_FULL_ERROR")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
        self.folder, self.out = folder, (folder / "screen.txt").open("w+")
        self.first = subprocess.Popen(
            [sys.executable, "-m", "ganlab", *words],
            cwd=folder,
            env={**kept, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent / "tasks")},
            stdout=self.out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    def until(self, happened, seconds=200):
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline and self.first.poll() is None, self.said()
            time.sleep(0.1)

    def others(self):
        """The other processes that live in the session, by Linux's account."""
        return [process for process in running_in_session(self.first.pid) if process != self.first.pid]

    def end(self, seconds=240):
        """The exit code, after making sure that no process of the run lives on."""
        code = self.first.wait(seconds)
        deadline = time.monotonic() + 5
        while self.others() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert self.others() == []
        return code

    def said(self):
        self.out.seek(0)
        return self.out.read()

    def since_checkpoint(self):
        return time.time() - (self.folder / LAST).stat().st_mtime


@pytest.fixture
def start(tmp_path):
    """start("trainer.…"): a run of two processes that a test may do something to."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("looks for processes in /proc")
    runs = []

    def begin(*words, tiny=True):
        runs.append(Run(tmp_path, *(WORDS if tiny else ()), *words))
        return runs[-1]

    yield begin
    for run in runs:
        if run.first.poll() is None or run.others():
            os.killpg(run.first.pid, signal.SIGKILL)
            run.first.wait()
        run.out.close()


def provoking(*callbacks):
    """The override for callbacks of `provoking`: ("DieSaving", {"iteration": 8, "rank": 1})."""
    nodes = [", ".join(f"{key}: {value}" for key, value in own.items()) for _, own in callbacks]
    named = [f"{{_target_: provoking.{name}, {own}}}" for (name, _), own in zip(callbacks, nodes, strict=True)]
    return f"callbacks.extra=[{', '.join(named)}]"


KILLED = provoking(("RankSignalAt", {"iteration": 10, "rank": 1, "name": "SIGKILL"}))
LINE = (
    r"^training stopped: {}; the last good checkpoint is run/checkpoints/last\.ckpt; "
    r"go on with: \S+ -m ganlab resume=run\n$"
)
SIGKILLED = r"rank 1 was killed by SIGKILL \(the memory may have been full\)"


@pytest.mark.slow
def test_a_killed_rank_ends_the_run_with_one_line(start):
    run = start("trainer.max_iterations=12", KILLED)
    assert run.end() == 1, run.said()
    assert run.since_checkpoint() < BOUND
    assert re.match(LINE.format(SIGKILLED), run.said()), run.said()


@pytest.mark.slow
def test_ctrl_c_at_one_rank_alone_ends_both_with_a_checkpoint(start, tmp_path):
    stop = provoking(("RankSignalAt", {"iteration": 5, "rank": 1, "name": "SIGINT"}))
    run = start("trainer.max_iterations=1000000", stop)
    assert run.end() == 130, run.said()
    assert len(re.findall(r"stopped after iteration \d+; saved. Go on with: \S+ -m ganlab resume=run", run.said())) == 1
    assert "Traceback" not in run.said()
    assert 5 <= torch.load(tmp_path / LAST, weights_only=True)["iteration"] <= 8


@pytest.mark.slow
def test_a_run_that_lost_a_rank_goes_on_to_the_same_weights(start, tmp_path):
    assert start("trainer.max_iterations=12", "hydra.run.dir=whole").end() == 0
    assert start("trainer.max_iterations=12", KILLED).end() == 1
    assert torch.load(tmp_path / LAST, weights_only=True)["iteration"] == 8
    resumed = start("resume=run", "callbacks.extra=[]", tiny=False)
    assert resumed.end() == 0, resumed.said()
    whole, part = (
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True) for name in ("whole", "run")
    )
    assert whole["iteration"] == part["iteration"] == 12
    for name, weight in whole["state_dict"].items():
        assert torch.equal(weight, part["state_dict"][name]), name


@pytest.mark.slow
def test_a_rank_does_not_outlive_the_first_one(start, tmp_path):
    run = start("trainer.max_iterations=1000000")
    run.until((tmp_path / LAST).exists)
    assert run.others()
    run.first.kill()
    assert run.end() == -signal.SIGKILL


@pytest.mark.slow
def test_a_rank_that_is_killed_before_it_is_there(start, tmp_path):
    run = start("trainer.max_iterations=1000000")
    run.until(run.others)
    time.sleep(1)
    began = time.monotonic()
    for other in run.others():
        os.kill(other, signal.SIGKILL)
    assert run.end(BOUND) == 1
    assert time.monotonic() - began < BOUND
    assert run.said() == f"training stopped: {SIGKILLED}; no checkpoint had been saved yet\n".replace("\\", "")


@pytest.mark.slow
def test_a_first_rank_that_is_busy_for_long_is_ended_too(start):
    busy = ("RankBusyAt", {"iteration": 10, "rank": 0, "seconds": 300})
    run = start(
        "trainer.max_iterations=12",
        provoking(busy, ("RankSignalAt", {"iteration": 10, "rank": 1, "name": "SIGKILL"})),
    )
    assert run.end() == 1
    assert run.since_checkpoint() < BOUND
    assert re.match(LINE.format(SIGKILLED), run.said()), run.said()


@pytest.mark.slow
def test_a_rank_that_is_killed_while_a_checkpoint_is_made(start, tmp_path):
    run = start("trainer.max_iterations=12", provoking(("DieSaving", {"iteration": 8, "rank": 1})))
    assert run.end() == 1
    assert re.match(LINE.format(SIGKILLED), run.said()), run.said()
    assert torch.load(tmp_path / LAST, weights_only=True)["iteration"] in (4, 8)
    assert not list((tmp_path / "run" / "checkpoints").glob(".*"))


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_mistake_that_one_rank_meets_is_told_once_and_ends_both(start, rank):
    mistake = provoking(("RankRaiseAt", {"iteration": 10, "rank": rank, "mistake": "true"}))
    run = start("trainer.max_iterations=12", mistake)
    assert run.end() == (1 if rank else 2)
    assert run.said().count("photo.png: cannot be read") == 1 and len(run.said().splitlines()) == 1, run.said()


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_fault_on_one_rank_shows_its_own_traceback_and_ends_both(start, rank):
    run = start("trainer.max_iterations=12", provoking(("RankRaiseAt", {"iteration": 10, "rank": rank})))
    assert run.end() == 1
    assert len(re.findall(r"ArithmeticError: a fault of the program$", run.said(), re.MULTILINE)) == 1
    assert "gloo" not in run.said() and "by peer" not in run.said()
    assert ("rank 1 ended with exit code 1; the last good" in run.said()) == (rank == 1)


@pytest.mark.slow
def test_slow_iterations_end_soon_whatever_the_interval_of_the_log(start, tmp_path):
    slow = provoking(("SlowIterations", {"seconds": 0.5}))
    run = start("trainer.max_iterations=1000000", "trainer.log_every=100000", slow)
    run.until((tmp_path / LAST).exists)
    began = time.monotonic()
    for other in run.others():
        os.kill(other, signal.SIGTERM)
    assert run.end(BOUND) == 143
    assert time.monotonic() - began < BOUND
    assert run.said().count("stopped after iteration") == 1
