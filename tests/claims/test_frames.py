"""What is counted along a run: against frames whose modes are known."""

import math

import torch

from ganlab.claims.frames import hit, hops, modes_at_a_time, moved, nearest_modes, shares

MODES = torch.tensor([[2.0, 0.0], [0.0, 2.0], [-2.0, 0.0], [0.0, -2.0]])


def frames(*rows):
    """Points in the modes of those indices, a row a frame."""
    return MODES[torch.tensor(rows)]


def test_each_point_is_of_its_nearest_mode():
    points = torch.tensor([[[1.9, 0.5], [-0.1, 0.3]], [[-3.0, 1.0], [0.2, -5.0]]])
    assert nearest_modes(points, MODES).tolist() == [[0, 1], [2, 3]]


def test_shares_count_the_points_of_each_mode():
    nearest = nearest_modes(frames([0, 0, 0, 1], [3, 3, 3, 3]), MODES)
    assert shares(nearest, 4).tolist() == [[0.75, 0.25, 0, 0], [0, 0, 0, 1]]


def test_modes_at_a_time_is_the_number_of_modes_that_share_evenly():
    share = torch.tensor([[1.0, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25] * 4, [0.75, 0.25, 0, 0]], dtype=torch.float64)
    uneven = math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))
    assert torch.allclose(modes_at_a_time(share), torch.tensor([1, 2, 4, uneven], dtype=torch.float64))


def test_a_hop_is_a_change_of_the_mode_that_has_most_and_frames_without_one_are_passed_over():
    held = [[1.0, 0], [0.6, 0.4], [0.5, 0.5], [0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [0.3, 0.7], [0.9, 0.1]]
    assert hops(torch.tensor(held)) == 2
    assert hops(torch.full((5, 8), 1 / 8)) == 0


def test_moved_is_the_share_of_points_at_another_mode_than_before():
    nearest = nearest_modes(frames([0, 1, 2, 3], [0, 1, 2, 0], [1, 2, 3, 1]), MODES)
    assert moved(nearest).tolist() == [0.25, 1.0]


def test_covered_counts_modes_that_are_hit_by_a_fifth_of_their_share():
    # Of 80 points a fair share is 20: four on the mode count, three do not, nor do any that are too far from it.
    on_modes = [0] * 60 + [1] * 4 + [2] * 3
    points = torch.cat([MODES[torch.tensor(on_modes)], MODES[3] + torch.tensor([0.0, 0.4]).expand(13, 2)])
    covered, near = hit(points[None], MODES, 0.1)
    assert covered.tolist() == [2] and near.tolist() == [67 / 80]
