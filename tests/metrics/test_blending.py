"""Against dense least squares over all pairs of neighbours, and functions that are known to be harmonic."""

import numpy as np
import pytest
import torch

from ganlab.metrics.blending import harmonic_fill, pasted, poisson_blended

RANDOM = torch.Generator().manual_seed(0)


def images(*shape):
    return torch.rand(*shape, generator=RANDOM, dtype=torch.float64) * 2 - 1


def by_least_squares(made, given, hidden):
    """The hidden values of one channel [height, width], by all equations x_i - x_j = made_i - made_j at once."""
    height, width = made.shape
    unknown = {place: number for number, place in enumerate(zip(*np.nonzero(hidden), strict=True))}
    equations, right = [], []
    for y in range(height):
        for x in range(width):
            for v, u in ((y + 1, x), (y, x + 1)):
                if v == height or u == width or not (hidden[y, x] or hidden[v, u]):
                    continue
                row, value = np.zeros(len(unknown)), made[y, x] - made[v, u]
                for place, sign in (((y, x), 1.0), ((v, u), -1.0)):
                    if hidden[place]:
                        row[unknown[place]] = sign
                    else:
                        value -= sign * given[place]
                equations.append(row)
                right.append(value)
    solved, *_ = np.linalg.lstsq(np.array(equations), np.array(right), rcond=None)
    result = given.copy()
    for place, number in unknown.items():
        result[place] = solved[number]
    return result


def test_the_blend_solves_the_least_squares_of_gradients():
    made, given = images(4, 2, 5, 7), images(4, 2, 5, 7)
    hidden = torch.rand(4, 1, 5, 7, generator=RANDOM) < 0.5
    hidden[3] = hidden[1]
    blended = poisson_blended(made, given, hidden)
    for i in range(4):
        for c in range(2):
            expected = by_least_squares(made[i, c].numpy(), given[i, c].numpy(), hidden[i, 0].numpy())
            np.testing.assert_allclose(blended[i, c].numpy(), expected, atol=1e-12)


def test_visible_pixels_stay_as_they_are_and_hidden_ones_are_not_looked_at():
    made, given = images(3, 1, 6, 6).float(), images(3, 1, 6, 6).float()
    hidden = torch.zeros(3, 1, 6, 6, dtype=torch.bool)
    hidden[:, :, 1:4, 2:6] = True
    blended = poisson_blended(made, given, hidden)
    assert blended.dtype == torch.float32 and torch.equal(blended[~hidden], given[~hidden])
    elsewhere = torch.where(hidden, torch.full_like(given, float("nan")), given)
    assert torch.equal(poisson_blended(made, elsewhere, hidden), blended)
    assert torch.equal(pasted(made, elsewhere, hidden), torch.where(hidden, made, given))


def test_what_is_right_but_for_its_brightness_becomes_right():
    given = images(2, 3, 8, 8)
    hidden = torch.zeros(2, 1, 8, 8, dtype=torch.bool)
    hidden[:, :, 2:6, 2:6] = True
    brighter = given + torch.tensor([0.3, -0.2, 0.7]).view(3, 1, 1)
    torch.testing.assert_close(poisson_blended(brighter, given, hidden), given)


@pytest.mark.parametrize("function", [lambda x, y: x * x - y * y, lambda x, y: x * y - 3 * x + 2, lambda x, y: y])
def test_discrete_harmonic_functions_are_found_again(function):
    y, x = np.mgrid[:9, :11].astype(float)
    values, hidden = function(x, y), np.zeros((9, 11), dtype=bool)
    hidden[2:7, 1:10] = True
    hidden[4, 4] = False
    torn = np.where(hidden, 99.0, values)
    np.testing.assert_allclose(harmonic_fill(torn[None], hidden)[0], values, atol=1e-10)


def test_toward_the_border_it_goes_on_as_it_is():
    values = np.tile(np.array([0.0, 0.0, 0.25, 1.0]), (3, 1))
    hidden = np.zeros((3, 4), dtype=bool)
    hidden[:, :2] = True
    np.testing.assert_allclose(harmonic_fill(values[None], hidden)[0, :, :2], 0.25, atol=1e-12)
