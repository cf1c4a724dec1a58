import numpy as np
import pytest
import torch
from PIL import ImageColor
from sklearn.datasets import load_digits

from ganlab.pictures import (
    CodeValues,
    Traversal,
    code_values,
    image_grid,
    to_bytes,
    traversal_block,
    traversal_panels,
    traversal_rows,
)
from ganlab.pictures.grid import MARGIN
from ganlab.pictures.plane import class_colours
from ganlab.pictures.text import PAPER
from ganlab.pictures.traversal import BAR_LEFT, HEADING, PANEL_HEIGHT, PANEL_WIDTH, PLOT_BOTTOM, PLOT_LEFT, PLOT_SIDE

DIGITS = torch.tensor(load_digits().images[:60], dtype=torch.float32)[:, None] / 8 - 1
LIMITS = (-2.0, 2.0, -2.0, 2.0)


def continuous(*numbers: float) -> CodeValues:
    return CodeValues(list(numbers), categorical=False)


def categorical(count: int) -> CodeValues:
    return CodeValues([float(index) for index in range(count)], categorical=True)


def test_values_are_read_from_what_changes():
    noise = torch.randn(1, 7)
    along = noise.repeat(5, 1)
    along[:, 3] = torch.linspace(-1, 1, 5)
    assert code_values(along) == continuous(-1, -0.5, 0, 0.5, 1)
    assert code_values(along).captions == ["-1", "-0.5", "0", "0.5", "1"]
    classes = noise.repeat(4, 1)
    classes[:, 2:6] = torch.eye(4)
    assert code_values(classes) == categorical(4) and code_values(classes).captions == list("0123")
    pair = noise.repeat(2, 1)
    pair[:, :2] = torch.eye(2)[[1, 0]]
    assert code_values(pair) == CodeValues([1.0, 0.0], categorical=True)
    assert code_values(noise.repeat(3, 1)).captions == ["0"] * 3


def test_captions_of_sums_beside_zero_are_zero():
    along = torch.zeros(3, 2)
    along[:, 1] = torch.tensor([-1.0, -3e-8, 1.0])
    assert code_values(along).captions == ["-1", "0", "1"]


def test_captions_keep_the_steps_of_a_wide_range():
    assert continuous(-2.25, 0.75, 3).captions == ["-2.25", "0.75", "3"]


def test_one_row_for_each_of_many_codes():
    values = continuous(-3, 0, 3)
    codes = [Traversal(f"latent_{row + 1}", values, DIGITS[None, 3 * row : 3 * row + 3]) for row in range(4)]
    names = ["latent 1", "latent 2", "latent 3", "latent 4"]
    expected = image_grid(DIGITS[:12], 3, ["-3", "0", "3"], names, legend=["How to read it."])
    assert np.array_equal(np.asarray(traversal_block(codes, ["How to read it."])), np.asarray(expected))


def test_some_of_the_steps():
    assert categorical(30).at([0, 15, 29]).captions == ["0", "15", "29"]


def test_each_code_is_a_block_of_rows_with_its_name_and_values():
    first = Traversal("kind", categorical(4), DIGITS[:12].unflatten(0, (3, 4)))
    second = Traversal("slant", continuous(-1, 0, 1), DIGITS[12:18].unflatten(0, (2, 3)))
    picture = np.asarray(traversal_rows([first, second]))
    blocks = [
        np.asarray(image_grid(DIGITS[:12], 4, list("0123"))),
        np.asarray(image_grid(DIGITS[12:18], 3, ["-1", "0", "1"])),
    ]
    room = (picture.shape[0] - sum(len(block) for block in blocks)) // 2
    assert room > MARGIN + 8, "for two names"
    top = 0
    for block in blocks:
        band = np.abs(picture[top : top + room].astype(int) - PAPER).sum(-1) > 100
        assert band.sum() > 20 and not band[:, :MARGIN].any() and not band[: MARGIN - 1].any()
        top += room
        assert np.array_equal(picture[top : top + len(block), : block.shape[1]], block)
        top += len(block)
    corners = picture[len(picture) - MARGIN - 2 * 66 + 2 :: 66, MARGIN::66, 0][:2, :3]
    assert np.array_equal(corners, to_bytes(DIGITS[12:18])[:, 0, 0, 0].view(2, 3).numpy())


