"""Anything in a folder of images: decoded, or named in a line; never a hang, a traceback or a picture of noise."""

import io
import logging
import os
import random
import socket
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from PIL import Image

from fuzz.calling import CASES, deadline, fuzz
from ganlab.data.decode import Preprocessing, UnreadableImage, decode, decode_as_it_is, shape_of
from ganlab.data.folder import ImageFolderData, image_files
from ganlab.errors import DataError, printable

pytestmark = pytest.mark.timeout(1800 if CASES else 300, method="thread")
FORMATS = ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "ICO", "JPEG2000", "TGA", "DDS", "PCX"]
MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "F", "I;16"]


def picture(mode="RGB", size=(9, 7)):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    if mode == "I;16":
        return Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    return Image.fromarray(pixels).convert("RGB").convert(mode)


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def valid(kind, mode):
    """The file's bytes, or None where the format does not know the mode."""
    try:
        return saved(picture(mode), kind)
    except (OSError, ValueError, KeyError):
        return None


VALID = [(kind, content) for kind in FORMATS for mode in MODES if (content := valid(kind, mode)) is not None]


@st.composite
def mutated(draw):
    """A valid file of some format with bytes changed, and what it is called."""
    kind, content = draw(st.sampled_from(VALID))
    changed = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        # The header says how a file is to be read, and is a small part of it.
        place = draw(st.integers(0, max(0, min(len(changed) - 1, draw(st.sampled_from([40, 200, 10**6]))))))
        extra = draw(
            st.one_of(
                st.binary(min_size=1, max_size=8), st.sampled_from([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff"])
            )
        )
        how = draw(st.sampled_from(["fill", "fill", "insert", "remove", "cut"]))
        if how == "fill":
            changed[place : place + len(extra)] = extra
        elif how == "insert":
            changed[place:place] = extra
        elif how == "remove":
            del changed[place : place + len(extra)]
        else:
            del changed[max(1, place) :]
    return bytes(changed), draw(st.sampled_from([kind.lower(), "png", "jpg"]))


@pytest.fixture(autouse=True)
def quiet():
    """Pillow's plugins log what they find odd."""
    logging.getLogger("PIL").setLevel(logging.CRITICAL)


@pytest.mark.filterwarnings("ignore")
def test_bytes_of_any_kind_are_an_image_or_a_reason(tmp_path):
    decoded = 0

    @fuzz(mutated(), max(CASES, 350))
    def check(file):
        nonlocal decoded
        content, suffix = file
        path = tmp_path / f"image.{suffix}"
        path.write_bytes(content)
        try:
            with deadline(20):
                shape = shape_of(path)
                pixels = decode(path, Preprocessing(3, 8))
                own = decode_as_it_is(path, 3)
        except UnreadableImage as unreadable:
            assert str(unreadable) and "\n" not in str(unreadable)
        else:
            decoded += 1
            assert (pixels.shape, pixels.dtype) == ((3, 8, 8), np.uint8)
            assert own.shape[1:] == shape[1:]

    check()
    assert 0.05 < decoded / max(CASES, 350) < 0.95


def data(root, tmp_path, **options):
    options = {"num_classes": 0, "condition_size": 0, "on_corrupt": "skip", **options}
    return ImageFolderData(
        name="image_folder", batch_size=1, sample_shape=[3, 8, 8], channels=3, image_size=8,
        root=str(root), cache_dir=str(tmp_path / "cache"), **options,
    )  # fmt: skip


def png_header(width, height):
    """A PNG that announces that size in a hundred bytes."""
    content = bytearray(saved(picture(), "PNG"))
    content[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return bytes(content)


def rotated():
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(picture(), "JPEG", exif=exif)


def animated(kind):
    frames = [Image.new("RGB", (6, 6), colour) for colour in ("red", "lime", "blue")]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:])


GOOD = {
    "1x1.png": saved(picture(size=(1, 1)), "PNG"),
    "long.png": saved(picture("L", size=(20_000, 10)), "PNG"),
    "tall.png": saved(picture("L", size=(10, 20_000)), "PNG"),
    "16bit.png": saved(picture("I;16"), "PNG"),
    "bits.png": saved(picture("1"), "PNG"),
    "cmyk.jpg": saved(picture("CMYK"), "JPEG"),
    "palette.png": saved(picture("P"), "PNG"),
    "alpha.png": saved(picture("RGBA"), "PNG"),
    "grey_alpha.png": saved(picture("LA"), "PNG"),
    "animated.gif": animated("GIF"),
    "animated.png": animated("PNG"),
    "animated.webp": animated("WEBP"),
    "rotated.jpg": rotated(),
    "wrong_ending.jpg": saved(picture(), "PNG"),
    "ENDING.PNG": saved(picture(), "PNG"),
    "line\nbreak.png": saved(picture(), "PNG"),
    "ü 日本 \x1b[31m.png": saved(picture(), "PNG"),
    os.fsdecode(b"\xff\xfe.png"): saved(picture(), "PNG"),
    "deep/" * 40 + "x.png": saved(picture(), "PNG"),
}
BAD = {
    "empty.png": b"",
    "text.png": b"no picture, but words",
    "truncated.png": saved(picture(), "PNG")[:60],
    "truncated.jpg": saved(picture(size=(99, 99)), "JPEG")[:500],
    "zeros.gif": bytes(500),
    "bomb.png": png_header(60_000, 60_000),
    "huge.png": png_header(2**31 - 1, 2**31 - 1),
    "float.tiff": saved(picture("F"), "TIFF"),
    "line\nbreak bad.png": b"",
    os.fsdecode(b"\xff bad.png"): b"",
}


def fill(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@pytest.fixture
def odd(tmp_path):
    """A folder with good images, bad ones, and what is no file at all but is called like one."""
    root = tmp_path / "root"
    fill(root, {**GOOD, **BAD})
    (root / "folder.png").mkdir()
    os.mkfifo(root / "fifo.png")
    with socket.socket(socket.AF_UNIX) as bound:
        place = Path.cwd()
        os.chdir(root)  # a socket's path may have 107 bytes
        bound.bind("socket.png")
        os.chdir(place)
    (root / "device.png").symlink_to("/dev/zero")
    (root / "nowhere.png").symlink_to("nothing at all")
    (root / "itself.png").symlink_to("itself.png")
    (root / "loop").symlink_to(".", target_is_directory=True)
    (root / "deep" / "up").symlink_to("..", target_is_directory=True)
    for index in range(2000):
        (root / "empty" / str(index)).mkdir(parents=True)
    return root


@pytest.mark.filterwarnings("ignore")
def test_an_odd_folder_is_decoded_but_for_what_is_named(odd, tmp_path, caplog):
    with deadline(60), caplog.at_level(logging.WARNING):
        module = data(odd, tmp_path)
        module.prepare_data()
        module.setup()
    decoded = module.decoded()
    assert sorted(decoded.names) == sorted(GOOD)
    assert sorted(decoded.skipped) == sorted(BAD)
    assert len(module.train) + len(module.test) == len(GOOD)
    (warned,) = [record.getMessage() for record in caplog.records if "left out" in record.getMessage()]
    assert f"{len(BAD)} of {len(GOOD) + len(BAD)} images cannot be read" in warned
    assert warned.isprintable(), "names are shown as they are"
    samples = module.train.first(len(module.train)).samples
    assert samples.shape[1:] == (3, 8, 8) and torch.isfinite(samples).all()


@pytest.mark.parametrize(
    "name", BAD, ids=lambda name: name.encode("ascii", "backslashreplace").decode().replace("\n", "_")
)
@pytest.mark.filterwarnings("ignore")
def test_a_bad_image_is_refused_by_name(tmp_path, name):
    fill(tmp_path / "root", {"good.png": GOOD["alpha.png"], name: BAD[name]})
    with deadline(30), pytest.raises(DataError) as refused:
        data(tmp_path / "root", tmp_path, on_corrupt="refuse").prepare_data()
    said = str(refused.value)
    assert len(said.splitlines()) <= 2 and said.replace("\n", "").isprintable()
    assert printable(name) in said


def test_only_names_of_images_are_taken_from_any_tree(tmp_path):
    """Random trees of folders, links and files: the walk ends, and finds each image once by its own name."""
    draw = random.Random(0)
    for tree in range(40):
        root = tmp_path / str(tree)
        folders, expected = [root], set()
        root.mkdir()
        for index in range(30):
            parent = draw.choice(folders)
            kind = draw.choice(["folder", "image", "other", "hidden", "link up"])
            name = parent / f"{kind}{index}"
            if kind == "folder":
                name.mkdir()
                folders.append(name)
            elif kind == "image":
                name.with_suffix(".png").touch()
                expected.add(name.with_suffix(".png").relative_to(root).as_posix())
            elif kind == "link up":
                name.symlink_to(root, target_is_directory=True)
            else:
                (name if kind == "other" else parent / f".hidden{index}.png").touch()
        with deadline(20):
            assert set(image_files(root)) == expected
