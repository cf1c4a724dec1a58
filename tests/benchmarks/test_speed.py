"""The benchmark's two loops do the same work, and its rows say what was timed. No speed is asserted."""

import re

import pytest

from loading import loaded_file


@pytest.fixture
def speed():
    return loaded_file("benchmarks/speed.py")


def test_a_case_prints_a_row_for_each_loop(speed, capsys, monkeypatch):
    monkeypatch.setitem(speed.CASES, "ring", (["model=gan", "data=ring", "data.batch_size=8"], 3, 2))
    speed.measure("ring")
    rows = capsys.readouterr().out.splitlines()
    labels = [re.match(r"ring\s+(.*?)\s+[\d.]+ it/s\s+wall ×[\d.]+", row)[1] for row in rows]
    assert labels == ["plain loop", "plain loop (A/A)", "ganlab"]
