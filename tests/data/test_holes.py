"""Which pixels a hole hides, by counting them, and pictures of holes."""

import numpy as np
import pytest
import torch
from PIL import Image

from ganlab.data.decode import Preprocessing, decode
from ganlab.data.holes import SHARES, hole, hole_in_file
from ganlab.errors import ConfigError, DataError


@pytest.mark.parametrize("kind", SHARES)
@pytest.mark.parametrize("size", [8, 16, 64])
def test_each_kind_hides_its_share(kind, size):
    hidden = hole(kind, 3, size, SHARES[kind], torch.Generator().manual_seed(0))
    assert hidden.shape == (3, 1, size, size) and hidden.dtype == torch.bool
    assert hidden.flatten(1).sum(1).tolist() == [round(SHARES[kind] * size * size)] * 3


def test_where_the_holes_are():
    at = {kind: hole(kind, 1, 8, SHARES[kind])[0, 0] for kind in ("center", "left", "right", "top", "bottom")}
    assert at["center"][2:6, 2:6].all() and at["center"].sum() == 16
    assert at["left"][:, :4].all() and not at["left"][:, 4:].any()
    assert at["top"][:4].all() and not at["top"][4:].any()
    assert torch.equal(at["right"], ~at["left"]) and torch.equal(at["bottom"], ~at["top"])
    assert hole("bottom", 1, 8, 0.25)[0, 0].any(1).tolist() == [False] * 6 + [True] * 2


def test_random_pixels_are_others_in_each_image_and_the_same_of_a_seed():
    first, again = (hole("random", 400, 8, 0.3, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, again) and not torch.equal(first[0], first[1])
    shares = first.double().mean(0)
    assert (shares - 0.3).abs().max() < 5 * (0.3 * 0.7 / 400) ** 0.5


@pytest.mark.parametrize(("kind", "share", "word"), [("center", 0.001, "nothing"), ("left", 0.99, "all")])
def test_a_share_of_nothing_or_all(kind, share, word):
    with pytest.raises(ConfigError, match=f"share={share}: of 8×8 pixels mask={kind} hides {word}; give another share"):
        hole(kind, 2, 8, share)


def test_white_pixels_of_a_picture_scaled_to_the_nearest(tmp_path):
    gray = np.random.default_rng(0).integers(0, 256, (6, 15), dtype=np.uint8)
    Image.fromarray(gray).save(tmp_path / "hole.png")
    hidden = hole_in_file(tmp_path / "hole.png", 2, 4)
    rows, columns = [0, 2, 3, 5], [1, 5, 9, 13]
    assert torch.equal(hidden[1, 0], torch.from_numpy(gray[np.ix_(rows, columns)] > 127))
    assert torch.equal(hidden[0], hidden[1])


def test_transparent_pixels_hide_too(tmp_path):
    pixels = np.zeros((8, 8, 4), dtype=np.uint8)
    pixels[..., 3] = 255
    pixels[2:4, 2:4, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "hole.png")
    hidden = hole_in_file(tmp_path / "hole.png", 1, 8)
    assert hidden.sum() == 4 and hidden[0, 0, 2:4, 2:4].all()


@pytest.mark.parametrize(("value", "word"), [(0, "nothing"), (255, "all")])
def test_a_picture_that_hides_nothing_or_all(tmp_path, value, word):
    Image.new("L", (9, 9), value).save(tmp_path / "hole.png")
    with pytest.raises(DataError, match=rf"its white pixels, scaled to 8×8, hide {word}; give a picture with a white"):
        hole_in_file(tmp_path / "hole.png", 1, 8)


def test_a_picture_that_is_none(tmp_path):
    (tmp_path / "hole.png").write_bytes(b"white")
    with pytest.raises(DataError, match=r"mask=.*hole\.png: cannot identify it as an image"):
        hole_in_file(tmp_path / "hole.png", 1, 8)


@pytest.mark.parametrize(("width", "height"), [(20, 8), (8, 20), (15, 8)])
@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_a_hole_lies_where_it_was_drawn_whatever_the_shape(tmp_path, fit, width, height):
    """An image with a white part, made square as training does, is white where a mask of that part hides."""
    drawn = np.zeros((height, width), dtype=np.uint8)
    drawn[height // 4 : height * 3 // 4, width // 3 : width * 2 // 3] = 255
    Image.fromarray(drawn).resize((width * 8, height * 8), Image.Resampling.NEAREST).save(tmp_path / "photo.png")
    made = decode(tmp_path / "photo.png", Preprocessing(1, 32, fit=fit, background="black", resampling="bilinear"))
    hidden = hole_in_file(tmp_path / "photo.png", 1, 32, fit)[0, 0]
    assert ((made[0] > 127) == hidden.numpy()).mean() > 0.95
    assert hidden.numpy()[made[0] > 250].mean() > 0.95 and not hidden.numpy()[made[0] < 5].any()
