"""Against numerical suprema, integrals and derivatives that know only f, or only the divergence's own formula."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from ganlab.objectives.f_divergences import (
    DIVERGENCES,
    discriminator_terms,
    lower_bound,
    minimax_generator_loss,
    non_saturating_generator_loss,
)

FORMULAS = {
    "kl": lambda p, q: p * np.log(p / q),
    "reverse_kl": lambda p, q: q * np.log(q / p),
    "pearson": lambda p, q: (p - q) ** 2 / q,
    "neyman": lambda p, q: (p - q) ** 2 / p,
    "squared_hellinger": lambda p, q: (np.sqrt(p) - np.sqrt(q)) ** 2,
    "jensen_shannon": lambda p, q: p * np.log(2 * p / (p + q)) + q * np.log(2 * q / (p + q)),
    "gan": lambda p, q: p * np.log(p / (p + q)) + q * np.log(q / (p + q)),
    "total_variation": lambda p, q: np.abs(p - q) / 2,
}
"""Each divergence as an integrand of the two densities, without any f."""
DOMAINS = {
    "kl": (-np.inf, np.inf),
    "reverse_kl": (-np.inf, 0),
    "pearson": (-np.inf, np.inf),
    "neyman": (-np.inf, 1),
    "squared_hellinger": (-np.inf, 1),
    "jensen_shannon": (-np.inf, np.log(2)),
    "gan": (-np.inf, 0),
    "total_variation": (-0.5, 0.5),
}
"""Where the supremum of ut - f(u) over u > 0 is finite (table 6)."""
RATIOS = np.geomspace(1e-3, 1e3, 61)
X = np.linspace(-9, 9, 20001)
P, Q = norm(0, 1).pdf(X), norm(0.7, 1.25).pdf(X)

everyone = pytest.mark.parametrize("name", DIVERGENCES)


def of(function, values):
    """An elementwise function of tensors on numbers of numpy's, in float64."""
    return function(torch.as_tensor(values, dtype=torch.float64)).numpy()


def slope(function, values):
    leaf = torch.as_tensor(values, dtype=torch.float64).requires_grad_()
    return torch.autograd.grad(function(leaf).sum(), leaf)[0].numpy()


def score_of(name, t):
    """The V with g_f(V) = t, by bisection of the activation itself."""
    low, high = np.full(np.shape(t), -60.0), np.full(np.shape(t), 60.0)
    if name in ("kl", "pearson"):  # unbounded both ways: 60 would not do for a large ratio
        low, high = low * 1e4, high * 1e4
    for _ in range(100):
        middle = (low + high) / 2
        below = of(DIVERGENCES[name].activation, middle) < t
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2


def expected(densities, values):
    return np.trapezoid(densities * values, X)


def test_all_of_the_papers_table_is_there():
    assert set(DIVERGENCES) == set(FORMULAS)


@everyone
def test_f_is_convex_and_gives_the_divergences_own_formula(name):
    f = DIVERGENCES[name].generator
    np.testing.assert_allclose(of(f, RATIOS), FORMULAS[name](RATIOS, np.ones_like(RATIOS)), rtol=1e-9, atol=1e-12)
    pairs = np.array([(a, b) for a in RATIOS for b in RATIOS if a < b])
    between, mean = of(f, pairs.mean(1)), of(f, pairs).mean(1)
    assert (between <= mean + 1e-9 * (1 + abs(mean))).all()
    if name != "total_variation":
        assert (between < mean).all()
    at_equality = -np.log(4) if name == "gan" else 0.0
    assert of(f, [1.0]) == pytest.approx(at_equality, abs=1e-15)


