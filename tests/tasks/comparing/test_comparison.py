"""Runs compared from the command line: what is said, what is written, and that no picture is stale."""

import csv
from functools import partial
from pathlib import Path

import pytest
from PIL import Image
from run_folders import TAG, score, write_run

from ganlab.tasks.compare import main
from ganlab.tasks.comparing import comparison


@pytest.fixture
def compared(commanded):
    return partial(commanded, main)


def write_two(tmp_path: Path) -> None:
    for model, values in (("gan", [1.0, 1.2]), ("lsgan", [0.5, 0.4])):
        for seed, value in enumerate(values):
            folder = tmp_path / "runs" / f"{model}{seed}"
            history = {TAG: {100: value}, "loss/generator": {50: 1.0, 100: 2.0}}
            write_run(folder, f"model={model}", seed=seed, value=value, history=history, picture=(60, 60))


def test_tables_files_and_the_command_of_the_best(compared, tmp_path):
    write_two(tmp_path)
    (write_run(tmp_path / "runs" / "stopped") / "results.json").unlink()
    code, out, err = compared("runs=runs", "output=out")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "fd_digits (lower is better) · 4 runs · digits, against test · 1,000 samples · averaged weights"
    assert [line.split()[0] for line in lines if "model=" in line and "±" in line] == ["model=lsgan", "model=gan"]
    assert any(line.endswith("-m ganlab model=lsgan seed=1") for line in lines), "the seed with the best value"
    assert "left out, unfinished: runs/stopped" in lines
    names = ["compare.csv", "compare.md", "curves.png", "runs.csv", "samples.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    with (tmp_path / "out" / "compare.csv").open() as file:
        assert [line["group"] for line in csv.DictReader(file)] == ["model=lsgan", "model=gan"]
    document = (tmp_path / "out" / "compare.md").read_text()
    for part in ("| model=lsgan | 2 | 0.450 ± 0.071 |", "![curves](curves.png)", "![samples](samples.png)"):
        assert part in document
    assert "left out, unfinished: runs/stopped" in document
    (command,) = (line for line in document.splitlines() if line.startswith("    "))
    assert command.endswith("-m ganlab model=lsgan seed=1") and "again" not in command
    assert Image.open(tmp_path / "out" / "samples.png").size[0] > 800


def test_other_protocols_have_tables_and_pictures_of_their_own(compared, tmp_path):
    write_two(tmp_path)
    for seed in range(2):
        write_run(tmp_path / "runs" / f"few{seed}", seed=seed, scores={TAG: score(0.1, count=9)}, picture=(60, 60))
    write_run(tmp_path / "runs" / "alone", scores={TAG: score(0.1, count=8)}, picture=(60, 60))
    code, out, _ = compared("runs=runs", "output=out")
    assert code == 0
    assert "table 2: fd_digits (lower is better) · 2 runs" in out
    assert "not comparable, and so a table of its own; against table 1: count 9, not 1000" in out
    pictures = sorted(path.name for path in (tmp_path / "out").glob("*.png"))
    assert pictures == ["curves.png", "samples.png", "samples_2.png"]


def test_columns_are_shown_as_asked(compared, tmp_path):
    write_two(tmp_path)
    out = compared("runs=runs", "output=out", "columns=[loss/generator]")[1]
    head = next(line for line in out.splitlines() if line.split()[:1] == ["n"])
    assert head.split() == ["n", "fd_digits", "↓", "loss/generator", "iterations", "time"]


def test_the_default_folder_is_never_anothers(compared, tmp_path, monkeypatch):
    write_two(tmp_path)

    class Stopped(comparison.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 1)

    monkeypatch.setattr(comparison, "datetime", Stopped)
    for _ in range(2):
        assert compared("runs=runs")[0] == 0
    folders = sorted(path.name for path in (tmp_path / "outputs" / "compare").iterdir())
    assert folders == ["2026-01-01_00-00-00", "2026-01-01_00-00-00_2"]


def test_a_folder_that_cannot_be_written_is_a_line(compared, tmp_path):
    write_two(tmp_path)
    (tmp_path / "file").write_text("")
    code, _, err = compared("runs=runs", "output=file/below")
    assert code == 2 and len(err.splitlines()) == 1 and "file/below" in err


def test_two_real_runs(ganlab, compared, tmp_path):
    scored = ["metrics.scores=[fd]", "metrics.count=20", "metrics.reference_count=20", "trainer.evaluate_every=null"]
    for model, seed in (("gan", 0), ("lsgan", 1)):
        words = [f"model={model}", f"seed={seed}", *scored, "trainer.max_iterations=4", f"hydra.run.dir=runs/{model}"]
        assert ganlab(*words).returncode == 0
    code, out, err = compared("runs=runs", "output=out")
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines() if line.startswith(" model=")]
    assert {(row[0], row[1]) for row in rows} == {("model=gan", "1"), ("model=lsgan", "1")}
    assert float(rows[0][2]) <= float(rows[1][2])
    assert "one seed says nothing of chance" in out and "left out" not in out
    best = rows[0][0]
    command = next(line for line in out.splitlines() if line.startswith("the best again: "))
    assert best in command and "metrics.count=20" in command
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".csv", ".md", ".png"}
