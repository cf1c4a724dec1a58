"""Shares of the machine for several jobs at a time; no GPU is needed to divide GPUs."""

import os
import threading
import time

import pytest

from ganlab.tasks.sweeps import slots
from ganlab.tasks.sweeps.slots import Share, cores_of, gpus_wanted, taken, visible_gpus


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8])
def test_cores_are_divided_without_rest_and_without_overlap(count):
    cores = [0, 1, 2, 3, 8, 9, 10, 11]
    parts = [cores_of(slot, count, cores) for slot in range(count)]
    assert [core for part in parts for core in part] == cores
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_more_slots_than_cores_share_them():
    assert [cores_of(slot, 5, [4, 6]) for slot in range(5)] == [(4,), (6,), (4,), (6,), (4,)]


@pytest.mark.parametrize(
    ("devices", "count", "gpus", "wanted"),
    [(1, 4, 8, 1), (2, 4, 8, 2), (2, 4, 0, 0), (16, 1, 8, 8), ("auto", 2, 8, 4), ("auto", 3, 2, 1), ("auto", 2, 0, 0)],
)
def test_gpus_of_a_job(devices, count, gpus, wanted):
    assert gpus_wanted(devices, count, gpus) == wanted


def test_jobs_at_the_same_time_have_different_cores_and_gpus(tmp_path):
    machine = (tmp_path / "locks", 3, range(6), ["0", "1", "GPU-a/b", "3"])
    with taken(*machine, 1) as first, taken(*machine, 2) as second, taken(*machine, 1) as third:
        assert first == Share((0, 1), ("0",))
        assert second == Share((2, 3), ("1", "GPU-a/b"))
        assert third == Share((4, 5), ("3",))
    with taken(*machine, 4) as all_of_them:
        assert all_of_them == Share((0, 1), ("0", "1", "GPU-a/b", "3"))
    with taken(tmp_path / "locks", 2, range(6), [], 4) as without:
        assert without == Share((0, 1, 2), None)


@pytest.mark.parametrize(("count", "gpus", "devices"), [(1, ["0", "1", "2"], 1), (4, ["0", "1", "2"], 2)])
def test_a_job_waits_for_a_free_slot_and_for_enough_gpus(tmp_path, monkeypatch, count, gpus, devices):
    monkeypatch.setattr(slots, "_PATIENCE", 0.01)
    order = []

    def later():
        with taken(tmp_path, count, [0], gpus, devices):
            order.append("second")

    with taken(tmp_path, count, [0], gpus, devices):
        waiting = threading.Thread(target=later)
        waiting.start()
        time.sleep(0.15)
        order.append("first is done")
    waiting.join(timeout=10)
    assert order == ["first is done", "second"]


def test_a_slot_is_free_again_when_its_process_is_killed(tmp_path):
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        with taken(tmp_path, 1, [0], [], 1):
            os.write(tell, b"x")
            time.sleep(60)
        os._exit(0)
    os.read(ready, 1)
    assert slots._try_to_take(tmp_path, 1, [], 0) is None
    os.kill(child, 9)
    os.waitpid(child, 0)
    with taken(tmp_path, 1, [0], [], 1) as share:
        assert share.cores == (0,)


@pytest.mark.parametrize(
    ("told", "names"), [("0,2", ["0", "2"]), ("", []), ("-1", []), ("1, -1,0", ["1"]), ("GPU-8a, 3", ["GPU-8a", "3"])]
)
def test_gpus_are_those_that_cuda_would_show(told, names):
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": told}) == names


def test_without_a_word_the_driver_is_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_gpus({}) == []
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nif [ $1 = --query-gpu=index ]; then echo 0; echo 1; fi\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert visible_gpus({}) == ["0", "1"]