@everyone
def test_the_conjugate_is_the_numerical_supremum(name):
    """Over u > 0; below t = -2 the paper's conjugate of Pearson is the supremum over all real u."""
    f, low, high = DIVERGENCES[name].generator, *DOMAINS[name]
    points = np.linspace(max(low, -1.99 if name == "pearson" else -4.0) + 1e-3, min(high, 3.0) - 1e-2, 25)

    def supremum(t):
        def at(exponent):
            u = np.exp(exponent)
            return float(of(f, [u])[0]) - u * t

        grid = np.linspace(-14, 14, 281)
        best = grid[np.argmin([at(exponent) for exponent in grid])]
        return -minimize_scalar(at, bounds=(best - 0.1, best + 0.1), method="bounded", options={"xatol": 1e-10}).fun

    np.testing.assert_allclose(
        of(DIVERGENCES[name].conjugate, points), [supremum(t) for t in points], rtol=1e-5, atol=2e-6
    )


def test_pearsons_conjugate_over_all_real_numbers():
    u = torch.linspace(-30, 30, 60001, dtype=torch.float64)
    for t in (-9.0, -2.5, 0.3, 4.0):
        assert float(DIVERGENCES["pearson"].conjugate(torch.tensor(t))) == pytest.approx(
            float((u * t - DIVERGENCES["pearson"].generator(u)).max()), abs=1e-6
        )


@everyone
def test_the_activation_increases_and_covers_the_domain_of_the_conjugate(name):
    scores = np.linspace(-12, 12, 241)
    values, (low, high) = of(DIVERGENCES[name].activation, scores), DOMAINS[name]
    assert (np.diff(values) > 0).all()
    assert (values > low).all() and (values < high).all()
    if np.isfinite(high):
        assert values[-1] == pytest.approx(high, abs=1e-4)
    else:
        assert values[-1] > 10
    assert values[0] == pytest.approx(low, abs=1e-4) if np.isfinite(low) else values[0] < -10


@everyone
def test_the_conjugate_of_the_activation_is_the_one_after_the_other(name):
    divergence, scores = DIVERGENCES[name], np.linspace(-6, 6, 49)
    apart = lambda v: divergence.conjugate(divergence.activation(v))  # noqa: E731
    np.testing.assert_allclose(of(divergence.conjugate_of_activation, scores), of(apart, scores), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        slope(divergence.conjugate_of_activation, scores), slope(apart, scores), rtol=1e-8, atol=1e-12
    )


def bound(name, scores, p=P, q=Q):
    """E_P[g_f(V)] - E_Q[f*(g_f(V))] by integration, of the two terms that training uses."""
    divergence = DIVERGENCES[name]
    real = torch.as_tensor(scores, dtype=torch.float64)
    on_real = np.array([-float(discriminator_terms(divergence, v, v)[0]) for v in real[::20]])
    on_fake = np.array([float(discriminator_terms(divergence, v, v)[1]) for v in real[::20]])
    return np.trapezoid(p[::20] * on_real - q[::20] * on_fake, X[::20])


@everyone
def test_the_best_score_reaches_the_divergence_and_every_other_stays_below(name):
    truth = np.trapezoid(FORMULAS[name](P, Q), X)
    optimal = slope(DIVERGENCES[name].generator, P / Q)  # T* = f'(p/q)
    if name == "total_variation":  # ±1/2, the edges of the open interval
        optimal = optimal * (1 - 1e-9)
    best = score_of(name, optimal)
    reached = bound(name, best)
    assert reached == pytest.approx(truth, abs=2e-5)
    random = np.random.default_rng(0)
    # Total variation's best score is infinite, and far out nothing changes any more.
    near = np.clip(best, -1, 1) if name == "total_variation" else best
    for wave in random.normal(size=(6, 3)):
        other = near + 0.4 * (wave[0] * np.sin(X) + wave[1] * np.cos(2 * X) + wave[2])
        assert bound(name, other) < reached - 1e-4
    assert bound(name, np.full_like(X, DIVERGENCES[name].boundary)) < reached


@everyone
def test_equal_distributions_have_no_divergence_and_the_boundary_is_their_score(name):
    divergence = DIVERGENCES[name]
    scores = torch.full((5,), divergence.boundary, dtype=torch.float64)
    at_equality = -np.log(4) if name == "gan" else 0.0
    assert float(lower_bound(divergence, scores, scores)) == pytest.approx(at_equality, abs=1e-12)
    # f'(1), between the slopes on either side where f has a kink.
    below, above = slope(divergence.generator, [1 - 1e-7, 1 + 1e-7])
    value = float(divergence.activation(torch.tensor(divergence.boundary, dtype=torch.float64)))
    assert below - 1e-6 <= value <= above + 1e-6
    # Any other constant is worse: nothing is gained where nothing differs.
    for shift in (-0.5, 0.5):
        assert float(lower_bound(divergence, scores + shift, scores + shift)) <= at_equality


