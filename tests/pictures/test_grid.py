import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from ganlab.pictures import class_columns, image_grid, shown_classes, to_bytes, to_pil
from ganlab.pictures.grid import MARGIN, cell_scale
from ganlab.pictures.text import INK, PAPER


def digits(count: int) -> torch.Tensor:
    return torch.tensor(load_digits().images[:count], dtype=torch.float32)[:, None] / 8 - 1


def pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture).astype(int)


def test_bytes_are_numpys_rounding_and_never_a_stretch():
    values = np.linspace(-1.2, 1.2, 7 * 8 * 8, dtype=np.float32).reshape(7, 1, 8, 8)
    expected = np.clip(np.round(values * np.float32(127.5) + np.float32(127.5)), 0, 255).astype(np.uint8)
    assert np.array_equal(to_bytes(torch.from_numpy(values)).numpy(), expected)
    assert to_bytes(torch.full((1, 1, 2, 2), 0.25)).unique().tolist() == [159]


def test_bytes_of_all_256_shades_come_back():
    shades = torch.arange(256).view(1, 1, 16, 16)
    assert torch.equal(to_bytes(shades / 127.5 - 1), shades.byte())
    assert torch.equal(to_bytes((shades / 127.5 - 1).double()), shades.byte())


def test_bytes_of_numbers_that_are_none():
    odd = torch.tensor([float("nan"), float("inf"), -float("inf")]).view(1, 1, 1, 3)
    assert to_bytes(odd).flatten().tolist() == [128, 255, 0]


def test_single_images_keep_mode_and_pixels():
    gray, colour = digits(1)[0], torch.rand(3, 5, 7) * 2 - 1
    assert to_pil(gray).mode == "L" and to_pil(colour).mode == "RGB"
    assert to_pil(colour).size == (7, 5)
    assert np.array_equal(pixels(to_pil(colour)), to_bytes(colour).permute(1, 2, 0).numpy())
    with pytest.raises(ValueError, match="not 2"):
        to_pil(torch.zeros(2, 4, 4))


@pytest.mark.parametrize(
    ("size", "scale"), [(8, 8), (16, 4), (28, 2), (32, 2), (40, 2), (48, 1), (64, 1), (128, 1), (1, 64)]
)
def test_small_images_are_enlarged_by_whole_factors(size, scale):
    assert cell_scale(size) == scale


def test_every_cell_lies_where_it_should_pixel_by_pixel():
    images = digits(5)
    picture = pixels(image_grid(images, 3, scale=4, padding=3))
    assert picture.shape == (2 * MARGIN + 2 * 32 + 3, 2 * MARGIN + 3 * 32 + 2 * 3, 3)
    shown = to_bytes(images).numpy().astype(int)
    for place in range(5):
        top, left = MARGIN + place // 3 * 35, MARGIN + place % 3 * 35
        cell = picture[top : top + 32, left : left + 32]
        assert np.array_equal(cell, np.kron(shown[place, 0], np.ones((4, 4), int))[..., None].repeat(3, -1))
    assert (picture[MARGIN + 32 : MARGIN + 35] == PAPER).all(), "the gap between rows"
    assert (picture[-MARGIN - 32 : -MARGIN, -MARGIN - 32 : -MARGIN] == PAPER).all(), "the sixth cell is empty"


def test_colours_stay_in_their_channels():
    red = torch.full((1, 3, 64, 64), -1.0)
    red[:, 0] = 1
    assert (pixels(image_grid(red, 1))[MARGIN : MARGIN + 64, MARGIN : MARGIN + 64] == (255, 0, 0)).all()


def test_columns_are_classes_and_rows_are_noise():
    images = torch.linspace(-1, 1, 6).view(2, 3, 1, 1, 1).expand(2, 3, 1, 64, 64)
    picture = pixels(class_columns(images, ["a", "b", "c"]))
    bottom_row = picture[-MARGIN - 32, [MARGIN + 32 + 66 * column for column in range(3)], 0]
    assert bottom_row.tolist() == [153, 204, 255]


def test_captions_stand_over_the_middle_of_their_columns():
    picture = pixels(image_grid(torch.ones(3, 1, 64, 64), 3, captions=["0", "8", "3"]))
    band = picture[: -MARGIN - 64]
    assert band.shape[0] > MARGIN + 6
    inked = np.flatnonzero((np.abs(band - PAPER).sum(-1) > 100).any(0))
    for column in range(3):
        middle = MARGIN + 66 * column + 32
        own = inked[np.abs(inked - middle) < 32]
        assert abs((own.min() + own.max()) / 2 - middle) <= 1.5
    assert np.abs(band - INK).sum(-1).min() < 60, "captions are dark"


def test_row_captions_and_legend_take_room_beside_and_below():
    bare = image_grid(torch.ones(2, 1, 64, 64), 1)
    full = image_grid(torch.ones(2, 1, 64, 64), 1, row_captions=["one", "two"], legend=["1: Smiling", "2: Young"])
    assert full.width > bare.width and full.height > bare.height + 20
    white = (pixels(full) == 255).all(-1)
    assert white.sum() == 2 * 64 * 64, "the images are all there"


def test_captions_must_match_the_columns():
    with pytest.raises(ValueError, match="2 captions for 3"):
        image_grid(torch.ones(3, 1, 8, 8), 3, captions=["a", "b"])
    with pytest.raises(ValueError, match="1 row captions for 2"):
        image_grid(torch.ones(4, 1, 8, 8), 2, row_captions=["a"])


def test_twelve_evenly_spaced_classes_of_many():
    assert shown_classes(10) == list(range(10))
    assert shown_classes(12) == list(range(12))
    for count in (13, 25, 100, 1000):
        shown = shown_classes(count)
        assert len(set(shown)) == 12 and shown[0] == 0 and shown[-1] == count - 1
        steps = np.diff(shown)
        assert steps.min() >= 1 and steps.max() - steps.min() <= 1
