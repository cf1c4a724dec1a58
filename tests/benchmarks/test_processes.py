"""One process against two: the same global batch, in turn, and the ratio of the same round."""

import csv
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from loading import ROOT, loaded_file


@pytest.fixture(scope="module")
def processes():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    yield loaded_file("benchmarks/processes.py")
    sys.path.remove(str(ROOT / "benchmarks"))


@pytest.fixture(scope="module")
def timed_runs():
    return loaded_file("benchmarks/timed_runs.py")


def test_all_take_the_same_batch_and_as_many_threads(settings, processes):
    one, two, apart = (settings(*processes.words_of(kind, 64, 48, []).split()) for kind in processes.KINDS)
    assert apart == {**one, "data": {**one["data"], "batch_size": 24}, "trainer": {**one["trainer"], "threads": 1}}
    for run in (one, two):
        assert run["data"]["batch_size"] * run["trainer"]["devices"] == 48
        assert run["trainer"]["threads"] * run["trainer"]["devices"] == 2
        assert run["model"]["name"] == "dcgan" and run["data"]["image_size"] == 64
    assert (one["trainer"]["devices"], two["trainer"]["devices"]) == (1, 2)
    assert (
        settings(*processes.words_of("one process, two threads", 32, 8, ["model=lsgan"]).split())["model"]["name"]
        == "lsgan"
    )


def test_they_alternate_and_ratios_are_of_the_same_round(processes):
    one, two, apart = processes.KINDS
    asked = []
    speeds = iter([100.0, 90.0, 50.0, 5.0, 30.0, 10.0, 200.0, 100.0, 400.0])
    found = processes.alternated(lambda kind: (asked.append(kind), next(speeds))[1], 3)
    assert asked == [one, two, apart, apart, two, one, one, two, apart]
    assert found == {one: [100.0, 10.0, 200.0], two: [90.0, 30.0, 100.0], apart: [50.0, 5.0, 400.0]}
    lines = processes.told(found)
    assert "100.0 images/s" in lines[0] and "×1.00 (1.00–1.00)" in lines[0]
    assert "90.0 images/s" in lines[1] and "×0.90 (0.50–3.00)" in lines[1]


def test_two_runs_apart_go_at_the_same_time_and_their_speeds_add_up(processes, monkeypatch, capsys):
    both, seen = threading.Barrier(2), []

    def timed_run(words, every):
        seen.append((words, every))
        if words.endswith("trainer.devices=1 trainer.threads=1"):
            both.wait(10)
        return SimpleNamespace(images_per_second=7.0)

    monkeypatch.setattr(processes, "timed_run", timed_run)
    monkeypatch.setattr(sys, "argv", ["processes.py", "size=32", "rounds=1", "batch=8"])
    processes.main()
    lines = capsys.readouterr().out.splitlines()
    assert "7.0 images/s" in lines[1] and "14.0 images/s" in lines[3]
    assert len(seen) == 4 and all(every == 20 for _, every in seen)


def test_a_runs_speed_is_the_median_without_its_start(timed_runs, tmp_path):
    with (tmp_path / "metrics.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["iteration", timed_runs.SPEED])
        writer.writerows([[5, 1.0], [10, 50.0], [15, 70.0], [20, 60.0]])
    assert timed_runs.speed_of(tmp_path / "metrics.csv") == 60.0


def test_a_commands_peak_of_memory():
    measure = "; ".join(
        [
            "import sys, timed_runs",
            "sizes = [1, 301]",
            "code = ['b = bytes([1]) * (%d * 2**20)' % size for size in sizes]",
            "print(*[timed_runs.peak_memory([sys.executable, '-c', line]) for line in code])",
        ]
    )
    # By a small process: a new one begins with the peak of the one that started it.
    done = subprocess.run([sys.executable, "-c", measure], cwd=ROOT / "benchmarks", stdout=subprocess.PIPE, check=True)
    small, large = map(float, done.stdout.split())
    assert large - small == pytest.approx(300, abs=10)


def test_a_command_that_fails_is_told_with_its_words(timed_runs, capsys):
    with pytest.raises(subprocess.CalledProcessError):
        timed_runs.peak_memory([sys.executable, "-c", "raise SystemExit('no such thing')"])
    assert "no such thing" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_is_timed(timed_runs):
    words = "model=gan data=ring data.batch_size=8 trainer.accelerator=cpu"
    speed, mebibytes = timed_runs.timed_run(words, logged=2, every=5)
    assert speed > 0 and mebibytes > 50
