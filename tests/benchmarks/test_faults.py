"""The table of faults: that it would see what is lost, and, slow, that nothing is."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from faults import benchmark
from loading import ROOT, loaded_file

rows_of = benchmark("fault_rows")
kills, disks = benchmark("faults_kills"), benchmark("faults_disk")


# -- the table ----------------------------------------------------------------------------------------------------


def part(count: int = 3):
    yield rows_of.Row("a", count, count, 0, "same")


def lossy(count: int = 3):
    yield rows_of.Row("b", count, count - 1, 1)


@pytest.mark.parametrize(
    ("words", "code", "lines"),
    [
        ([], 1, ["a 3 3 0 same", "b 3 2 1 LOST"]),
        (["a=5"], 0, ["a 5 5 0 same"]),
        (["a"], 0, ["a 3 3 0 same"]),
        (["b=9"], 1, ["b 9 8 1 LOST"]),
    ],
)
def test_parts_are_chosen_by_name_and_a_loss_is_an_exit_code(loaded_table, capsys, words, code, lines):
    assert loaded_table(words) == code
    assert [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()[1:]] == lines


@pytest.mark.parametrize("word", ["c", "a=many", "faults"])
def test_a_word_that_is_no_part_is_refused(loaded_table, word):
    with pytest.raises(SystemExit, match="give a part, or a part and how many: a, b"):
        loaded_table([word])


@pytest.fixture
def loaded_table(monkeypatch):
    """loaded_table(words): the command with two parts of its own."""
    module = loaded_file("benchmarks/faults.py")
    monkeypatch.setattr(module, "parts", lambda: {"a": part, "b": lossy})
    monkeypatch.setattr(module, "load_libraries", lambda: None)

    def main(words):
        monkeypatch.setattr(sys, "argv", ["faults.py", *words])
        return module.main()

    return main


def test_all_parts_are_found():
    assert {"kills", "disk"} <= set(loaded_file("benchmarks/faults.py").parts())


# -- that a loss is seen ------------------------------------------------------------------------------------------


def test_what_differs_is_named():
    first = {"weights": {"a": torch.zeros(2), "b": [torch.ones(1), 3]}, "seed": 0}
    assert kills.unequal(first, {"weights": {"a": torch.zeros(2), "b": [torch.ones(1), 3]}, "seed": 0}) == []
    spoiled = {"weights": {"a": torch.tensor([0, 1e-9]), "b": [torch.ones(1), 4]}, "new": 1}
    assert kills.unequal(first, spoiled) == ["new", "seed", "weights.a", "weights.b[1]"]
    assert kills.unequal(torch.zeros(1), torch.zeros(1, dtype=torch.float64)) == [""]


def test_a_checkpoint_that_does_not_load_or_is_gone_is_lost(tmp_path):
    assert kills.verify_loadable(tmp_path, before=False) is False
    with pytest.raises(kills.Lost, match="gone"):
        kills.verify_loadable(tmp_path, before=True)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/last.ckpt").write_bytes(b"PK half of one")
    with pytest.raises(kills.Lost, match="does not load"):
        kills.verify_loadable(tmp_path, before=False)


@pytest.mark.parametrize(
    ("code", "err"),
    [
        (0, "x: cannot be written (No space left on device)"),
        (-9, "x: cannot be written (No space left on device)"),
        (2, ""),
        (2, "Traceback (most recent call last)\nx: cannot be written (No space left on device)"),
        (2, "x: cannot be written (No space left on device)\nand more"),
        (1, "something failed"),
    ],
)
def test_an_end_without_a_clear_line_is_lost(code, err):
    with pytest.raises(kills.Lost):
        disks.verify_told(SimpleNamespace(code=code, err=err))


def test_warnings_beside_the_line_are_none():
    told = "warning: a picture\nx: cannot be written (No space left on device)\n"
    disks.verify_told(SimpleNamespace(code=2, err=told))


def test_a_run_that_does_nothing_but_end_is_waited_for(tmp_path):
    run = rows_of.Run(tmp_path, before=lambda: sys.exit(7))
    assert (run.wait(), run.poll(), run.out, run.err) == (7, 7, "", "")


# -- that nothing is lost -----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.long
def test_runs_that_are_killed_come_to_the_same_end(tmp_path):
    row = kills.stories("killed", 6, kills.Story.kill_until_done, tmp_path, "kills", seed=9)
    assert (row.tried, row.lost) == (6, 0)


@pytest.mark.slow
@pytest.mark.long
def test_disks_that_fail_cost_nothing():
    """By the command itself, whose mounts are then its own."""
    command = [sys.executable, str(ROOT / "benchmarks/faults.py"), "disk=3"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=1500)
    assert told.returncode == 0, told.stdout + told.stderr
    assert len(told.stdout.splitlines()) == 1 + len(disks.MOUNTED) + len(disks.UNMOUNTED)
