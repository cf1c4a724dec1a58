import struct
import subprocess
import sys
import zlib
from functools import partial

import numpy as np
import pytest
from PIL import Image

from ganlab.data.decode import (
    MOST_PIXELS,
    Preprocessing,
    UnreadableImage,
    decode,
    decode_all,
    image_suffixes,
    shape_of,
)

RED, GREEN, BLUE = (220, 30, 40), (20, 200, 60), (30, 60, 210)


def saved(tmp_path, image, name="image.png", **options):
    image.save(tmp_path / name, **options)
    return tmp_path / name


def flat(pixels):
    """The one colour of an image."""
    assert (pixels == pixels[:, :1, :1]).all()
    return tuple(pixels[:, 0, 0].tolist())


@pytest.mark.parametrize(
    ("mode", "colour", "white", "black"),
    [
        ("1", 1, (255, 255, 255), (255, 255, 255)),
        ("L", 77, (77, 77, 77), (77, 77, 77)),
        ("RGB", RED, RED, RED),
        ("LA", (100, 0), (255, 255, 255), (0, 0, 0)),
        ("LA", (100, 255), (100, 100, 100), (100, 100, 100)),
        ("RGBA", (*RED, 255), RED, RED),
        ("RGBA", (*RED, 0), (255, 255, 255), (0, 0, 0)),
        ("RGBA", (200, 100, 0, 51), (244, 224, 204), (40, 20, 0)),
    ],
)
def test_modes_and_backgrounds(tmp_path, mode, colour, white, black):
    path = saved(tmp_path, Image.new(mode, (20, 20), colour))
    for background, expected in (("white", white), ("black", black)):
        pixels = decode(path, Preprocessing(3, 8, background=background))
        assert pixels.shape == (3, 8, 8) and pixels.dtype == np.uint8
        assert np.abs(np.subtract(flat(pixels), expected)).max() <= 1


def test_gray_is_luminance(tmp_path):
    path = saved(tmp_path, Image.new("RGB", (9, 9), RED))
    assert flat(decode(path, Preprocessing(1, 8))) == (round(0.299 * 220 + 0.587 * 30 + 0.114 * 40),)


def test_palettes_with_and_without_transparency(tmp_path):
    image = Image.new("P", (8, 8), 1)
    image.putpalette([*RED, *GREEN, *BLUE])
    assert flat(decode(saved(tmp_path, image), Preprocessing(3, 8))) == GREEN
    path = saved(tmp_path, image, "transparent.png", transparency=1)
    assert flat(decode(path, Preprocessing(3, 8, background="black"))) == (0, 0, 0)
    assert flat(decode(saved(tmp_path, image, "image.gif"), Preprocessing(3, 8))) == GREEN


@pytest.mark.parametrize(("name", "big_endian"), [("image.png", False), ("image.tif", False), ("image.tif", True)])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path, name, big_endian):
    ramp = np.linspace(0, 65535, 64).astype(">u2" if big_endian else "<u2").reshape(8, 8)
    image = Image.fromarray(ramp.astype(np.uint16))
    if big_endian:
        image = Image.frombytes("I;16B", (8, 8), ramp.tobytes())
    pixels = decode(saved(tmp_path, image, name), Preprocessing(1, 8))
    assert np.abs(pixels[0] - ramp.astype(float) / 257).max() <= 0.51


def test_cmyk(tmp_path):
    path = saved(tmp_path, Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "image.jpg", quality=95)
    assert np.abs(np.subtract(flat(decode(path, Preprocessing(3, 8))), (255, 0, 0))).max() <= 3


@pytest.mark.parametrize(("orientation", "turned"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_orientation_is_applied(tmp_path, orientation, turned):
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:8, :8] = RED
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, Image.fromarray(pixels), exif=exif)
    upright = decode(path, Preprocessing(3, 16)).transpose(1, 2, 0)
    assert np.array_equal(upright, np.rot90(pixels, turned))


@pytest.fixture
def striped(tmp_path):
    """40 wide, 20 high: red, ten columns; green, twenty; blue, ten."""
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, :10], pixels[:, 10:30], pixels[:, 30:] = RED, GREEN, BLUE
    return saved(tmp_path, Image.fromarray(pixels))


def test_crop_takes_the_centre_square(striped):
    assert flat(decode(striped, Preprocessing(3, 8, fit="crop"))) == GREEN
    assert flat(decode(striped, Preprocessing(3, 16, fit="crop", crop=10))) == GREEN


