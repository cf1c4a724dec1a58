"""Writing so that a file is either the old one or the new one, and never half of one."""

import os
import shutil
import tempfile
from collections.abc import Callable
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


def remove_refused_run(folder: Path) -> None:
    """Remove the folder of a run that was refused before it began; one that holds anything of value stays."""
    made_by_hydra = {".hydra", "train.log"}
    if not folder.is_dir() or {entry.name for entry in folder.iterdir()} - made_by_hydra:
        return
    shutil.rmtree(folder)
    if folder.parent.parent.name == "outputs" and not any(folder.parent.iterdir()):
        folder.parent.rmdir()
