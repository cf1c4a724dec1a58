"""Which process is seen to die, what is said of it, and that none outlives the others."""

import os
import signal
import subprocess
import sys
import time

import pytest

from ganlab.tasks import dying_ranks
from ganlab.tasks.dying_ranks import PEER_LOST, Watch, follow_parent, how_it_ended, live_with_parent
from living import gone

LONG = "import time; time.sleep(60)"


@pytest.fixture
def start():
    """start("code", …): a Python process for each; none is left after the test."""
    started = []

    def run(*codes):
        started.extend(subprocess.Popen([sys.executable, "-S", "-c", code]) for code in codes)
        return started

    yield run
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def watch(start, monkeypatch):
    """watch("code", …): the processes and a thread that watches them, impatiently."""
    monkeypatch.setattr(dying_ranks, "POLL", 0.05)
    monkeypatch.setattr(dying_ranks, "GRACE", 3.0)
    watches = []

    def begin(*codes):
        watches.append(Watch(start(*codes), lambda rank, code: f"rank {rank}: {code}"))
        watches[-1].start()
        return watches[-1]

    yield begin
    for one in watches:
        one.stop()


def test_a_killed_process_is_seen_with_its_rank_and_signal(watch):
    watching = watch(LONG, LONG)
    watching.processes[1].kill()
    assert watching.await_death() == (2, -9)
    watching.stop()
    assert watching.processes[0].poll() is None, "the others are ended by whoever ends the run"


def test_a_signal_comes_before_what_it_led_to(watch, monkeypatch):
    monkeypatch.setattr(dying_ranks, "POLL", 1.0)
    watching = watch("raise SystemExit(1)", LONG)
    watching.processes[1].kill()
    for process in watching.processes:
        process.wait()
    assert watching._look() == (2, -9)


@pytest.mark.parametrize("code", [0, PEER_LOST])
def test_an_end_that_is_no_cause(watch, code):
    watching = watch(f"raise SystemExit({code})")
    watching.processes[0].wait()
    time.sleep(0.3)
    assert watching.died is None


HARD = """
import subprocess, sys, time
from ganlab.tasks import dying_ranks
dying_ranks.POLL, dying_ranks.GRACE = 0.1, 1.0
others = [subprocess.Popen([sys.executable, "-S", "-c", code]) for code in ("raise SystemExit(7)", sys.argv[1])]
watching = dying_ranks.Watch(others, lambda rank, code: f"rank {rank} {dying_ranks.how_it_ended(code)}")
watching.start()
print(others[1].pid, flush=True)
EXPECTED
time.sleep(60)
"""


def test_a_process_that_does_not_notice_is_ended_and_says_why():
    start = time.monotonic()
    done = ended(HARD.replace("EXPECTED", ""))
    assert done.returncode == 1 and time.monotonic() - start < 30
    assert done.stderr.splitlines() == ["rank 1 ended with exit code 7"]
    assert gone(int(done.stdout))


def test_a_process_that_has_noticed_may_not_hang_at_its_exit():
    """As when what a library registered for the exit waits for the dead."""
    at_exit = "import atexit; atexit.register(time.sleep, 60); watching.end_all(0, 7); sys.exit(7)"
    start = time.monotonic()
    done = ended(HARD.replace("EXPECTED", at_exit))
    assert done.returncode == 7 and time.monotonic() - start < 30
    assert done.stderr == "" and gone(int(done.stdout))


def ended(code):
    return subprocess.run([sys.executable, "-c", code, LONG], capture_output=True, text=True, timeout=60)


def test_the_others_may_end_by_themselves_before_they_are_killed(watch):
    watching = watch("import time; time.sleep(0.5)", LONG)
    start = time.monotonic()
    watching.end_all(3, 1)
    assert [process.returncode for process in watching.processes] == [0, -9]
    assert 2.5 < time.monotonic() - start < 15


def test_the_thread_ends_with_the_run(watch):
    watching = watch(LONG)
    watching.stop()
    watching.join(5)
    assert not watching.is_alive()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (3, "ended with exit code 3"),
        (-signal.SIGKILL, "was killed by SIGKILL (the memory may have been full)"),
        (-signal.SIGSEGV, "was killed by SIGSEGV"),
    ],
)
def test_an_exit_code_in_words(code, words):
    assert how_it_ended(code) == words


PARENT = """
import subprocess, sys, time
from ganlab.tasks.dying_ranks import live_with_parent
code = "import signal, time; print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN, flush=True); time.sleep(60)"
other = subprocess.Popen([sys.executable, "-S", "-c", code], preexec_fn=live_with_parent(), stdout=subprocess.PIPE)
print(other.pid, other.stdout.readline().decode().strip(), flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread does it, see below")
def test_a_rank_dies_with_the_first_one_and_leaves_ctrl_c_to_it():
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as first:
        other, ignores = first.stdout.readline().split()
        first.kill()
    assert gone(int(other))
    assert ignores == "True"


@pytest.mark.skipif(sys.platform != "linux", reason="a promise of Linux")
def test_a_rank_whose_first_one_is_dead_already_ends(monkeypatch):
    bind = live_with_parent()
    ends = []
    monkeypatch.setattr(dying_ranks, "_LIBC", type("Libc", (), {"prctl": staticmethod(lambda *words: 0)}))
    monkeypatch.setattr(signal, "signal", lambda *words: None)
    monkeypatch.setattr(os, "_exit", ends.append)
    monkeypatch.setattr(os, "getppid", lambda: 1)
    bind()
    assert ends == [PEER_LOST]


def test_elsewhere_a_thread_follows_the_first_one(monkeypatch):
    parents, ends = [5, 5, 1], []
    monkeypatch.setattr(dying_ranks, "_LIBC", None)
    monkeypatch.setattr(dying_ranks, "POLL", 0.01)
    monkeypatch.setattr(os, "getppid", lambda: parents.pop(0))
    monkeypatch.setattr(os, "_exit", ends.append)
    follow_parent(5)
    for _ in range(100):
        if ends:
            break
        time.sleep(0.01)
    assert ends == [PEER_LOST] and parents == []
