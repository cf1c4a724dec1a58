import errno
import os

import pytest
from PIL import Image

from ganlab.errors import OutputError
from ganlab.pictures import save_atomically, save_gif


def test_picture_is_a_png_in_a_folder_that_was_missing(tmp_path):
    path = tmp_path / "a" / "b" / "picture.png"
    save_atomically(Image.new("RGB", (3, 2), (1, 2, 3)), path)
    with Image.open(path) as opened:
        assert opened.format == "PNG" and opened.size == (3, 2) and opened.getpixel((2, 1)) == (1, 2, 3)
    assert os.listdir(path.parent) == ["picture.png"]


@pytest.mark.parametrize("save", [save_atomically, lambda picture, path: save_gif([picture, picture], path)])
def test_a_failure_half_way_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, save):
    path = tmp_path / "picture"
    path.write_bytes(b"old")

    def fill_the_disk(self, file, **options):
        file.write(b"new, but n")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fill_the_disk)
    with pytest.raises(OutputError, match="No space left"):
        save(Image.new("RGB", (3, 2)), path)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["picture"]


def test_nothing_shows_under_the_name_while_it_is_written(tmp_path, monkeypatch):
    path, seen, save = tmp_path / "picture.png", [], Image.Image.save

    def watched(self, file, **options):
        save(self, file, **options)
        seen.append(path.exists())

    monkeypatch.setattr(Image.Image, "save", watched)
    save_atomically(Image.new("L", (1, 1)), path)
    assert seen == [False] and path.exists()


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError):
        save_atomically(Image.new("L", (1, 1)), tmp_path / "taken" / "picture.png")
