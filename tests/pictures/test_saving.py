import errno
import os

import pytest
from PIL import Image

from ganlab.pictures import save_atomically, write_atomically


def test_picture_is_a_png_in_a_folder_that_was_missing(tmp_path):
    path = tmp_path / "a" / "b" / "picture.png"
    save_atomically(Image.new("RGB", (3, 2), (1, 2, 3)), path)
    with Image.open(path) as opened:
        assert opened.format == "PNG" and opened.size == (3, 2) and opened.getpixel((2, 1)) == (1, 2, 3)
    assert os.listdir(path.parent) == ["picture.png"]


def test_a_failure_half_way_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "array.npz"
    path.write_bytes(b"old")

    def fill_the_disk(file):
        file.write(b"new, but n")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, fill_the_disk)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["array.npz"]


def test_nothing_shows_under_the_name_while_it_is_written(tmp_path):
    path = tmp_path / "file"
    seen = []

    def write(file):
        file.write(b"x")
        file.flush()
        seen.append(path.exists())

    write_atomically(path, write)
    assert seen == [False] and path.read_bytes() == b"x"


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(OSError):
        save_atomically(Image.new("L", (1, 1)), tmp_path / "taken" / "picture.png")
