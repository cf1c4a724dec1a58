"""Integrals over known densities, against scipy and against samples."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from ganlab.claims.known_densities import (
    GENERATED_MODES,
    GENERATED_STD,
    REACH,
    GaussianModes,
    density,
    excess,
    mass_levels,
    mean_error,
    square,
)


def test_density_is_scipys():
    points = torch.randn(50, 2, generator=torch.Generator().manual_seed(0)).double() * 2
    expected = np.mean(
        [multivariate_normal(mode, GENERATED_STD**2).pdf(points) for mode in GENERATED_MODES.double().numpy()], axis=0
    )
    np.testing.assert_allclose(density(points, GENERATED_MODES, GENERATED_STD), expected, rtol=1e-6)


def test_the_square_holds_all_mass_and_samples_follow_the_density():
    on = square()
    for values in (on.real, on.generated):
        assert float(values.sum() * on.area) == pytest.approx(1, abs=1e-4)
    latents = torch.randn(200_000, 3, generator=torch.Generator().manual_seed(0))
    points = GaussianModes(GENERATED_MODES, GENERATED_STD)(latents).detach().double()
    edges = [torch.linspace(-REACH, REACH, 9).double()] * 2
    shares = torch.histogramdd(points, edges).hist / len(points)
    inside = torch.histogramdd(on.points, edges, weight=on.generated * on.area).hist
    assert (shares - inside).abs().max() < 0.012  # a grid's points lie on the edges


def test_the_best_discriminator_has_no_error_and_no_excess():
    on = square()
    assert mean_error(on.optimal, on) == 0
    assert excess(on.optimal.logit(), on) == pytest.approx(0, abs=1e-12)


def test_errors_of_a_discriminator_that_says_one_half():
    """The mean distance is a quarter of ∫|p - q|; the excess is log 4 less the least loss: 2 JS."""
    on = square()
    assert mean_error(torch.full_like(on.real, 0.5), on) == pytest.approx(
        float(((on.real - on.generated).abs() * on.area).sum()) / 4, rel=1e-9
    )
    middle = (on.real + on.generated) / 2
    js = ((on.real * (on.real / middle).log() + on.generated * (on.generated / middle).log()) * on.area).sum() / 2
    assert excess(torch.zeros_like(on.real), on) == pytest.approx(2 * float(js), abs=2e-4)


def test_levels_bound_their_shares_of_the_mass():
    on = square()
    mixed = (on.real + on.generated) / 2
    for level, share in zip(mass_levels(mixed, on.area), (0.99, 0.5), strict=True):
        assert float(mixed[mixed >= level].sum() * on.area) == pytest.approx(share, abs=0.002)
