"""Simple fillings and their errors, against loops."""

import math

import pytest
import torch

from ganlab.metrics.fills import MOST_DECIBELS, decibels, hidden_errors, mean_image, mean_of_visible, nearest_by_visible

RANDOM = torch.Generator().manual_seed(0)
GIVEN = torch.rand(7, 2, 4, 5, generator=RANDOM) * 2 - 1
HIDDEN = torch.rand(7, 1, 4, 5, generator=RANDOM) < 0.4
KNOWN = torch.rand(50, 2, 4, 5, generator=RANDOM) * 2 - 1
CLASSES = torch.arange(50) % 3
LABELS = torch.tensor([0, 1, 2, 0, 1, 2, 0])


def nearest_by_loops(allowed):
    found = []
    for row in range(7):
        visible = ~HIDDEN[row, 0]
        distances = {
            number: float((GIVEN[row][:, visible].double() - KNOWN[number][:, visible].double()).square().sum())
            for number in range(50)
            if allowed(row, number)
        }
        found.append(min(distances, key=distances.__getitem__, default=-1))
    return found


def in_parts(size=8):
    return zip(KNOWN.split(size), CLASSES.split(size), strict=True)


def test_the_nearest_by_the_visible_part():
    assert nearest_by_visible(GIVEN, HIDDEN, in_parts()).tolist() == nearest_by_loops(lambda *_: True)
    assert nearest_by_visible(GIVEN, HIDDEN, in_parts(), LABELS).tolist() == nearest_by_loops(
        lambda row, number: CLASSES[number] == LABELS[row]
    )


def test_an_image_is_not_its_own_neighbour():
    own = torch.arange(7) * 6
    found = nearest_by_visible(KNOWN[own], HIDDEN, in_parts(), own=own)
    assert nearest_by_visible(KNOWN[own], HIDDEN, in_parts()).tolist() == own.tolist()
    assert not (found == own).any() and (found >= 0).all()


def test_a_class_without_images_has_no_neighbour():
    assert nearest_by_visible(GIVEN, HIDDEN, in_parts(), LABELS + 7).tolist() == [-1] * 7


def test_the_hidden_part_is_not_looked_at():
    other = torch.where(HIDDEN, torch.full_like(GIVEN, float("nan")), GIVEN)
    assert torch.equal(nearest_by_visible(other, HIDDEN, in_parts()), nearest_by_visible(GIVEN, HIDDEN, in_parts()))
    assert torch.equal(mean_of_visible(other, HIDDEN), mean_of_visible(GIVEN, HIDDEN))


def test_means():
    torch.testing.assert_close(mean_image(KNOWN.split(8)), KNOWN.mean(0, keepdim=True))
    found = mean_of_visible(GIVEN, HIDDEN)
    assert found.shape == (7, 2, 1, 1)
    for row in range(7):
        for channel in range(2):
            assert found[row, channel].item() == pytest.approx(GIVEN[row, channel][~HIDDEN[row, 0]].mean().item())


def test_errors_are_of_hidden_values_between_0_and_1():
    filled = KNOWN[:7]
    for row, error in enumerate(hidden_errors(filled, GIVEN, HIDDEN)):
        ours, theirs = ((image[row][:, HIDDEN[row, 0]] + 1) / 2 for image in (filled, GIVEN))
        assert error.item() == pytest.approx((ours - theirs).square().mean().item())
    assert torch.equal(hidden_errors(torch.where(HIDDEN, GIVEN, filled), GIVEN, HIDDEN), torch.zeros(7).double())


def test_decibels():
    found = decibels(torch.tensor([1.0, 0.01, 0.0])).tolist()
    assert found == pytest.approx([0, 20, MOST_DECIBELS]) and math.isfinite(found[2])
