"""Figures leave nothing behind, however they refer to themselves."""

import gc
import weakref

import pytest
import torch

from ganlab.pictures import plane
from ganlab.pictures.figures import freed


class Part:
    """Refers to itself."""

    def __init__(self):
        self.whole = self


@pytest.mark.parametrize("collects", [True, False])
def test_what_is_not_returned_is_gone_and_the_collector_is_as_before(collects):
    parts = []

    @freed
    def draw(fails):
        part = Part()
        parts.append(weakref.ref(part))
        # So many objects that the collector, if it were on, would have taken the part for an old one.
        grown = [[] for _ in range(50_000)]
        if fails:
            raise ValueError(len(grown))
        return len(grown)

    before = gc.isenabled()
    (gc.enable if collects else gc.disable)()
    try:
        assert draw(False) == 50_000
        assert gc.isenabled() == collects
        with pytest.raises(ValueError, match="50000"):
            draw(True)
        assert gc.isenabled() == collects
    finally:
        (gc.enable if before else gc.disable)()
    assert parts[0]() is None


def test_a_picture_of_the_plane_leaves_no_figure():
    from matplotlib.figure import Figure

    points, field = torch.rand(10, 2), torch.rand(8, 8)
    plane(points, points, limits=(0, 1, 0, 1), field=field)
    gc.collect()
    plane(points, points, limits=(0, 1, 0, 1), field=field)
    assert not [one for one in gc.get_objects() if type(one) is Figure]
