"""Against the paper's closed forms, by numerical integration of the code's own terms in float64."""

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm

from ganlab.objectives.least_squares import discriminator_terms, generator_loss

TARGETS = [(0.0, 1.0, 1.0), (-1.0, 1.0, 0.0), (0.2, 0.9, 0.6)]
REAL, GENERATED = norm(0.0, 1.0), norm(1.3, 1.4)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def best(x, a, b):
    real, generated = REAL.pdf(x), GENERATED.pdf(x)
    return (b * real + a * generated) / (real + generated)


def integral(function):
    return quad(function, -12, 14, limit=200)[0]


def criterion(score, a, b):
    """The discriminator's expected loss for a score function on a line."""

    def at(x):
        on_real, on_fake = discriminator_terms(tensor(score(x)), tensor(score(x)), a, b)
        return REAL.pdf(x) * float(on_real) + GENERATED.pdf(x) * float(on_fake)

    return integral(at)


@pytest.mark.parametrize(("a", "b", "c"), TARGETS)
def test_values_are_the_papers_formulas(a, b, c):
    real, fake = np.array([-1.0, 0.5, 2.0]), np.array([0.3, 4.0])
    on_real, on_fake = discriminator_terms(tensor(*real), tensor(*fake), a, b)
    assert float(on_real) == pytest.approx(np.mean((real - b) ** 2) / 2, rel=1e-12)
    assert float(on_fake) == pytest.approx(np.mean((fake - a) ** 2) / 2, rel=1e-12)
    assert float(generator_loss(tensor(*fake), c)) == pytest.approx(np.mean((fake - c) ** 2) / 2, rel=1e-12)


def test_gradients_pull_each_score_to_its_target_in_proportion_to_the_distance():
    scores = tensor(-2.0, 0.5, 6.0).requires_grad_()
    on_real, on_fake = discriminator_terms(scores, scores, -1.0, 1.0)
    for loss, target in ((on_real, 1.0), (on_fake, -1.0), (generator_loss(scores, 0.25), 0.25)):
        torch.testing.assert_close(torch.autograd.grad(loss, scores)[0], (scores.detach() - target) / 3)


@pytest.mark.parametrize(("a", "b", "c"), TARGETS)
def test_the_best_discriminator_weighs_the_targets_by_the_densities(a, b, c):
    least = criterion(lambda x: best(x, a, b), a, b)
    for change in (lambda x: 0.1, lambda x: -0.1, lambda x: 0.2 * np.sin(3 * x), lambda x: -0.2 * np.tanh(x)):
        moved = criterion(lambda x, change=change: best(x, a, b) + change(x), a, b)
        # A square around its minimum: what is lost is the mean square of the change.
        lost = integral(lambda x, change=change: (REAL.pdf(x) + GENERATED.pdf(x)) * change(x) ** 2 / 2)
        assert moved - least == pytest.approx(lost, rel=1e-6)


@pytest.mark.parametrize(("a", "b", "c"), [(-1.0, 1.0, 0.0), (0.0, 2.0, 1.0)])
def test_with_b_minus_c_1_and_b_minus_a_2_the_criterion_is_pearsons_chi_squared(a, b, c):
    def at(x):
        loss = 2 * float(generator_loss(tensor(best(x, a, b)), c))
        return (REAL.pdf(x) + GENERATED.pdf(x)) * loss

    def chi_squared(x):
        both, twice = REAL.pdf(x) + GENERATED.pdf(x), 2 * GENERATED.pdf(x)
        return (twice - both) ** 2 / both

    assert integral(at) == pytest.approx(integral(chi_squared), rel=1e-9)
    assert integral(chi_squared) > 0.1
