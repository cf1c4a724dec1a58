import numpy as np
import pytest
import torch
from scipy.stats import norm

from ganlab.pictures import image_grid, manifold, manifold_codes, manifold_side, manifolds, to_bytes
from ganlab.pictures.grid import MARGIN
from ganlab.pictures.manifold import GAP, normal_quantiles
from ganlab.pictures.text import PAPER


def test_quantiles_are_the_normal_distributions():
    for count in (7, 15):
        expected = norm.ppf((np.arange(count) + 0.5) / count)
        np.testing.assert_allclose(normal_quantiles(count).numpy(), expected, atol=1e-6)
    assert normal_quantiles(15)[7] == 0


def test_codes_run_to_the_right_and_from_the_top_down():
    codes, numbers = manifold_codes(5).view(5, 5, 2), normal_quantiles(5)
    assert torch.equal(codes[2, :, 0], numbers) and torch.equal(codes[:, 3, 1], numbers.flip(0))
    assert (codes[0, 0, 0] < 0) and (codes[0, 0, 1] > 0), "the first row is the top one of a plane"


@pytest.mark.parametrize(
    ("size", "side"), [(8, 15), (16, 15), (28, 15), (32, 15), (64, 15), (96, 13), (128, 9), (256, 5), (512, 5)]
)
def test_large_images_are_fewer(size, side):
    assert manifold_side(size) == side and manifold_side(size, 10) == 7


def test_images_lie_where_their_codes_do_a_line_apart():
    side = 3
    codes = manifold_codes(side)
    images = (codes.sum(1) / 4)[:, None, None, None].expand(-1, 1, 8, 8)
    picture = np.asarray(manifold(images))[..., 0]
    pitch = 64 + 2
    left, top = picture.shape[1] - MARGIN - side * pitch + 2, picture.shape[0] - MARGIN - side * pitch + 2
    assert left > MARGIN + 20 and top > MARGIN + 8, "numbers beside and above"
    shown = to_bytes(images)[:, 0, 0, 0].view(side, side).numpy()
    for row in range(side):
        for column in range(side):
            y, x = top + row * pitch, left + column * pitch
            assert (picture[y : y + 64, x : x + 64] == shown[row, column]).all()
    assert (picture[top + 64 : top + 66, left : left + 64] > 190).all(), (
        "else digits that fill their frame run together"
    )
    numbers = ["−0.97", "0.00", "0.97"]
    whole = image_grid(images, side, numbers, numbers[::-1], padding=2, legend=["How to read it."])
    assert np.array_equal(np.asarray(manifold(images, ["How to read it."])), np.asarray(whole))


def test_each_condition_has_a_manifold_of_its_own_under_its_name():
    images = torch.linspace(-1, 1, 10 * 49)[:, None, None, None].repeat(1, 1, 16, 16).unflatten(0, (10, 49))
    images[:, :, :, :, 0] = 1.0  # a mark on each image's left edge
    picture = np.asarray(manifolds(images, [f"class {index}" for index in range(10)]))
    tile = 7 * 32
    assert picture.shape[1] == 2 * MARGIN + 5 * (tile + GAP) - GAP, "two rows of five"
    tops = [row for row in range(len(picture)) if (picture[row, MARGIN : MARGIN + 2] == 255).all()]
    first, second = min(tops), max(tops) - tile + 1
    assert len(tops) == 2 * tile and second - first > tile + 2 * MARGIN + 8
    for condition in range(10):
        top, left = (first, second)[condition // 5], MARGIN + condition % 5 * (tile + GAP)
        seen = picture[top : top + tile, left : left + tile, 0]
        expected = to_bytes(images[condition]).view(7, 7, 16, 16).numpy()
        assert np.array_equal(seen[16::32, 16::32], expected[:, :, 8, 8])
        assert np.array_equal(seen[16::32, ::32], np.full((7, 7), 255))
        name = np.abs(picture[top - MARGIN - 14 : top, left : left + tile].astype(int) - PAPER).sum(-1) > 100
        assert name.sum() > 20


def test_rows_of_conditions_are_about_equally_long():
    images = torch.zeros(7, 49, 3, 16, 16)
    picture = manifolds(images, list("abcdefg"), ["How to read it."])
    assert picture.width == 2 * MARGIN + 4 * (7 * 32 + GAP) - GAP
    large = manifolds(torch.zeros(3, 49, 1, 256, 256), list("abc"))
    assert large.width == 2 * MARGIN + 7 * 256, "one below the other"
