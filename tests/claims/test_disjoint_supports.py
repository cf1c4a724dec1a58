"""What is measured between the segments, against closed forms."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from ganlab.claims.disjoint_supports import (
    ASSIGNED,
    DISTANCES,
    assigned,
    checks_of,
    jensen_shannon,
    measured,
    slope,
)
from ganlab.claims.segments import Segment, real_segment
from ganlab.models.base import derived_seed

FAR = np.abs(DISTANCES)
SIGNS = np.sign(DISTANCES)


def test_the_best_scores_give_the_jensen_shannon_divergence():
    """Of two distributions over three values, by scipy; the counts make the weights."""
    p, q = np.array([6, 3, 1]), np.array([2, 2, 6])
    logits = torch.log(torch.tensor(p / q))
    estimate = jensen_shannon(logits.repeat_interleave(torch.tensor(p)), logits.repeat_interleave(torch.tensor(q)))
    assert estimate == pytest.approx(jensenshannon(p, q) ** 2, rel=1e-9)


@pytest.mark.parametrize("distance", [0.0, 1.0])
def test_the_assignment_is_the_exact_distance(distance):
    """The best assignment is by order of height, at any distance: the cost is convex in the difference of heights."""
    random = torch.Generator().manual_seed(derived_seed("assigned", 4))
    real, fake = (real_segment(ASSIGNED, random)[:, 1].double().numpy() for _ in range(2))
    expected = np.hypot(distance, np.sort(real) - np.sort(fake)).mean()
    assert assigned(distance, 4) == pytest.approx(expected, rel=1e-6)
    if distance == 0:
        assert assigned(distance, 4) == pytest.approx(wasserstein_distance(real, fake), rel=1e-6)


def test_slope_is_that_of_a_line_through_the_origin():
    assert slope(0.3 * FAR) == pytest.approx(0.3)
    noisy = 0.3 * FAR + np.array([0.1, -0.1, 0, 0.2, -0.1])
    assert slope(noisy) == pytest.approx(np.linalg.lstsq(FAR[:, None], noisy, rcond=None)[0][0])


def judged(judge, score, distance=0.5):
    """What is measured where a score is known: of points at x, whatever their height."""
    model = SimpleNamespace(
        discriminator=lambda samples, condition: score(samples[:, 0]),
        generator=Segment(distance),
        latents=lambda count, random: torch.rand(count, 1, generator=random) * 2 - 1,
    )
    return measured(judge, model, 0)


def test_a_linear_critic_says_its_slope_times_the_distance_and_pulls_by_its_slope():
    found = judged("penalised", lambda x: -3 * x)
    assert found["penalised"] == pytest.approx(1.5)
    assert found["penalised_gradient"] == pytest.approx(3)


def test_the_gradients_of_both_losses_are_those_of_the_logistic_function():
    """Of the logit k(1/4 - x), at θ = 1/2: k s(D) and k (1 - s(D)), which point to the data."""
    found = judged("discriminator", lambda x: 8 * (0.25 - x))
    rejected = 1 / (1 + np.exp(2))
    assert found["minimax_gradient"] == pytest.approx(8 * rejected, rel=1e-5)
    assert found["non_saturating_gradient"] == pytest.approx(8 * (1 - rejected), rel=1e-5)
    assert found["jensen_shannon"] == pytest.approx(np.log(2) - np.log1p(np.exp(-2)), rel=1e-5)


def perfect():
    flat = [0.0 if distance == 0 else np.log(2) - 1e-6 for distance in DISTANCES]
    return {
        "assignment": [list(FAR)],
        "jensen_shannon": [flat],
        "penalised": [list(FAR * (1 + FAR / 20))],
        "penalised_gradient": [list(SIGNS * (1 + FAR / 20))],
        "clipped": [list(0.02 * FAR)],
        "minimax_gradient": [[0.0] * len(DISTANCES)],
    }


def test_the_checks_hold_for_what_the_claim_says():
    assert all(check.holds for check in checks_of(perfect()))


@pytest.mark.parametrize(
    ("name", "values", "wrong"),
    [
        ("jensen_shannon", FAR * np.log(2), "least JS"),
        ("jensen_shannon", [0.69] * 5, "JS at θ = 0"),
        ("penalised", [1.0] * 5, "error of its W1"),
        ("clipped", [0.02] * 2 + [0.0] + [0.02] * 2, "correlation"),
        ("minimax_gradient", SIGNS, "log(1 - s(D))"),
        ("penalised_gradient", FAR, "farthest from 1"),
    ],
)
def test_a_check_fails_where_the_claim_does_not_hold(name, values, wrong):
    found = perfect() | {name: [list(values)]}
    failed = [check.what for check in checks_of(found) if not check.holds]
    assert len(failed) == 1
    assert wrong in failed[0]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_quick_look_shows_the_direction(quick_look, tmp_path):
    found = quick_look("disjoint_supports", 0.7)["numbers"]
    entropy, critic = found["jensen_shannon"][0], found["penalised"][0]
    assert min(entropy[0], entropy[-1]) > 0.6 > 0.05 > abs(entropy[2])
    assert critic == pytest.approx(list(FAR), abs=0.2)
    assert (tmp_path / "figure.png").stat().st_size > 10_000
