"""Writing so that a file is either the old one or the new one, and never half of one."""

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from ganlab.errors import OutputError


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to the disk, and rename it to `path`.

    Raises `OutputError` if that fails; then what was at `path` before is untouched and
    nothing else is left behind.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
        temporary = None
    except (OSError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "unexpected pos" not in str(error) and "enforce fail" not in str(error):
            raise
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "the disk is full"
        raise OutputError(f"{path}: cannot be written ({reason}); what was there before is intact") from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


CLAIM = ".hydra"
"""The first thing in a run's folder; whoever makes it owns the folder."""
_made: set[Path] = set()
"""Folders that this process made on the way to its run's, and may remove again."""


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
    except FileExistsError:
        return False
    except OSError:
        _remove_empty(missing)
        raise
    return True


def remove_refused_run(folder: Path) -> None:
    """Remove the folder of a run that was refused before it began, and those above that were made for it.

    One that holds anything of value stays.
    """
    if not folder.is_dir() or {entry.name for entry in folder.iterdir()} - {CLAIM, "train.log"}:
        return
    shutil.rmtree(folder)
    _remove_empty([parent for parent in folder.absolute().parents if parent in _made])


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