def test_rows_may_have_captions_and_a_legend():
    block = Traversal("kind", categorical(2), DIGITS[:4].unflatten(0, (2, 2)))
    bare, named = traversal_rows([block]), traversal_rows([block], ["ant", "bee"])
    assert named.width > bare.width and named.height == bare.height
    assert traversal_rows([block], legend=["How to read it."]).height > bare.height + 10


def pixel(place: int, panels: int, x: float, y: float) -> tuple[int, int]:
    """Row and column of a point of the plane in its panel, from the layout's inches at 100 dots each."""
    rows = -(-panels // 3)
    left = place % 3 * PANEL_WIDTH + PLOT_LEFT + (x + 2) / 4 * PLOT_SIDE
    up = (rows - 1 - place // 3) * PANEL_HEIGHT + PLOT_BOTTOM + (y + 2) / 4 * PLOT_SIDE
    return round(100 * (rows * PANEL_HEIGHT + HEADING - up)), round(100 * left)


def colour_at(picture: np.ndarray, row: int, column: int) -> np.ndarray:
    return np.median(picture[row - 1 : row + 2, column - 1 : column + 2].reshape(-1, 3), axis=0)


def shown(colour: np.ndarray) -> np.ndarray:
    """A colour of a stack of many half-transparent points."""
    return np.array(colour[:3]) * 255


def test_points_lie_in_the_panel_of_their_code_in_the_colour_of_their_class():
    ends = torch.tensor([[-1.0, -1.0], [0.0, 1.0], [1.0, 0.5]])
    first = Traversal("kind", categorical(3), ends.expand(20, 3, 2))
    picture = np.asarray(traversal_panels([first] * 3 + [first._replace(samples=-first.samples)], limits=LIMITS))
    assert picture.shape == (755, 1200, 3)
    for place, sign in ((0, 1), (2, 1), (3, -1)):
        for (x, y), colour in zip(ends.tolist(), class_colours(3), strict=True):
            seen = colour_at(picture, *pixel(place, 4, sign * x, sign * y))
            assert np.abs(seen - shown(colour)).max() < 12
    assert (picture[400:, 420:] == 255).all(), "no panel where there is no code"


def test_a_range_is_shaded_by_value_with_a_bar_that_tells_it():
    along = torch.stack([torch.linspace(-1.5, 1.5, 5), torch.zeros(5)], 1)
    code = Traversal("c", continuous(-1, -0.5, 0, 0.5, 1), along.expand(20, 5, 2))
    picture = np.asarray(traversal_panels([code], limits=LIMITS))
    assert picture.shape == (395, 400, 3)
    low, high = (colour_at(picture, *pixel(0, 1, x, 0)) for x in (-1.5, 1.5))
    column = round(100 * (BAR_LEFT + 0.05))
    bar = [row for row in range(395) if (picture[row, column] < 250).any()]
    assert np.abs(low - picture[bar[-5], column]).max() < 25 and np.abs(high - picture[bar[5], column]).max() < 25
    assert np.abs(low - high).max() > 100
    assert (picture[bar[0] :, column + 10 :][: len(bar)] < 200).any(), "numbers beside the bar"


def test_real_points_set_nothing_but_are_there():
    code = Traversal("c", categorical(2), torch.tensor([[0.0, 0.0], [1.0, 1.0]]).expand(5, 2, 2))
    alone = np.asarray(traversal_panels([code], limits=LIMITS))
    both = np.asarray(traversal_panels([code], torch.full((50, 2), -1.0), limits=LIMITS))
    rows, columns = np.nonzero((alone != both).any(-1))
    row, column = pixel(0, 1, -1, -1)
    assert abs(rows.mean() - row) < 1.5 and abs(columns.mean() - column) < 1.5
    assert np.abs(colour_at(both, row, column) - ImageColor.getrgb("#55585e")).max() < 12


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_collapsed_and_broken_points_are_drawn_without_a_word(value):
    points = torch.full((4, 3, 2), value)
    codes = [Traversal("a", categorical(3), points), Traversal("b", continuous(-1, 0, 1), points)]
    assert traversal_panels(codes, title="iteration 3").size == (800, 395)
