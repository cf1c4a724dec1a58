"""The exact gradient under noise, against another way to it; and that noise brings the generator to the data."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from ganlab.claims.instance_noise import exact_pull, noisy_jensen_shannon, pull


@pytest.mark.parametrize(("distance", "std"), [(1.0, 0.5), (0.3, 1.0), (-2.0, 0.7)])
def test_the_divergence_is_the_entropy_of_the_mixture_less_that_of_its_parts(distance, std):
    def mixed(x):
        return (norm(0, std).pdf(x) + norm(distance, std).pdf(x)) / 2

    lowest, highest = min(0, distance) - 12 * std, max(0, distance) + 12 * std
    entropy, _ = quad(lambda x: -mixed(x) * math.log(mixed(x)), lowest, highest, limit=200)
    expected = entropy - 0.5 * math.log(2 * math.pi * math.e * std**2)
    assert noisy_jensen_shannon(distance, std) == pytest.approx(expected, abs=1e-7)


def test_without_noise_it_is_log_2_and_pulls_nowhere():
    assert noisy_jensen_shannon(0.3, 0.0) == math.log(2)
    assert noisy_jensen_shannon(0.0, 0.0) == 0
    assert exact_pull(0.0) == 0


def test_the_exact_gradient_is_that_of_the_loss_under_the_best_discriminator():
    """d/dθ E[log(1 - D*(θ + σε))] with D* held: an integral of D*'s own slope."""
    std, x = 0.5, np.linspace(-6, 7, 20001)
    logit = (norm(0, std).logpdf(x) - norm(1, std).logpdf(x))[:, None]
    rejected = np.log1p(np.exp(logit[:, 0]))  # -log(1 - s(logit))
    expected = np.trapezoid(norm(1, std).pdf(x) * -np.gradient(rejected, x), x)
    assert exact_pull(std) == pytest.approx(expected, rel=1e-3)


def test_much_noise_gives_a_gradient_at_once_and_of_the_right_sign():
    assert 0.05 < pull(1.0, 0, 150) < 1.0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_quick_look_shows_the_direction(quick_look, tmp_path):
    found = quick_look("instance_noise", 0.5)["numbers"]
    assert abs(found["measured"][0][0]) < 0.2 * found["measured"][0][3]
    assert found["ends"]["with noise"][0] < 0.5 * found["ends"]["without noise"][0]
    assert (tmp_path / "figure.png").stat().st_size > 10_000
