import math

import pytest
import torch

from ganlab.pictures import slerp, walk_between


def angle(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cosine_similarity(a.double(), b.double(), dim=1).clamp(-1, 1).acos()


def test_quarter_circle():
    start, end = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    for share in (0.0, 0.25, 0.5, 1.0):
        turn = share * math.pi / 2
        expected = torch.tensor([[math.cos(turn), math.sin(turn)]])
        torch.testing.assert_close(slerp(start, end, share), expected, atol=1e-7, rtol=0)


@pytest.mark.parametrize("dim", [2, 3, 64])
def test_angle_and_length_go_evenly(dim):
    ends = torch.randn(2, 50, dim, generator=torch.Generator().manual_seed(dim))
    whole = angle(*ends)
    for share in (0.1, 0.5, 0.8):
        between = slerp(*ends, share)
        torch.testing.assert_close(angle(ends[0], between), share * whole, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(angle(between, ends[1]), (1 - share) * whole, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(between.norm(dim=1), torch.lerp(ends[0].norm(dim=1), ends[1].norm(dim=1), share))


def test_straight_where_no_great_circle_is_singled_out():
    start = torch.tensor([[1.0, 2.0], [1.0, 2.0], [0.0, 0.0]])
    end = torch.tensor([[2.0, 4.0], [-1.0, -2.0], [3.0, 1.0]])
    torch.testing.assert_close(slerp(start, end, 0.25), torch.lerp(start, end, 0.25))


def test_walks_hold_their_ends_and_follow_the_prior():
    start, end = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(0))
    curved, straight = (walk_between(start, end, 5, prior) for prior in ("normal", "uniform"))
    assert curved.shape == straight.shape == (4, 5, 8)
    for walk in (curved, straight):
        torch.testing.assert_close(walk[:, 0], start)
        torch.testing.assert_close(walk[:, -1], end)
    torch.testing.assert_close(straight[:, 2], (start + end) / 2)
    torch.testing.assert_close(curved[:, 2], slerp(start, end, 0.5))
    assert (curved[:, 2].norm(dim=1) > straight[:, 2].norm(dim=1)).all()
