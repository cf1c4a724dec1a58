"""Files that are there whole or not at all."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from PIL import Image


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a temporary file in the folder of `path`, then give it its name.

    A failure half-way (a full disk, a kill) leaves what was there before under that name, and
    an exception leaves no temporary file. The folder is made if it is missing.

    Raises:
        OSError: the folder or the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(unfinished, "wb") as file:
            write(file)
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def save_atomically(picture: Image.Image, path: Path) -> None:
    """Write a picture as PNG by `write_atomically`."""
    write_atomically(path, lambda file: picture.save(file, format="PNG"))
