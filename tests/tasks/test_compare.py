"""`python -m ganlab.compare`: what it can be asked, and what it answers to a mistake."""

import subprocess
import sys
from functools import partial

import pytest
from run_folders import TAG, write_run

from ganlab.tasks.command import parse
from ganlab.tasks.compare import CompareOptions, main


@pytest.fixture
def refused(refused_by):
    return partial(refused_by, main)


def test_options():
    options = parse(CompareOptions, ["runs=[a,b]", "columns=[recall,loss/generator]", "evaluations=true"])
    assert (options.patterns, options.shown) == (["a", "b"], ["recall", "loss/generator"])
    options = parse(CompareOptions, ["runs=outputs/0_model=gan,seed=0", "columns=recall"])
    assert (options.patterns, options.shown, options.evaluations) == (
        ["outputs/0_model=gan,seed=0"],
        ["recall"],
        False,
    )
    assert (
        parse(CompareOptions, ["runs=a"]).shown is None and parse(CompareOptions, ["runs=a", "columns=[]"]).shown == []
    )


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (["rnus=x"], ["rnus=x: unknown key; nearest: runs"]),
        (["by=fd"], ["runs: missing"]),
        (["runs=here", "evaluations=perhaps"], ["evaluations=perhaps: must be a boolean"]),
        (["runs=absent"], ["runs=absent: there is no such folder, and nothing matches it"]),
        (["runs=[]"], ["runs=[]: name at least one folder"]),
        (["runs=here", "by=fd_digit"], ["by=fd_digit: no run has this score; nearest: fd_digits"]),
        (
            ["runs=here", "columns=[fd,loss/genrator]"],
            ["columns=loss/genrator: no run has it; nearest: loss/generator"],
        ),
        (["runs=empty"], ["runs=empty: no finished run is there"]),
        (["runs=half"], ["runs=half: no finished run is there", "left out, unfinished: half"]),
    ],
)
def test_mistakes_are_a_line_and_leave_nothing_behind(refused, tmp_path, words, lines):
    write_run(tmp_path / "here" / "a")
    (write_run(tmp_path / "half") / "results.json").unlink()
    (tmp_path / "empty").mkdir()
    assert refused(*words) == lines


def test_it_answers_without_torch(tmp_path):
    write_run(tmp_path / "a", history={TAG: {1: 1.0}}, picture=(8, 8))
    command = [sys.executable, "-X", "importtime", "-m", "ganlab.compare", "runs=a"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0 and "written: outputs/compare/" in done.stdout
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "matplotlib" in imported and not imported & {"torch", "lightning", "torchvision", "sklearn"}
