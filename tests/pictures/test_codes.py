import numpy as np
import pytest
import torch
from PIL import ImageColor

from ganlab.pictures import code_plane
from ganlab.pictures.codes import PLOT
from ganlab.pictures.plane import REAL, class_colours, plane_limits


def place(x: float, y: float, limits: tuple[float, ...]) -> tuple[int, int]:
    """Row and column of a code in the picture of 600×560 pixels."""
    left, right, bottom, top = limits
    column = 600 * (PLOT[0] + PLOT[2] * (x - left) / (right - left))
    return round(560 * (1 - PLOT[1] - PLOT[3] * (y - bottom) / (top - bottom))), round(column)


def colour_at(picture: np.ndarray, row: int, column: int) -> np.ndarray:
    return np.median(picture[row - 1 : row + 2, column - 1 : column + 2].reshape(-1, 3), axis=0)


def test_codes_lie_where_they_are_in_the_colour_of_their_class():
    ends = torch.tensor([[-4.0, 1.0], [2.0, -1.0], [3.0, 2.0]])
    codes, classes = ends.repeat(30, 1), torch.tensor([2, 0, 1]).repeat(30)
    picture = np.asarray(code_plane(codes, classes, ["ant", "bee", "cat"], title="iteration 3", note="90 codes"))
    assert picture.shape == (560, 600, 3)
    limits = plane_limits(codes, margin=0.15)
    for (x, y), index in zip(ends.tolist(), [2, 0, 1], strict=True):
        seen = colour_at(picture, *place(x, y, limits))
        assert np.abs(seen - class_colours(3)[index][:3] * 255).max() < 12
    for number, band in (("title", slice(20, 48)), ("ticks", slice(492, 508)), ("note", slice(530, 556))):
        assert (picture[band] < 200).any(), number


def test_without_classes_codes_have_one_colour_and_no_name():
    codes = torch.tensor([[0.0, 0.0], [1.0, 3.0]]).repeat(40, 1)
    picture = np.asarray(code_plane(codes))
    limits = plane_limits(codes, margin=0.15)
    for x, y in codes[:2].tolist():
        assert np.abs(colour_at(picture, *place(x, y, limits)) - ImageColor.getrgb(REAL)).max() < 12


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_collapsed_and_broken_codes_are_drawn_without_a_word(value):
    codes, classes = torch.full((4, 2), value), torch.tensor([0, 0, 1, 1])
    assert code_plane(codes, classes, ["ant", "bee"]).size == (600, 560)


def test_a_code_that_is_not_finite_moves_no_other():
    codes, classes = torch.randn(20, 2, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 2
    broken = torch.cat([torch.tensor([[float("nan"), 1.0]]), codes])
    more = torch.cat([torch.tensor([1]), classes])
    one, other = (code_plane(*given, ["ant", "bee"]) for given in ((codes, classes), (broken, more)))
    assert np.array_equal(np.asarray(one), np.asarray(other))
