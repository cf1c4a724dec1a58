"""Folders of images as they are: read without loss, refused where they differ, and every bad file named."""

import numpy as np
import pytest
from PIL import Image

from ganlab.data import plain_images
from ganlab.data.plain_images import list_images
from ganlab.errors import DataError


@pytest.fixture
def folder(tmp_path):
    """folder({"a.png": array, "b.png": b"bytes"}): a folder with these files."""

    def make(files):
        for name, content in files.items():
            path = tmp_path / "images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                Image.fromarray(content).save(path)
        return tmp_path / "images"

    return make


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_the_bytes_are_those_of_the_files(folder):
    arrays = {"b.png": noise(5, 7, 3), "a.png": noise(5, 7, 3, seed=1), "deep/c.png": noise(5, 7, 3, seed=2)}
    images = list_images(folder(arrays), "images", same_size=True)
    assert sorted(images.names) == ["a.png", "b.png", "deep/c.png"] and images.shape == (3, 5, 7)
    read = images.read(3, None).numpy()
    for row, name in enumerate(images.names):
        assert (read[row].transpose(1, 2, 0) == arrays[name]).all()


def test_the_order_is_the_same_in_sub_folders_or_not(folder, tmp_path):
    arrays = {f"{index:02d}.png": noise(4, 4, seed=index) for index in range(20)}
    flat = list_images(folder(arrays), "images", same_size=True)
    for name, array in arrays.items():
        path = tmp_path / "sorted" / ("low" if name < "10" else "high") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(path)
    by_class = list_images(tmp_path / "sorted", "images", same_size=True)
    assert by_class.read(1, None).equal(flat.read(1, None))
    first = [name.partition("/")[0] for name in by_class.names[:8]]
    assert {"low", "high"} == set(first), "the first ones are of every class"


def test_of_what_was_sampled_the_grid_is_no_sample(folder):
    place = folder({"grid.png": noise(30, 30), "images/0.png": noise(8, 8), "images/1.png": noise(8, 8, seed=1)})
    (place / "samples.npz").write_bytes(b"")
    assert sorted(list_images(place, "images", same_size=True).names) == ["0.png", "1.png"]


def test_large_sets_are_mapped_and_read_the_same(folder, monkeypatch):
    images = list_images(folder({f"{index}.png": noise(6, 6, seed=index) for index in range(4)}), "x", same_size=True)
    plain = images.read(1, None).clone()
    assert len(plain) == 4
    monkeypatch.setattr(plain_images, "IN_MEMORY", 10)
    assert images.read(1, None).equal(plain) and images.shape == (1, 6, 6)


def test_several_sizes_are_refused_unless_all_are_scaled(folder):
    place = folder({"a.png": noise(8, 8), "b.png": noise(8, 8), "c.png": noise(9, 8)})
    with pytest.raises(DataError, match=r"images=.*2 sizes: 2 of 8×8, but c.png is 9×8; set size=8"):
        list_images(place, "images", same_size=True)
    scaled = list_images(place, "images", same_size=False).read(1, 8)
    assert list(scaled.shape) == [3, 1, 8, 8]
    assert (scaled[0, 0].numpy() == np.asarray(Image.open(place / "a.png"))).all()


def test_one_image_in_colour_makes_all_of_them_colour(folder):
    images = list_images(folder({"a.png": noise(4, 4), "b.png": noise(4, 4, 3)}), "images", same_size=True)
    assert images.shape == (3, 4, 4)
    read = images.read(3, None)
    gray = read[images.names.index("a.png")]
    assert gray[0].equal(gray[1]) and gray[1].equal(gray[2])


def test_files_that_are_no_images_are_named_and_counted(folder):
    whole = noise(40, 40, 3)
    place = folder({"a.png": whole, "b.png": b"no image", "c.png": whole})
    cut = (place / "c.png").read_bytes()
    (place / "c.png").write_bytes(cut[: len(cut) // 2])
    images = list_images(place, "images", same_size=True)
    assert list(images.skipped) == ["b.png"]
    assert len(images.read(3, None)) == 1, "a file that is cut shows only when it is decoded"
    assert list(images.skipped) == ["b.png", "c.png"] and images.names == ["a.png"]
    line = images.skipped_line()
    assert "2 of 3 images cannot be read: b.png (cannot identify it as an image), c.png (" in line


def test_a_photograph_that_was_turned_is_read_upright(folder, tmp_path):
    place = folder({"a.png": noise(6, 9, 3)})
    upright = Image.fromarray(noise(9, 6, 3))
    turned = Image.Exif()
    turned[0x0112] = 6
    upright.save(place / "b.jpg", exif=turned, quality=95)
    images = list_images(place, "images", same_size=True)
    assert images.shape == (3, 6, 9) and len(images.read(3, None)) == 2
    upright.save(place / "c.png", exif=turned)
    with pytest.raises(DataError, match=r"c\.png is 9×6"):
        list_images(place, "images", same_size=True)
    upright.transpose(Image.Transpose.ROTATE_90).save(place / "c.png", exif=turned)
    images = list_images(place, "images", same_size=True)
    assert len(images.read(3, None)) == 2 and images.skipped == {"c.png": "is 9×6 when it is decoded"}


def test_a_folder_without_images_is_told_by_its_key(folder, tmp_path):
    with pytest.raises(DataError, match=r"reference=.*nowhere: there is no such folder"):
        list_images(tmp_path / "nowhere", "reference", same_size=True)
    with pytest.raises(DataError, match=r"images=.*: holds no images"):
        list_images(folder({"a.txt": b"text"}), "images", same_size=True)
    with pytest.raises(DataError, match=r"1 of 1 images cannot be read: a.png"):
        list_images(folder({"a.png": b"text"}), "images", same_size=True)
