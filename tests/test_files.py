import errno
import os
import stat
from pathlib import Path

import pytest

from ganlab import files
from ganlab.errors import OutputError
from ganlab.files import (
    claim_folder,
    disk_fault,
    remove_refused_run,
    remove_temporaries,
    remove_unbegun_run,
    write_atomically,
    write_whole,
)


@pytest.fixture
def umask():
    """umask(0o027) for the rest of the test."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_a_file_and_the_folders_above_it(tmp_path):
    path = tmp_path / "a" / "b" / "file"
    write_atomically(path, lambda file: file.write(b"new"))
    write_atomically(path, lambda file: file.write(b"newer"))
    assert path.read_bytes() == b"newer"
    assert names(path.parent) == ["file"]


@pytest.mark.parametrize(
    ("failure", "raised"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), OutputError),
        (RuntimeError("[enforce fail at inline_container.cc:626] . unexpected pos 64 vs 0"), OutputError),
        (RuntimeError("a fault"), RuntimeError),
        (KeyError("a fault"), KeyError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=lambda value: str(value)[:20],
)
@pytest.mark.parametrize("old", [b"old", None])
def test_a_failure_while_writing_leaves_the_old_file_and_nothing_else(tmp_path, failure, raised, old):
    path = tmp_path / "file"
    if old is not None:
        path.write_bytes(old)

    def write(file):
        file.write(b"half of the n")
        raise failure

    with pytest.raises(raised) as error:
        write_atomically(path, write)
    assert names(tmp_path) == ([] if old is None else ["file"])
    assert old is None or path.read_bytes() == old
    if raised is OutputError:
        assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_until_the_writer_is_done_the_old_file_is_there(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    seen = []

    def write(file):
        file.write(b"new")
        file.flush()
        seen.append(path.read_bytes())

    write_atomically(path, write)
    assert (seen, path.read_bytes()) == ([b"old"], b"new")


def test_the_bytes_are_on_the_disk_before_the_name(tmp_path, monkeypatch):
    steps = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (steps.append("fsync"), fsync(descriptor)))
    monkeypatch.setattr(os, "replace", lambda *paths: (steps.append("replace"), replace(*paths)))
    write_atomically(tmp_path / "file", lambda file: file.write(b"new"))
    assert steps == ["fsync", "replace"]


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(OutputError, match="cannot be written"):
        write_atomically(tmp_path / "file" / "inside", lambda file: file.write(b"new"))
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write_atomically(tmp_path / "folder", lambda file: file.write(b"new"))
    assert names(tmp_path) == ["file", "folder"]


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_follow_the_umask(tmp_path, umask, mask, mode):
    umask(mask)
    write_atomically(tmp_path / "file", lambda file: file.write(b"new"))
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode
    assert umask(mask) == mask  # untouched


def hydra_writes(folder: Path):
    (folder / ".hydra").mkdir(parents=True, exist_ok=True)
    (folder / ".hydra" / "config.yaml").write_text("seed: 0\n")
    (folder / "train.log").write_text("")


def test_a_refused_run_leaves_nothing_behind(tmp_path):
    folder = claim_folder(tmp_path / "outputs" / "gan-ring" / "now")
    hydra_writes(folder)
    remove_refused_run(folder)
    assert names(tmp_path) == []


def test_folders_that_were_there_before_stay(tmp_path):
    (tmp_path / "outputs" / "gan-ring").mkdir(parents=True)
    folder = claim_folder(tmp_path / "outputs" / "gan-ring" / "now")
    hydra_writes(folder)
    remove_refused_run(folder)
    assert names(tmp_path / "outputs") == ["gan-ring"] and names(tmp_path / "outputs" / "gan-ring") == []


def test_folders_with_another_run_in_them_stay(tmp_path):
    first, second = (claim_folder(tmp_path / "outputs" / "gan-ring" / name) for name in ("first", "second"))
    hydra_writes(first)
    remove_refused_run(second)
    assert names(tmp_path / "outputs" / "gan-ring") == ["first"]


@pytest.mark.parametrize("valuable", ["checkpoints/last.ckpt", "notes.txt", "metrics.csv", "samples/a.png", ".hidden"])
def test_a_folder_with_anything_of_value_stays_whole(tmp_path, valuable):
    folder = claim_folder(tmp_path / "run")
    hydra_writes(folder)
    (folder / valuable).parent.mkdir(exist_ok=True)
    (folder / valuable).write_text("work")
    before = sorted(folder.rglob("*"))
    remove_refused_run(folder)
    assert sorted(folder.rglob("*")) == before


def test_removing_what_is_not_there(tmp_path):
    (tmp_path / "file").write_text("work")
    remove_refused_run(tmp_path / "missing")
    remove_refused_run(tmp_path / "file")
    assert names(tmp_path) == ["file"]


def test_a_taken_folder_is_not_claimed(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("work")
    (tmp_path / "run_2").write_text("a file")
    assert claim_folder(tmp_path / "run") == tmp_path / "run_3"
    assert names(tmp_path / "run") == ["notes.txt"]


def test_a_claim_that_fails_half_way_leaves_nothing(tmp_path):
    with pytest.raises(OSError):
        claim_folder(tmp_path / "a" / "b" / ("x" * 300))
    assert names(tmp_path) == []


def test_a_folder_that_another_process_takes_in_between(tmp_path, monkeypatch):
    mkdir = Path.mkdir

    def after_the_other(path, *arguments, **options):
        if path == tmp_path / "run" / ".hydra":
            mkdir(path)
        mkdir(path, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", after_the_other)
    assert claim_folder(tmp_path / "run") == tmp_path / "run_2"


@pytest.fixture
def full(monkeypatch):
    """full(errno.ENOSPC): from now on a disk takes nothing that is written through `ganlab.files`."""

    class Full(files._Watched):
        code = 0

        def write(self, content):
            self.failure = OSError(self.code, os.strerror(self.code))
            raise self.failure

    def make(code):
        Full.code = code
        monkeypatch.setattr(files, "_Watched", Full)

    return make


@pytest.mark.parametrize(
    ("code", "remedy"),
    [(errno.ENOSPC, "free some space"), (errno.EDQUOT, "your quota"), (errno.EROFS, "make it writable")],
)
def test_what_the_disk_said_outlives_a_librarys_exception_and_names_a_remedy(tmp_path, full, code, remedy):
    """torch and others make an exception of their own of it."""

    def write(file):
        try:
            file.raw.write(b"new")
        except OSError:
            raise RuntimeError("the writer has failed") from None

    full(code)
    with pytest.raises(OutputError) as error:
        write_atomically(tmp_path / "file", write)
    assert os.strerror(code) in str(error.value) and remedy in str(error.value)
    assert names(tmp_path) == []


class Half(files.io.FileIO):
    """On a disk on which this file has room for three bytes more than it has."""

    def write(self, content):
        room = 11 - self.tell()
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(bytes(content)[:room])


@pytest.mark.parametrize(("place", "content"), [(4, b"efghijkl"), (8, b"ijkl"), (0, b"x" * 20)])
def test_the_end_of_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path, place, content):
    path = tmp_path / "file"
    path.write_bytes(b"abcd1234")
    with pytest.raises(OSError), Half(path, "r+b") as file:
        write_whole(file, place, content)
    assert path.read_bytes() == b"abcd1234"
    with path.open("r+b", buffering=0) as file:
        write_whole(file, place, content)
    assert path.read_bytes() == b"abcd1234"[:place] + content


def test_what_killed_writers_leave_behind_is_removed_and_nothing_else(tmp_path):
    for name in ("checkpoints/.last.ckpt.tmp", ".metrics.csv.ab12.tmp", "samples/.a.png.x.tmp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    kept = ["checkpoints/last.ckpt", "notes.tmp", ".hidden", "samples/a.png"]
    for name in kept:
        (tmp_path / name).touch()
    remove_temporaries(tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)


def test_a_run_that_has_not_begun_is_removed_and_one_that_has_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_claims", [])
    hydra_writes(claim_folder(tmp_path / "outputs" / "first"))
    (tmp_path / "outputs" / "first" / "events.out").touch()
    begun = claim_folder(tmp_path / "outputs" / "second")
    (begun / "checkpoints").mkdir()
    (begun / "checkpoints" / "last.ckpt").touch()
    (tmp_path / "outputs" / "other").mkdir()
    remove_unbegun_run()
    assert names(tmp_path / "outputs") == ["other", "second"]


def test_only_a_disk_that_takes_no_more_is_told_as_one():
    def raised(error, cause=None):
        error.__cause__ = cause
        return error

    full = OSError(errno.ENOSPC, "No space left on device", "file")
    told = str(disk_fault(raised(RuntimeError("x"), raised(ValueError("y"), full))))
    assert told == "file: cannot be written (No space left on device); free some space there"
    assert (
        disk_fault(raised(RuntimeError("x"), PermissionError(errno.EACCES, "Permission denied", "photo.png"))) is None
    )
    assert disk_fault(FileNotFoundError(errno.ENOENT, "No such file", "x")) is None
