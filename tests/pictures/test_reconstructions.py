import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from ganlab.pictures import between_originals, image_grid, peak_signal_to_noise, reconstruction_rows, to_bytes
from ganlab.pictures.grid import MARGIN

STEP = 66
"""An image of 64 pixels and the line beside it."""


def digits(count: int) -> torch.Tensor:
    return torch.tensor(load_digits().images[:count], dtype=torch.float32)[:, None] / 8 - 1


def corners(picture: np.ndarray, tops: list[int], left: int, columns: int) -> np.ndarray:
    """A value inside each cell: [rows, columns]."""
    return np.array([[picture[top + 20, left + column * STEP + 30, 0] for column in range(columns)] for top in tops])


def test_decibels_are_those_of_values_between_0_and_1():
    originals = torch.zeros(3, 1, 4, 4)
    shifted = originals + 0.2  # a tenth of the range: mean squared error 0.01
    assert peak_signal_to_noise(shifted, originals) == pytest.approx(20, abs=1e-4)
    half = torch.cat([originals, shifted])
    assert peak_signal_to_noise(half, half * 0) == pytest.approx(20 + 10 * math.log10(2), abs=1e-4)
    assert peak_signal_to_noise(originals, originals) == math.inf


def test_each_column_is_one_image_as_all_kinds_have_it():
    originals, made = digits(6), digits(12)[6:]
    picture = np.asarray(reconstruction_rows([("original", originals), ("reconstruction", made)], 3))
    left = picture.shape[1] - MARGIN - 3 * STEP + 2
    group = 2 * STEP - 2
    tops = [MARGIN, MARGIN + STEP, 3 * MARGIN + group, 3 * MARGIN + group + STEP]
    assert picture.shape[0] == 2 * group + 4 * MARGIN and left > MARGIN + 60, "room for the names"
    rows = torch.cat([originals[:3], made[:3], originals[3:], made[3:]])
    expected = to_bytes(rows)[:, 0, 2, 3].view(4, 3).numpy()
    assert np.array_equal(corners(picture, tops, left, 3), expected)


def test_a_legend_and_captions_take_room_of_their_own():
    kinds = [("original", digits(4)), ("reconstruction", digits(4))]
    bare, told = (np.asarray(reconstruction_rows(kinds, 2, **more)) for more in ({}, {"captions": ["a", "b"]}))
    room = told.shape[0] - bare.shape[0]
    assert room > 8 and np.array_equal(told[room + MARGIN :], bare[MARGIN:]), "captions above the first group alone"
    assert reconstruction_rows(kinds, 2, legend=["PSNR"]).height > bare.shape[0] + 8


def test_the_way_goes_from_one_original_to_the_other():
    images = digits(22)
    picture = between_originals(images[:2], images[4:].unflatten(0, (2, 9)), images[2:4])
    rows = torch.cat([images[:1], images[4:13], images[2:3], images[1:2], images[13:], images[3:4]])
    shares = ["0", "⅛", "¼", "⅜", "½", "⅝", "¾", "⅞", "1"]
    expected = image_grid(rows, 11, ["original", *shares, "original"])
    assert np.array_equal(np.asarray(picture), np.asarray(expected))
    three = between_originals(images[:1], images[None, 1:4], images[4:5], ["ant"], ["How to read it."])
    expected = image_grid(images[:5], 5, ["original", "0", "0.5", "1", "original"], ["ant"], legend=["How to read it."])
    assert np.array_equal(np.asarray(three), np.asarray(expected))
