"""How a discriminator's run is summed up, and that a short one goes the claimed way."""

import numpy as np
import pytest

from ganlab.claims.known_densities import square
from ganlab.claims.optimal_discriminator import followed, late_means, smoothed


def test_late_means_are_of_the_last_quarter():
    assert late_means(np.array([[9.0] * 6 + [1.0, 3.0], [0.0] * 8])) == [2.0, 0.0]
    assert late_means(np.array([[5.0, 1.0]])) == [1.0]


def test_smoothed_is_a_running_mean():
    assert smoothed(np.arange(7.0)).tolist() == [2.0, 3.0, 4.0]
    assert smoothed(np.arange(3.0)).tolist() == [0.0, 1.0, 2.0]


def test_a_discriminator_gets_nearer_to_the_closed_form():
    found = followed(0, 60, square())
    assert found.updates[0] == 0 and found.updates[-1] == 60
    assert len(found.updates) == len(found.errors)
    assert found.errors[-1] < 0.5 * found.errors[0]
    assert 0 < found.excess < 0.1


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_quick_look_shows_the_direction(quick_look, tmp_path):
    report = quick_look("optimal_discriminator", 0.3)
    errors = report["numbers"]["errors"][0]
    assert errors[-1] < 0.06 < 0.1 < errors[0]
    for tag, (value,) in report["numbers"]["late_means"].items():
        assert value == pytest.approx(0.693 if "loss" in tag else 0.5, abs=0.2)
    assert (tmp_path / "figure.png").stat().st_size > 10_000
