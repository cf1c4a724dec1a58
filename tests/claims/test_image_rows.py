"""Rows of images as a panel of a figure."""

import numpy as np
import torch

from ganlab.claims.drawing import panels
from ganlab.claims.image_rows import draw_rows, draw_sheet


def drawn(rows, **options):
    _, (axes,) = panels(1)
    draw_rows(axes, rows, [f"row {place}" for place in range(len(rows))], "title", **options)
    (image,) = axes.get_images()
    return axes, image


def test_every_image_is_at_its_place_with_gaps_between():
    rows = [torch.rand(3, 1, 4, 5) * 2 - 1, torch.rand(2, 1, 4, 5) * 2 - 1]
    axes, image = drawn(rows)
    sheet = np.ma.filled(image.get_array().astype(float), np.nan)
    assert sheet.shape == (2 * 5 - 1, 3 * 6 - 1)
    for row, images in enumerate(rows):
        for column, one in enumerate(images):
            np.testing.assert_allclose(sheet[row * 5 : row * 5 + 4, column * 6 : column * 6 + 5], one[0], atol=1e-12)
    assert np.isnan(sheet[4]).all() and np.isnan(sheet[:, 5]).all() and np.isnan(sheet[5:, 12:]).all()
    assert image.get_clim() == (-1, 1)
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["row 0", "row 1"]


def test_weights_are_scaled_each_by_its_own_largest():
    rows = [torch.tensor([[[[4.0, -2.0]]], [[[0.0, 0.0]]], [[[0.1, 0.2]]]])]
    _, image = drawn(rows, weights=True)
    sheet = np.ma.filled(image.get_array().astype(float), np.nan)
    np.testing.assert_allclose(sheet[0, [0, 1, 3, 4, 6, 7]], [1, -0.5, 0, 0, 0.5, 1], atol=1e-6)


def test_a_sheet_is_filled_row_by_row():
    images = torch.arange(5.0).reshape(5, 1, 1, 1) / 4
    axes = panels(1)[1][0]
    draw_sheet(axes, images, 2, "title")
    paper = axes.get_images()[0].get_array()
    assert paper[::2, ::2].filled(9.0).tolist() == [[0.0, 0.25], [0.5, 0.75], [1.0, 9.0]]
