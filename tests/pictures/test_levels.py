import numpy as np
import torch
from sklearn.datasets import load_digits
from torch.nn.functional import avg_pool2d

from ganlab.pictures import level_columns, to_bytes
from ganlab.pictures.grid import MARGIN
from ganlab.pictures.text import PAPER

CELL = 64


def pyramid(rows: int, columns: int) -> list[torch.Tensor]:
    """Digits at 2×2, 4×4 and 8×8 pixels: each [rows, columns, 1, size, size]."""
    images = torch.tensor(load_digits().images[: rows * columns], dtype=torch.float32)[:, None] / 8 - 1
    return [avg_pool2d(images, factor).unflatten(0, (rows, columns)) for factor in (4, 2, 1)]


def cells_of(picture: np.ndarray, rows: int, columns: int, left: int, tops: list[int]) -> np.ndarray:
    """[rows, levels, columns, CELL, CELL]."""
    return np.array(
        [
            [
                [
                    picture[top + level * (CELL + 2) :, left + column * (CELL + 2) :, 0][:CELL, :CELL]
                    for column in range(columns)
                ]
                for level in range(3)
            ]
            for top in tops
        ]
    )


def test_each_column_shows_all_levels_of_its_sample_pixel_by_pixel():
    levels = pyramid(2, 4)
    picture = np.asarray(level_columns(levels))
    width, height = 4 * (CELL + 2) - 2, 3 * (CELL + 2) - 2
    left = picture.shape[1] - MARGIN - width
    tops = [MARGIN, MARGIN + height + 2 * MARGIN]
    assert picture.shape[0] == tops[1] + height + MARGIN
    cells = cells_of(picture, 2, 4, left, tops)
    for index, level in enumerate(levels):
        blocks = to_bytes(level.flatten(0, 1)).unflatten(0, (2, 4))[:, :, 0].numpy()
        factor = CELL // blocks.shape[-1]
        assert np.array_equal(cells[:, index], blocks.repeat(factor, -1).repeat(factor, -2))


def test_sizes_stand_beside_every_level_and_names_above_the_first_group_alone():
    levels = pyramid(2, 4)
    bare, named = np.asarray(level_columns(levels)), np.asarray(level_columns(levels, ["ant", "bee", "cat", "dog"]))
    assert bare.shape[1] == named.shape[1]
    room = named.shape[0] - bare.shape[0]
    assert room > 8 and np.array_equal(named[room + MARGIN :], bare[MARGIN:]), "all else is the same"
    left = bare.shape[1] - MARGIN - 4 * (CELL + 2) + 2
    ink = np.abs(bare[:, :left].astype(int) - PAPER).sum(-1) > 100
    for top in (MARGIN, MARGIN + 3 * (CELL + 2) - 2 + 2 * MARGIN):
        middles = []
        for level in range(3):
            rows, columns = np.nonzero(ink[top + level * (CELL + 2) :][:CELL])
            assert len(rows) > 20 and columns.min() >= MARGIN and columns.max() < left - 2
            middles.append(abs(rows.mean() - CELL / 2))
        assert max(middles) < 3
    captions = np.abs(named[: MARGIN + room].astype(int) - PAPER).sum(-1) > 100
    for column in range(4):
        assert captions[:, left + column * (CELL + 2) :][:, :CELL].any()


def test_sizes_that_do_not_divide_and_colours_and_a_legend():
    levels = [torch.zeros(1, 2, 3, 3, 5), torch.ones(1, 2, 3, 7, 10)]
    plain = level_columns(levels)
    assert level_columns(levels, ["1", "2"], ["1: Smiling"]).height > plain.height + 20
    picture = np.asarray(plain)
    assert (picture == 255).all(-1).sum() == 2 * (7 * 6) * (10 * 6), "each level has the finest one's size"