def test_gans_bound_is_the_gan_objective():
    """Equation 1 of Goodfellow et al., with probabilities: E_P[log D] + E_Q[log(1 - D)], at any D."""
    random = np.random.default_rng(1)
    real, fake = random.normal(size=50), random.normal(size=70)
    objective = np.log(1 / (1 + np.exp(-real))).mean() + np.log(1 - 1 / (1 + np.exp(-fake))).mean()
    value = lower_bound(DIVERGENCES["gan"], torch.as_tensor(real), torch.as_tensor(fake))
    assert float(value) == pytest.approx(objective, rel=1e-12)
    js = np.trapezoid(FORMULAS["jensen_shannon"](P, Q), X) / 2
    assert bound("gan", np.log(P / Q)) == pytest.approx(2 * js - np.log(4), abs=2e-5)


@everyone
def test_each_players_terms_are_means_of_its_own_scores(name):
    divergence = DIVERGENCES[name]
    real, fake = torch.tensor([1.0, 2.0]).double(), torch.tensor([-1.0, 0.5, 2.0]).double()
    activated, conjugated = divergence.activation, divergence.conjugate
    on_real, on_fake = discriminator_terms(divergence, real, fake)
    t = [float(activated(v)) for v in fake]
    assert float(on_real) == pytest.approx(-np.mean([float(activated(v)) for v in real]), rel=1e-9)
    stars = [float(conjugated(torch.tensor(value, dtype=torch.float64))) for value in t]
    assert float(on_fake) == pytest.approx(np.mean(stars), rel=1e-9)
    assert float(minimax_generator_loss(divergence, fake)) == pytest.approx(-np.mean(stars), rel=1e-9)
    assert float(non_saturating_generator_loss(divergence, fake)) == pytest.approx(-np.mean(t), rel=1e-9)
    assert float(lower_bound(divergence, real, fake)) == pytest.approx(-float(on_real + on_fake), rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@everyone
def test_scores_of_a_sure_discriminator_give_finite_losses_and_gradients(name, dtype):
    """High on real and low on generated samples. Where it is as sure and wrong, the
    exponentials of KL, Hellinger, … are large because the divergence is."""
    real, fake = (torch.full((3,), score, dtype=dtype, requires_grad=True) for score in (80.0, -80.0))
    loss = sum(discriminator_terms(DIVERGENCES[name], real, fake))
    gradients = torch.autograd.grad(loss, [real, fake])
    assert bool(loss.isfinite()) and all(bool(gradient.isfinite().all()) for gradient in gradients)


@pytest.mark.parametrize(
    ("name", "expected", "rising"),
    [("gan", 400.0, 1.0), ("jensen_shannon", 400 - np.log(2), 1.0), ("reverse_kl", 399.0, 1.0), ("neyman", 2.0, 0.0)],
)
def test_where_the_activation_rounds_to_the_edge_of_its_domain_the_conjugate_is_still_exact(name, expected, rising):
    scores = torch.full((2,), 400.0, requires_grad=True)
    _, on_fake = discriminator_terms(DIVERGENCES[name], scores, scores)
    on_fake.backward()
    assert on_fake.item() == pytest.approx(expected, rel=1e-6)
    assert float(scores.grad.sum()) == pytest.approx(rising, abs=1e-6)


@pytest.mark.parametrize("name", ["gan", "jensen_shannon", "total_variation"])
def test_the_bounded_divergences_never_overflow(name):
    for score in (-1e4, 1e4):
        scores = torch.full((2,), score, requires_grad=True)
        loss = sum(discriminator_terms(DIVERGENCES[name], scores, scores))
        assert bool(loss.isfinite()) and bool(torch.autograd.grad(loss, scores)[0].isfinite().all())
