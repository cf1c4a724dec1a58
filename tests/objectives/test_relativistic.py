"""Relative scores against their formulas, and the losses that they make against the papers' closed forms."""

import pytest
import torch
from torch.nn.functional import softplus

from ganlab.objectives import adversarial, least_squares, wasserstein
from ganlab.objectives.relativistic import relative_scores

REAL = torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64)
FAKE = torch.tensor([0.3, 1.5, -2.0], dtype=torch.float64)


def test_paired_scores_are_differences_one_to_one():
    real, fake = relative_scores(REAL, FAKE, "paired")
    for index in range(3):
        assert real[index] == REAL[index] - FAKE[index]
        assert fake[index] == FAKE[index] - REAL[index]


def test_average_scores_are_differences_from_the_mean_of_the_others():
    real, fake = relative_scores(REAL, FAKE, "average")
    for index in range(3):
        assert real[index] == pytest.approx(float(REAL[index]) - (0.3 + 1.5 - 2.0) / 3, abs=1e-12)
        assert fake[index] == pytest.approx(float(FAKE[index]) - (2.0 - 1.0 + 0.5) / 3, abs=1e-12)


def test_without_relativity_scores_are_as_they_were():
    real, fake = relative_scores(REAL, FAKE, "none")
    assert real is REAL and fake is FAKE


@pytest.mark.parametrize("relativity", ["paired", "average"])
def test_a_constant_added_to_all_scores_changes_nothing(relativity):
    for before, after in zip(
        relative_scores(REAL, FAKE, relativity), relative_scores(REAL + 7, FAKE + 7, relativity), strict=True
    ):
        torch.testing.assert_close(before, after)


def test_paired_with_the_cross_entropy_is_the_relativistic_standard_gan():
    """-E[log s(D(x_r) - D(x_g))], which both terms come to (the paper, section 4.1)."""
    on_real, on_fake = adversarial.discriminator_terms(*relative_scores(REAL, FAKE, "paired"))
    expected = sum(float(softplus(-(r - f))) for r, f in zip(REAL, FAKE, strict=True)) / 3
    assert float(on_real) == pytest.approx(expected, rel=1e-12)
    assert float(on_fake) == pytest.approx(expected, rel=1e-12)


def test_average_with_least_squares_is_the_papers_ralsgan():
    """E[(D(x_r) - E D(x_g) - 1)²] + E[(D(x_g) - E D(x_r) + 1)²] with targets -1 and 1 (appendix), halved as here."""
    on_real, on_fake = least_squares.discriminator_terms(*relative_scores(REAL, FAKE, "average"), a=-1.0, b=1.0)
    mean_real, mean_fake = float(REAL.mean()), float(FAKE.mean())
    assert float(on_real) == pytest.approx(sum((float(r) - mean_fake - 1) ** 2 for r in REAL) / 6, rel=1e-12)
    assert float(on_fake) == pytest.approx(sum((float(f) - mean_real + 1) ** 2 for f in FAKE) / 6, rel=1e-12)


@pytest.mark.parametrize("relativity", ["paired", "average"])
def test_a_critics_loss_is_relative_already(relativity):
    """Its two terms come to twice the plain ones together: -(E D(x_r) - E D(x_g)) each."""
    on_real, on_fake = wasserstein.critic_terms(*relative_scores(REAL, FAKE, relativity))
    estimate = wasserstein.distance_estimate(REAL, FAKE)
    assert float(on_real) == pytest.approx(-float(estimate)) and float(on_fake) == pytest.approx(-float(estimate))
