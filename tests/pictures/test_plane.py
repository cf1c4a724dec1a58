import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image, ImageColor

from ganlab.pictures import plane, plane_lattice, plane_limits
from ganlab.pictures.plane import GENERATED, SAYS_GENERATED, SAYS_REAL, UNDECIDED

LIMITS = (-2.5, 2.5, -2.5, 2.5)


def ring(count: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    classes = torch.arange(count) % 8
    noise = torch.randn(count, 2, generator=torch.Generator().manual_seed(0))
    turn = classes * math.pi / 4
    return 2 * torch.stack([turn.cos(), turn.sin()], 1) + 0.02 * noise, classes


def near(picture: Image.Image, colour: str, tolerance: int = 40) -> np.ndarray:
    """Where the picture has about this colour: [height, width]."""
    return np.abs(np.asarray(picture).astype(int) - ImageColor.getrgb(colour)).max(-1) <= tolerance


def test_limits_are_a_square_around_the_points():
    points = torch.tensor([[0.0, 0.0], [4.0, 1.0], [2.0, float("nan")]])
    assert plane_limits(points, margin=0.5) == (-1.0, 5.0, -2.5, 3.5)
    left, right, bottom, top = plane_limits(torch.zeros(3, 2))
    assert left < 0 < right and bottom < 0 < top
    assert plane_limits(torch.full((2, 2), float("nan"))) == (-1.0, 1.0, -1.0, 1.0)


def test_lattice_runs_along_x_first_and_from_the_bottom():
    lattice = plane_lattice((0.0, 1.0, 10.0, 12.0), 3)
    assert lattice.tolist()[:4] == [[0.0, 10.0], [0.5, 10.0], [1.0, 10.0], [0.0, 11.0]]
    assert lattice[-1].tolist() == [1.0, 12.0]


def test_generated_points_are_drawn_where_they_are():
    picture = plane(torch.tensor([[2.0, 1.0]] * 30), torch.zeros(1, 2), limits=LIMITS)
    assert picture.size == (600, 560) and picture.mode == "RGB"
    rows, columns = np.nonzero(near(picture, GENERATED)[:500])
    frame = np.nonzero(near(picture, "#c8c8c4", 4).sum(0) > 300)[0]
    left, right = frame.min(), frame.max()
    frame = np.nonzero(near(picture, "#c8c8c4", 4).sum(1) > 300)[0]
    top, bottom = frame.min(), frame.max()
    assert abs((right - left) - (bottom - top)) <= 2, "equal aspect"
    assert abs(columns.mean() - (left + (right - left) * 4.5 / 5)) < 2
    assert abs(rows.mean() - (bottom - (bottom - top) * 3.5 / 5)) < 2


def test_field_is_blue_where_real_orange_where_generated_and_white_between():
    x = plane_lattice(LIMITS, 41)[:, 0].view(41, 41)
    far = torch.full((1, 2), 99.0)
    picture = plane(far, limits=LIMITS, field=(20 * x).sigmoid())
    inside = near(picture, SAYS_GENERATED, 12)[:, :480], near(picture, SAYS_REAL, 12)[:, :480]
    orange, blue = (np.nonzero(side)[1].mean() for side in inside)
    assert orange < 200 < 300 < blue
    undecided = plane(far, limits=LIMITS, field=torch.full((9, 9), 0.5))
    assert near(undecided, UNDECIDED, 12)[50:450, 50:450].mean() > 0.95


def test_raw_scores_are_centred_at_their_median():
    x = plane_lattice(LIMITS, 21)[:, 0].view(21, 21)
    far = torch.full((1, 2), 99.0)
    low, high = (
        np.asarray(plane(far, limits=LIMITS, field=x + offset, field_kind="raw"))[100:400, 60:420].astype(int)
        for offset in (-1000, 1000)
    )
    assert np.abs(low - high).mean() < 1, "a critic's offset means nothing"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", ["probability", "raw"])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0, float("nan"), float("inf")])
def test_constant_and_broken_fields_are_drawn_without_a_word(kind, value):
    assert plane(torch.zeros(1, 2), limits=LIMITS, field=torch.full((5, 5), value), field_kind=kind).size == (600, 560)


def test_points_outside_are_counted():
    inside, outside = torch.zeros(5, 2), torch.full((5, 2), 9.0)
    silent, told = (near(plane(points, limits=LIMITS), GENERATED)[400:500, :300].sum() for points in (inside, outside))
    assert silent == 0 < told


def test_classes_have_colours_and_names():
    real, classes = ring()
    arguments = {"limits": plane_limits(real), "generated_classes": classes, "real_classes": classes}
    coloured = plane(real, real, class_names=[str(index) for index in range(8)], **arguments)
    for colour in ("#1f77b4", "#2ca02c", "#d62728", "#9467bd"):
        assert near(coloured, colour, 30).sum() > 50
    many = plane(real, real, class_names=[str(index) for index in range(25)], **arguments)
    assert np.asarray(many).shape == (560, 600, 3)


def test_limits_hold_whatever_the_points_are():
    real, _ = ring()
    first, second = (plane(real * factor, real, limits=LIMITS) for factor in (0.1, 0.9))
    ticks = slice(490, 520)
    assert np.array_equal(np.asarray(first)[ticks], np.asarray(second)[ticks])


def test_neither_pyplot_nor_random_states_are_touched():
    before = torch.get_rng_state()
    real, _ = ring()
    plane(real, real, limits=LIMITS, field=torch.rand(9, 9, generator=torch.Generator()))
    assert torch.equal(before, torch.get_rng_state())
    code = (
        "import sys, ganlab.pictures as p, torch; early = 'matplotlib' in sys.modules; "
        "p.plane(torch.zeros(2, 2), limits=(-1, 1, -1, 1)); print(early, 'matplotlib.pyplot' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert answer.split() == ["False", "False"]


def test_points_that_are_joined_have_a_line_between_them_and_a_name_of_their_own():
    real, made = torch.tensor([[-2.0, -2.0]] * 40), torch.tensor([[2.0, 2.0]] * 40)
    apart, joined = (np.asarray(plane(made, real, limits=LIMITS, joined=joined)) for joined in (False, True))
    rows, columns = np.nonzero((apart != joined).any(-1))
    assert abs(np.polyfit(columns, rows, 1)[0] + 1) < 0.02 and len(rows) > 300, "the diagonal, upwards"
    named = np.asarray(plane(made, real, limits=LIMITS, made="reconstructed"))
    changed = np.nonzero((named != apart).any(-1))[0]
    assert len(changed) and changed.min() > 520, "the legend alone"
    far = torch.full((5, 2), 9.0)
    one, other = (np.asarray(plane(far, limits=LIMITS, made=made)) for made in ("generated", "restored"))
    assert (one != other)[440:490].any(), "those outside are called so too"


@pytest.mark.filterwarnings("error")
def test_points_that_are_not_finite_are_joined_to_nothing():
    broken = torch.full((3, 2), float("nan"))
    assert plane(broken, torch.zeros(3, 2), limits=LIMITS, joined=True).size == (600, 560)
