"""How a loss follows the quality of samples: against numbers worked out by hand."""

import math

import numpy as np
import pytest

from ganlab.claims.lab import Lab
from ganlab.claims.wasserstein_follows_quality import (
    Followed,
    followed_in,
    investigate,
    means_since_last,
    rank_correlation,
)


def test_means_are_over_what_was_logged_since_the_last_evaluation():
    values = np.array([[1.0, 3.0, 5.0, 9.0], [0.0, 2.0, 4.0, 4.0]])
    assert means_since_last([10, 20, 30, 40], values, [20, 40]).tolist() == [[2, 7], [1, 4]]
    # What comes after the last evaluation is of none.
    assert means_since_last([10, 20, 30, 40], values, [10, 30]).tolist() == [[1, 4], [0, 3]]


def test_rank_correlation_knows_order_alone():
    assert rank_correlation(np.array([1.0, 2, 3, 4]), np.array([1.0, 10, 100, 1e6])) == pytest.approx(1)
    assert rank_correlation(np.array([1.0, 2, 3, 4]), np.array([4.0, 3, 2, 1])) == pytest.approx(-1)
    # 1 - 6 Σd² / (n(n² - 1)) with d = 0, 1, -1, 0.
    assert rank_correlation(np.array([1.0, 2, 3, 4]), np.array([1.0, 3, 2, 4])) == pytest.approx(0.8)
    assert math.isnan(rank_correlation(np.array([1.0, 2, 3]), np.ones(3)))


def test_improvement_is_the_last_over_the_first():
    assert Followed([1, 2], np.ones((2, 2)), np.array([[4.0, 1.0], [2.0, 2.0]])).improvement == [0.25, 1.0]


def test_from_its_peak_on_a_loss_is_followed_without_what_came_before():
    followed = Followed([1, 2, 3, 4], np.array([[0.0, 9.0, 5.0, 1.0]]), np.array([[40.0, 30.0, 20.0, 10.0]]))
    assert followed.correlations_from_peak == pytest.approx([1])
    assert followed.correlations[0] < 0.5


def test_a_loss_is_read_beside_the_score_of_each_run(tmp_path):
    lines = "iteration,loss/generator,metric/w1\n10,1.0,\n20,2.0,0.5\n30,4.0,\n40,6.0,0.25\n"
    for run in ("a", "b"):
        (tmp_path / run).mkdir()
        (tmp_path / run / "metrics.csv").write_text(lines)
    followed = followed_in([tmp_path / "a", tmp_path / "b"], "loss/generator", "metric/w1")
    assert followed.iterations == [20, 40]
    assert followed.loss.tolist() == [[1.5, 5.0]] * 2 and followed.quality.tolist() == [[0.5, 0.25]] * 2
    assert followed.correlations == pytest.approx([-1, -1])


@pytest.mark.slow
@pytest.mark.long
def test_in_a_short_run_the_estimate_follows_and_samples_get_better(tmp_path):
    # Of the GAN's loss a short run says nothing: at the very start it falls with the distance.
    numbers = investigate(Lab("wasserstein_follows_quality", tmp_path, (0,), 0.4, 2)).numbers
    assert numbers["rank_correlation"]["ring_wgan_gp"][0] > 0.3
    # A critic of images has to learn first; in a short run that is much of it.
    assert numbers["rank_correlation_from_peak"]["digits_wgan_gp"][0] > 0.3
    assert all(run[0] < 1 for run in numbers["last_over_first"].values())
