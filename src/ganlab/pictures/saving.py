"""Picture files that are there whole or not at all."""

from pathlib import Path

from PIL import Image

from ganlab.files import write_atomically


def save_atomically(picture: Image.Image, path: Path) -> None:
    """Write a picture as PNG; the folder is made if it is missing.

    Raises:
        OutputError: it cannot be written; what was there before under that name still is.
    """
    write_atomically(path, lambda file: picture.save(file, format="PNG"))
