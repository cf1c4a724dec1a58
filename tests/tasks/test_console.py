"""The run's last words."""

import sys

from ganlab.tasks import console


def test_three_lines_with_every_score_and_the_path_as_one_would_type_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "outputs" / "x"
    python = console.python()
    console.say_finished(folder, {"metric/a": {"value": 0.12345}, "metric/b": {"value": 2.0}})
    assert capsys.readouterr().out.splitlines() == [
        "run:    outputs/x",
        "scored: metric/a 0.123, metric/b 2.000",
        f"next:   {python} -m ganlab.sample run=outputs/x  |  {python} -m tensorboard.main --logdir outputs/x",
    ]


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