def test_stretch_takes_all(striped):
    pixels = decode(striped, Preprocessing(3, 40, fit="stretch", resampling="bilinear"))
    for column, colour in ((2, RED), (20, GREEN), (37, BLUE)):
        assert (pixels[:, :, column] == np.array(colour)[:, None]).all()


@pytest.mark.parametrize(("background", "value"), [("white", 255), ("black", 0)])
def test_pad_takes_all_and_adds_margins(striped, background, value):
    pixels = decode(striped, Preprocessing(3, 40, fit="pad", background=background))
    assert (pixels[:, :10] == value).all() and (pixels[:, 30:] == value).all()
    assert tuple(pixels[:, 20, 2]) == RED and tuple(pixels[:, 20, 37]) == BLUE


def test_gray_with_margins(tmp_path):
    path = saved(tmp_path, Image.new("L", (30, 10), 90))
    pixels = decode(path, Preprocessing(1, 30, fit="pad", background="white"))
    assert pixels[0, 0, 0] == 255 and pixels[0, 15, 15] == 90


def test_reducing_averages_all_pixels(tmp_path):
    """A fine chequerboard becomes gray, with every filter; without antialiasing it would stay black or white."""
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    path = saved(tmp_path, Image.fromarray(board))
    for resampling in ("bilinear", "bicubic", "lanczos"):
        pixels = decode(path, Preprocessing(1, 8, resampling=resampling))
        assert np.abs(pixels.astype(int) - 127).max() <= 12


def huge_png():
    """A few bytes that promise 60,000 x 60,000 pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def broken_files(tmp_path):
    whole = saved(tmp_path, Image.new("RGB", (64, 64), RED), "whole.jpg").read_bytes()
    Image.new("F", (4, 4), 0.5).save(tmp_path / "float.tif")
    return {
        "truncated.jpg": whole[: len(whole) // 2],
        "empty.png": b"",
        "text.png": b"this is no image",
        "huge.png": huge_png(),
        "float.tif": (tmp_path / "float.tif").read_bytes(),
        "program.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
    }


def test_what_cannot_be_decoded_says_why_in_one_line(tmp_path):
    reasons = {}
    for name, content in broken_files(tmp_path).items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UnreadableImage) as unreadable:
            decode(tmp_path / name, Preprocessing(3, 8))
        reasons[name] = str(unreadable.value)
        assert reasons[name] and "\n" not in reasons[name]
    assert "truncated" in reasons["truncated.jpg"].lower()
    assert "identify" in reasons["text.png"] and "identify" in reasons["program.jpg"]
    assert "decompression bomb" in reasons["huge.png"]
    with pytest.raises(UnreadableImage, match="No such file"):
        decode(tmp_path / "absent.png", Preprocessing(3, 8))


def test_many_files_in_threads_keep_their_order(tmp_path):
    for value in range(200):
        Image.new("L", (6, 6), value).save(tmp_path / f"{value:03d}.png")
    (tmp_path / "150.png").write_bytes(b"")
    results = list(decode_all((tmp_path / f"{value:03d}.png" for value in range(200)), Preprocessing(1, 4)))
    assert isinstance(results[150], str)
    assert [int(image[0, 0, 0]) for image in results[:150] + results[151:]] == [*range(150), *range(151, 200)]


def test_suffixes():
    suffixes = image_suffixes()
    assert {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm"} <= suffixes
    assert not suffixes & {".txt", ".eps", ".pdf", ".csv", ".npy"}


def test_decoding_needs_no_torch():
    code = "import sys, ganlab.data.decode; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def png_of(width, height):
    """A PNG of so many white pixels of a bit each, in a few hundred kilobytes at most."""
    rows = zlib.compress((b"\0" + b"\xff" * -(-width // 8)) * height, 9)

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("read", [partial(decode, preprocessing=Preprocessing(1, 8)), shape_of], ids=["all", "header"])
def test_a_small_file_of_too_many_pixels_is_refused_before_it_is_unpacked(tmp_path, read):
    """Between the bounds at which Pillow warns and at which it refuses."""
    path = tmp_path / "bomb.png"
    path.write_bytes(png_of(13_000, 12_000))
    assert path.stat().st_size < 50_000 and MOST_PIXELS < 13_000 * 12_000 < 2 * Image.MAX_IMAGE_PIXELS
    with pytest.raises(UnreadableImage, match=r"^13000×12000 pixels are more than the 134,217,728 that are decoded$"):
        read(path)
    path.write_bytes(png_of(20_000, 10))
    read(path)
