"""Writing so that a file is either the old one or the new one, and never half of one."""

import errno
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from ganlab.errors import OutputError

TEMPORARY = ".tmp"
"""How the name of a file ends that is not yet whole; it begins with a dot."""
REMEDIES = {
    errno.ENOSPC: "free some space there",
    errno.EDQUOT: "free some of your quota there",
    errno.EROFS: "make it writable",
    errno.EACCES: "make it writable",
    errno.EPERM: "make it writable",
    errno.EFBIG: "allow larger files (ulimit -f)",
    errno.EIO: "look after that disk",
}
"""What to do about what the disk says."""
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}
"""What a disk says that takes no more, and that nothing but writing meets."""


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to the disk, and rename it to `path`.

    Raises `OutputError` if that fails; then what was at `path` before is untouched and
    nothing else is left behind.
    """
    temporary: str | None = None
    disk: _Watched | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=TEMPORARY)
        disk = _Watched(descriptor, "wb")
        with io.BufferedWriter(disk) as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
        temporary = None
    except (OSError, RuntimeError) as error:
        # Libraries make an exception of their own of what the disk has said.
        cause = error if isinstance(error, OSError) else disk.failure if disk is not None else None
        if cause is None and "unexpected pos" not in str(error) and "enforce fail" not in str(error):
            raise
        told = f"{cannot_be_written(path, cause)}; what was there before is intact"
        raise OutputError(told + to_do(cause, "; ")) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                Path(temporary).unlink(missing_ok=True)


class _Watched(io.FileIO):
    """Remembers the last failure of a write."""

    failure: OSError | None = None

    def write(self, content: Any) -> int:
        try:
            return super().write(content)
        except OSError as error:
            self.failure = error
            raise


def cannot_be_written(path: Path | str, error: OSError | None) -> str:
    """What cannot be written, and why; without an error it is taken for a full disk."""
    reason = (error and error.strerror) or os.strerror(_number(error))
    return f"{path}: cannot be written ({reason})"


def to_do(error: OSError | None, before: str = "") -> str:
    """What to do about it, after the words `before`; empty if nobody knows."""
    remedy = REMEDIES.get(_number(error))
    return before + remedy if remedy else ""


def disk_fault(error: BaseException | None) -> OutputError | None:
    """The line for an exception that comes of a disk which takes no more; None for all others."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            named = error.filename if isinstance(error.filename, str | bytes | Path) else None
            where = named or (_claims[-1] if _claims else Path.cwd())
            return OutputError(cannot_be_written(os.fsdecode(where), error) + to_do(error, "; "))
        error = error.__cause__ or error.__context__
    return None


def _number(error: OSError | None) -> int:
    return (error and error.errno) or errno.ENOSPC


def write_whole(file: io.FileIO, place: int, content: bytes) -> None:
    """Replace the end of a file, which was opened without a buffer for reading and writing, from a position on.

    Raises `OSError` if that fails; then the file ends as it did before.
    """
    file.seek(place)
    before = file.read()
    try:
        _write_all(file, place, content)
        file.truncate()
    except OSError:
        # What was there before has room.
        with suppress(OSError):
            _write_all(file, place, before)
            file.truncate()
        raise


def _write_all(file: io.FileIO, place: int, content: bytes) -> None:
    file.seek(place)
    left = memoryview(content)
    while left:
        left = left[file.write(left) or 0 :]


def remove_temporaries(folder: Path) -> None:
    """Remove what a process that was killed has left half written in a folder and below; links are not followed."""
    for place, _, names in os.walk(folder):
        for name in names:
            if name.startswith(".") and name.endswith(TEMPORARY):
                with suppress(OSError):
                    os.unlink(os.path.join(place, name))


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


CLAIM = ".hydra"
"""The first thing in a run's folder; whoever makes it owns the folder."""
CLAIMED = "GANLAB_RUN_FOLDER"
"""Environment variable: a folder that the process which started this one has claimed for this one's run."""
_made: set[Path] = set()
"""Folders that this process made on the way to its run's, and may remove again."""
_claims: list[Path] = []


def claim_folder(wanted: Path) -> Path:
    """Make a folder for one run alone: `wanted`, or beside it `_2`, `_3`, … where another run is first.

    Raises `OSError` where it cannot be written; then nothing is left behind.
    """
    folder, number = wanted, 1
    while not _claimed(folder):
        number += 1
        folder = wanted.with_name(f"{wanted.name}_{number}")
    return folder


def _claimed(folder: Path) -> bool:
    """Whether the folder is this process's from now on: two that begin in the same second cannot both make `.hydra`."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    _made.update(path.absolute() for path in missing)
    try:
        if folder.is_dir() and any(folder.iterdir()):
            return False
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CLAIM).mkdir()
        _claims.append(folder.absolute())
    except FileExistsError:
        return False
    except OSError:
        _remove_empty(missing)
        raise
    return True


def remove_unbegun_run() -> None:
    """Remove the folder that this process has claimed, with all that its run had prepared in it.

    To be called when training had not begun; a run that has a checkpoint stays nevertheless.
    """
    while _claims:
        folder = _claims.pop()
        if folder.is_dir() and not any(folder.glob("checkpoints/last.ckpt")):
            with suppress(OSError):
                _remove_with_parents(folder)


def remove_refused_run(folder: Path) -> None:
    """Remove the folder of a run that was refused before it began, and those above that were made for it.

    One that holds anything of value stays.
    """
    if not folder.is_dir() or {entry.name for entry in folder.iterdir()} - {CLAIM, "train.log"}:
        return
    _remove_with_parents(folder)


def _remove_with_parents(folder: Path) -> None:
    shutil.rmtree(folder)
    _remove_empty([parent for parent in folder.absolute().parents if parent in _made])


def _remove_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
