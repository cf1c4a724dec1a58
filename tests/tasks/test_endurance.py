"""A long run with everything on; `benchmarks/faults.py endurance` is the same with 20,000 iterations."""

import sys

import pytest

from loading import ROOT, loaded_file


@pytest.fixture(scope="module")
def endurance():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    yield loaded_file("benchmarks/faults_endurance.py")
    sys.path.remove(str(ROOT / "benchmarks"))


def looks(endurance, memory=lambda n: 500.0, files=lambda n: 13, seconds=lambda n: n / 50):
    return [endurance.Look(n, memory(n), files(n), 1, seconds(n)) for n in range(100, 20_001, 100)]


@pytest.mark.parametrize(
    ("bad", "lost"),
    [
        ({}, [0, 0, 0]),
        ({"memory": lambda n: 500 + 2e-4 * n}, [1, 0, 0]),
        ({"memory": lambda n: 500 + min(n, 5000) / 10}, [0, 0, 0]),
        ({"files": lambda n: 13 + n // 1000}, [0, 1, 0]),
        ({"files": lambda n: 13 + (n % 700 == 0)}, [0, 0, 0]),
        ({"seconds": lambda n: (n / 1000) ** 2}, [0, 0, 1]),
    ],
    ids=["flat", "memory grows", "only at first", "files stay open", "files now and then", "slower"],
)
def test_what_grows_is_told_from_what_is_flat(endurance, monkeypatch, bad, lost):
    monkeypatch.setattr(endurance, "endured", lambda iterations: looks(endurance, **bad))
    assert [row.lost for row in endurance.rows(20_000)] == lost


def test_a_run_that_fails_is_lost(endurance, monkeypatch):
    def fails(iterations):
        raise RuntimeError("why")

    monkeypatch.setattr(endurance, "endured", fails)
    assert [(row.lost, row.note) for row in endurance.rows(20)] == [(1, "why")]


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(1800)
def test_memory_files_and_speed_stay_what_they_are(endurance):
    """Fewer iterations than by the benchmark: a few pages more or less count for more in the slope."""
    found = endurance.endured(3000)
    assert [one.iteration for one in found] == list(range(100, 3001, 100))
    assert endurance.growth(found) < 5
    assert endurance.new_files(found) <= 0
    assert endurance.speed(found, 4) > 0.8 * endurance.speed(found, 2)
