"""The run's last words."""

import sys

import pytest

from ganlab.tasks import console


def test_the_monitored_score_first_and_the_path_as_one_would_type_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "outputs" / "x"
    python = console.python()
    scores = {
        "metric/precision": {"value": 0.81234, "real": 0.9},
        "metric/fd_digits": {"value": 12.3456, "real": 2.0},
        "metric/density": {"value": 1.0, "real": 1.0},
        "metric/modes": {"value": 8.0, "real": None},
    }
    console.say_finished(folder, scores, "metric/fd_digits")
    assert capsys.readouterr().out.splitlines() == [
        "run:    outputs/x",
        "scored: fd_digits 12.3 (real samples 2), precision 0.812 (real samples 0.900), modes 8; "
        "1 more in results.json",
        f"next:   {python} -m ganlab.evaluate run=outputs/x  |  {python} -m ganlab.sample run=outputs/x",
        f"        {python} -m tensorboard.main --logdir outputs/x",
    ]
    console.say_finished(folder, {})
    assert "scored: nothing\n" in capsys.readouterr().out
    console.say_finished(folder, {}, None, "1 sample is too few")
    assert "scored: 1 sample is too few\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0.0, "0"),
        (8.0, "8"),
        (-3.0, "-3"),
        (0.123456, "0.123"),
        (0.0123456, "0.0123"),
        (-0.5, "-0.500"),
        (12.3456, "12.3"),
        (123.456, "123"),
        (12345.6, "12,346"),
        (0.000123, "1.2e-04"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
    ],
)
def test_numbers_have_three_digits_that_mean_something(value, told):
    assert console.number(value) == told


def test_a_path_elsewhere_is_told_in_full(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert console.relative(tmp_path / "there") == str(tmp_path / "there")


def test_an_interrupted_run_says_how_to_go_on_on_standard_error(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    console.say_interrupted(tmp_path / "run", 42)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.strip() == (
        f"stopped after iteration 42; saved. Go on with: {console.python()} -m ganlab resume=run"
    )
    console.say_interrupted(tmp_path / "run", 42, trust=True)
    assert capsys.readouterr().err.endswith("-m ganlab resume=run trust=true\n")


def test_the_interpreter_is_named_so_that_the_line_can_be_typed(tmp_path, monkeypatch):
    """`python` only if that is this environment's; else the path, as short as it can be."""
    for folder in ("own", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "python").write_text("#!/bin/sh\n")
        (tmp_path / folder / "python").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "own" / "python"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "own"))
    assert console.python() == "python"
    monkeypatch.setenv("PATH", str(tmp_path / "other"))
    assert console.python() == "own/python"
    monkeypatch.chdir(tmp_path / "other")
    assert console.python() == str(tmp_path / "own" / "python")
