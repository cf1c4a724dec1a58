"""The benchmark's two loops do the same work, and its rows say what was timed. No speed is asserted."""

import importlib.util
import re
from pathlib import Path

import pytest


@pytest.fixture
def speed():
    path = Path(__file__).parents[2] / "benchmarks" / "speed.py"
    specification = importlib.util.spec_from_file_location("speed", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_a_case_prints_a_row_for_each_loop(speed, capsys, monkeypatch):
    monkeypatch.setitem(speed.CASES, "ring", (["model=gan", "data=ring", "data.batch_size=8"], 3, 2))
    speed.measure("ring")
    rows = capsys.readouterr().out.splitlines()
    labels = [re.match(r"ring\s+(.*?)\s+[\d.]+ it/s\s+wall ×[\d.]+", row)[1] for row in rows]
    assert labels == ["plain loop", "plain loop (A/A)", "ganlab"]
