"""The experiment's samples and its summary; the fits themselves are slow."""

import numpy as np
import pytest
import torch
from scipy.stats import kstest, norm

from ganlab.claims.f_divergences_fit import FINITE, _gaps, _regrets, _worst, drawn_from, fitted
from ganlab.claims.gaussian_fits import NEAR, divergence, optimum
from ganlab.objectives.f_divergences import DIVERGENCES


def test_samples_follow_the_mixture():
    samples = drawn_from(NEAR, 20000, torch.Generator().manual_seed(0))
    assert samples.shape == (20000, 1)
    against = kstest(samples[:, 0], lambda x: 0.65 * norm(2, 0.8).cdf(x) + 0.35 * norm(-0.8, 0.9).cdf(x))
    assert against.pvalue > 0.01


def test_the_best_gaussians_have_no_regret_and_exchanged_ones_do():
    best = {name: optimum(name, NEAR) for name in DIVERGENCES}
    fits = {name: [fit] for name, fit in best.items()}
    assert _regrets(fits) == pytest.approx([0], abs=1e-6)
    exchanged = fits | {"kl": fits["reverse_kl"], "reverse_kl": fits["kl"]}
    gaps = [
        divergence("kl", NEAR, *best["reverse_kl"]) - divergence("kl", NEAR, *best["kl"]),
        divergence("reverse_kl", NEAR, *best["kl"]) - divergence("reverse_kl", NEAR, *best["reverse_kl"]),
    ]
    assert _regrets(exchanged) == pytest.approx([max(gaps)], abs=1e-6)


def test_gaps_are_those_of_the_best_and_one_fit_for_all_has_none():
    best = {name: optimum(name, NEAR) for name in DIVERGENCES}
    kl_alone = {name: [best[name], best["kl"]] for name in DIVERGENCES}
    assert _gaps(kl_alone, best) == pytest.approx([1, 0], abs=1e-9)
    nearer = {name: [tuple(np.add(best["kl"], np.subtract(best[name], best["kl"]) / 4))] for name in DIVERGENCES}
    assert _gaps(nearer, best)[0] < 0.5
    exchanged = {name: [fit] for name, fit in best.items()} | {"kl": [best["pearson"]], "pearson": [best["kl"]]}
    assert _gaps(exchanged, best)[0] < 0


def test_the_worst_distance_is_over_divergences_and_not_neymans():
    best = {name: (1.0, 1.5) for name in DIVERGENCES}
    fits = {name: [(1.0, 1.5), (1.1, 1.5)] for name in DIVERGENCES} | {"kl": [(0.7, 1.9), (1.0, 1.5)]}
    fits["neyman"] = [(9.0, 9.0)] * 2
    assert _worst(fits, best, 0) == pytest.approx([0.3, 0.1])
    assert _worst(fits, best, 1) == pytest.approx([0.4, 0.0])
    assert "neyman" not in FINITE and len(FINITE) == 7


def test_a_short_fit_goes_towards_the_mixture():
    mean, std = fitted("kl", NEAR, 0, 150)
    assert 0.3 < mean < 1.5
    assert 1.2 < std < 2.0


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_quick_look_shows_the_direction(quick_look, tmp_path):
    found = quick_look("f_divergences_fit", 0.5)["numbers"]
    for name in FINITE:
        # tanh saturates, and total variation learns slowly through it.
        most = 0.25 if name == "total_variation" else 0.1
        np.testing.assert_allclose(found["fits"][name][0], found["best"][name], atol=most)
    assert found["fits_far_modes"]["reverse_kl"][0][1] < 1.3 < 2 < found["fits_far_modes"]["kl"][0][1]
    assert (tmp_path / "figure.png").stat().st_size > 10_000
