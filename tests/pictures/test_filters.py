import numpy as np
import torch

from ganlab.pictures import filter_grid
from ganlab.pictures.grid import MARGIN

STEP = 66


def cells(picture: np.ndarray, count: int, columns: int) -> list[np.ndarray]:
    """Each filter's 2×2 values, from the middle of its enlarged pixels."""
    tops = [(MARGIN + place // columns * STEP, MARGIN + place % columns * STEP) for place in range(count)]
    return [picture[top : top + 64, left : left + 64][16::32, 16::32] for top, left in tops]


def test_each_filter_is_scaled_by_its_own_largest_value_around_gray():
    weights = torch.tensor([[4.0, -2.0, 0.0, 1.0], [-0.01, 0.005, 0.0, 0.01], [1e3, 1e3, 1e3, 500.0]])
    picture = np.asarray(filter_grid(weights.view(3, 1, 2, 2)))
    first, second, third = (cell[..., 0].flatten().tolist() for cell in cells(picture, 3, 2))
    assert first == [255, 64, 128, 159]  # 127.5 (1 + weight / largest), rounded to even
    assert second == [0, 191, 128, 255]
    assert third == [255, 255, 255, 191], "not stretched by its own smallest value"


def test_colours_are_scaled_together():
    weights = torch.zeros(1, 3, 2, 2)
    weights[0, :, 0, 0] = torch.tensor([2.0, -1.0, 0.0])
    (cell,) = cells(np.asarray(filter_grid(weights)), 1, 1)
    assert cell[0, 0].tolist() == [255, 64, 128] and cell[1, 1].tolist() == [128] * 3


def test_a_dead_filter_is_gray_and_a_broken_one_too():
    weights = torch.stack([torch.zeros(1, 2, 2), torch.full((1, 2, 2), float("nan")), torch.full((1, 2, 2), 1e-30)])
    dead, broken, tiny = cells(np.asarray(filter_grid(weights)), 3, 2)
    assert (dead == 128).all() and (broken == 128).all() and (tiny == 255).all()


def test_the_first_hundred_are_shown_in_their_order():
    weights = torch.linspace(-1, 1, 150)[:, None, None, None].repeat(1, 1, 2, 2)
    weights[:, :, 0, 0] = 1.0  # so that all have one scale
    picture = np.asarray(filter_grid(weights))
    seen = [cell[1, 1, 0] for cell in cells(picture, 100, 10)]
    assert seen == [int(np.round(127.5 * value + 127.5)) for value in np.linspace(-1, 1, 150)[:100]]
    assert picture.shape[1] == 10 * STEP - 2 + 2 * MARGIN
    assert 10 * STEP + MARGIN + 20 < picture.shape[0] < 11 * STEP + MARGIN, "ten rows and a legend"
