import numpy as np
import pytest
from PIL import Image

from ganlab.pictures.grid import MARGIN
from ganlab.pictures.stacking import stacked
from ganlab.pictures.text import PAPER

RED, BLUE = (200, 0, 0), (0, 0, 200)


def places(picture: Image.Image, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of all pixels of a colour."""
    rows, columns = np.nonzero((np.asarray(picture) == colour).all(-1))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def inked(pixels: np.ndarray) -> np.ndarray:
    return np.abs(pixels.astype(int) - PAPER).sum(-1) > 100


def test_pictures_lie_flush_left_one_below_the_other():
    whole = stacked([Image.new("RGB", (30, 20), RED), Image.new("RGB", (50, 10), BLUE)])
    assert whole.size == (50, 30)
    assert places(whole, RED) == (0, 0, 30, 20) and places(whole, BLUE) == (0, 20, 50, 30)
    assert tuple(np.asarray(whole)[5, 40]) == PAPER


def test_each_title_stands_above_its_picture_and_is_never_clipped():
    first, second = Image.new("RGB", (90, 20), RED), Image.new("RGB", (90, 10), BLUE)
    whole = stacked([first, second], ["colour_1", "a title that is much too long for a picture so narrow"])
    _, top, _, bottom = places(whole, RED)
    _, second_top, _, second_bottom = places(whole, BLUE)
    assert (bottom - top, second_bottom - second_top, second_bottom) == (20, 10, whole.height)
    for band in (np.asarray(whole)[:top], np.asarray(whole)[bottom:second_top]):
        rows, columns = np.nonzero(inked(band))
        assert len(rows) > 20, "a title"
        assert rows.min() >= MARGIN - 1 and columns.min() >= MARGIN and columns.max() < whole.width - MARGIN
    with pytest.raises(ValueError, match="1 titles for 2 pictures"):
        stacked([first, second], ["one"])


def test_a_legend_takes_room_below():
    bare = Image.new("RGB", (60, 20), RED)
    whole = stacked([bare], legend=["A sentence that is wider than the picture above it."])
    assert places(whole, RED) == (0, 0, 60, 20)
    rows, columns = np.nonzero(inked(np.asarray(whole)[20:]))
    assert columns.max() < whole.width - MARGIN + 1 and rows.max() < whole.height - 20 - MARGIN + 1
