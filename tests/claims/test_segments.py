"""The two segments."""

import torch

from ganlab.claims.segments import Segment, real_segment


def test_both_segments_have_uniform_heights_and_their_own_place():
    random = torch.Generator().manual_seed(0)
    real = real_segment(20000, random)
    made = Segment(0.7)(torch.rand(20000, 1, generator=random) * 2 - 1).detach()
    for points, place in ((real, 0.0), (made, 0.7)):
        assert points.shape == (20000, 2)
        assert (points[:, 0] - place).abs().max() < 1e-6
        shares = torch.tensor([0.1, 0.25, 0.5, 0.9])
        torch.testing.assert_close(points[:, 1].quantile(shares), shares, atol=0.015, rtol=0)
