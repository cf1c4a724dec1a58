"""Against the formulas written out with numpy and scipy, in float64."""

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm

from ganlab.objectives.adversarial import (
    discriminator_terms,
    hinge_discriminator_terms,
    hinge_generator_loss,
    minimax_generator_loss,
    non_saturating_generator_loss,
)

SCORES = np.linspace(-9, 14, 41)
LOSSES = {
    "real": lambda scores: discriminator_terms(scores, scores)[0],
    "fake": lambda scores: discriminator_terms(scores, scores)[1],
    "minimax": minimax_generator_loss,
    "non_saturating": non_saturating_generator_loss,
}
FORMULAS = {
    "real": lambda scores: -np.mean(np.log(expit(scores))),
    "fake": lambda scores: -np.mean(np.log(1 - expit(scores))),
    "minimax": lambda scores: np.mean(np.log(1 - expit(scores))),
    "non_saturating": lambda scores: -np.mean(np.log(expit(scores))),
}


def value(name, scores):
    return float(LOSSES[name](torch.as_tensor(scores, dtype=torch.float64)))


def gradient(name, scores):
    scores = torch.as_tensor(scores, dtype=torch.float64).requires_grad_()
    return torch.autograd.grad(LOSSES[name](scores), scores)[0].numpy()


@pytest.mark.parametrize("name", LOSSES)
def test_each_loss_is_the_papers_formula(name):
    assert value(name, SCORES) == pytest.approx(FORMULAS[name](SCORES), rel=1e-7)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_by_finite_differences(name):
    scores, step = np.array([-3.0, -0.4, 0.0, 1.3, 2.5]), 1e-5
    numeric = [
        (FORMULAS[name](scores + step * unit) - FORMULAS[name](scores - step * unit)) / (2 * step)
        for unit in np.eye(len(scores))
    ]
    np.testing.assert_allclose(gradient(name, scores), numeric, atol=1e-8)


@pytest.mark.parametrize("smoothing", [0.1, 0.35])
def test_one_sided_smoothing_moves_the_target_of_real_samples_alone(smoothing):
    scores = torch.as_tensor(SCORES).requires_grad_()
    on_real, on_fake = discriminator_terms(scores, scores, smoothing)
    probability = expit(SCORES)
    formula = -np.mean((1 - smoothing) * np.log(probability) + smoothing * np.log(1 - probability))
    assert float(on_real.detach()) == pytest.approx(formula, rel=1e-7)
    assert float(on_fake.detach()) == pytest.approx(FORMULAS["fake"](SCORES), rel=1e-7)
    (gradient_of_real,) = torch.autograd.grad(on_real, scores)
    np.testing.assert_allclose(gradient_of_real, (probability - (1 - smoothing)) / len(SCORES), atol=1e-12)


def best_scores(p_real, p_fake, label_smoothing=0.0):
    """The scores at each point of a finite set that minimise the discriminator's loss, and that loss."""
    scores = torch.zeros(len(p_real), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([scores], max_iter=500, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        total = 0.0
        for i in range(len(p_real)):
            on_real, on_fake = discriminator_terms(scores[i : i + 1], scores[i : i + 1], label_smoothing)
            total = total + p_real[i] * on_real + p_fake[i] * on_fake
        total.backward()
        return total

    optimizer.step(loss)
    return scores.detach(), float(loss().detach())


@pytest.mark.parametrize("seed", range(4))
def test_for_discrete_distributions_the_best_discriminator_is_the_papers(seed):
    """D* = p_r / (p_r + p_g) (proposition 1), and C(G) = 2 JS(p_r, p_g) - log 4 (theorem 1)."""
    random = np.random.default_rng(seed)
    p_real, p_fake = random.dirichlet(np.ones(6), size=2)
    scores, loss = best_scores(torch.as_tensor(p_real), torch.as_tensor(p_fake))
    np.testing.assert_allclose(expit(scores.numpy()), p_real / (p_real + p_fake), atol=1e-4)
    middle = (p_real + p_fake) / 2
    shannon = (np.sum(p_real * np.log(p_real / middle)) + np.sum(p_fake * np.log(p_fake / middle))) / 2
    assert -loss == pytest.approx(2 * shannon - np.log(4), abs=1e-8)
    assert -loss > -np.log(4) + 1e-3


def test_where_the_generator_is_perfect_the_value_is_minus_log_4():
    p_real = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)
    scores, loss = best_scores(p_real, p_real)
    assert scores.abs().max() < 1e-6 and -loss == pytest.approx(-np.log(4), abs=1e-12)


def test_the_best_discriminator_under_smoothing_is_lower_by_its_share():
    """s(D) = (1 - ε) p_r / (p_r + p_g) (Salimans et al. 2016, section 3.4)."""
    p_real, p_fake = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.3, 0.6]], dtype=torch.float64)
    scores, _ = best_scores(p_real, p_fake, label_smoothing=0.1)
    torch.testing.assert_close(scores.sigmoid(), 0.9 * p_real / (p_real + p_fake), rtol=1e-4, atol=1e-5)


def test_each_part_sees_its_own_scores():
    real, fake = torch.tensor([1.0, 2.0]), torch.tensor([-3.0, 0.5, 4.0])
    on_real, on_fake = discriminator_terms(real, fake)
    assert float(on_real) == pytest.approx(FORMULAS["real"](real.numpy()), rel=1e-5)
    assert float(on_fake) == pytest.approx(FORMULAS["fake"](fake.numpy()), rel=1e-5)
    assert on_real.shape == on_fake.shape == ()


def test_a_discriminator_that_cannot_tell_loses_log_2_on_each_side():
    zeros = np.zeros(7)
    assert value("real", zeros) == value("fake", zeros) == pytest.approx(np.log(2), abs=1e-15)
    assert value("real", zeros) + value("fake", zeros) == pytest.approx(np.log(4), abs=1e-15)
    assert value("non_saturating", zeros) == -value("minimax", zeros) == pytest.approx(np.log(2), abs=1e-15)


def against(real, generated, score):
    """The discriminator's loss for two densities on a line, by numerical integration of the code's own terms."""

    def at(x):
        on_real, on_fake = discriminator_terms(*(torch.tensor([score(x)], dtype=torch.float64),) * 2)
        return real.pdf(x) * float(on_real) + generated.pdf(x) * float(on_fake)

    return quad(at, -12, 12, limit=200)[0]


def jensen_shannon(real, generated):
    def at(x):
        p, q = real.pdf(x), generated.pdf(x)
        half = (p + q) / 2
        return 0.5 * (p * np.log(p / half) + q * np.log(q / half)) if p > 1e-300 and q > 1e-300 else 0.0

    return quad(at, -12, 12, limit=200)[0]


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (1.5, 1.0), (-1.0, 1.6)])
def test_the_best_discriminator_reaches_the_jensen_shannon_divergence(mean, std):
    real, generated = norm(0, 1), norm(mean, std)

    def best(x):
        return real.logpdf(x) - generated.logpdf(x)

    criterion = -against(real, generated, best)
    assert criterion == pytest.approx(-np.log(4) + 2 * jensen_shannon(real, generated), abs=1e-6)
    for shift in (-0.3, 0.3):
        assert -against(real, generated, lambda x, shift=shift: best(x) + shift) < criterion - 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", LOSSES)
def test_huge_scores_do_not_overflow(name, dtype):
    for score in (-1e4, 1e4):
        scores = torch.full((3,), score, dtype=dtype, requires_grad=True)
        loss = LOSSES[name](scores)
        loss.backward()
        slope = {"real": -1.0, "fake": 1.0, "minimax": -1.0, "non_saturating": -1.0}[name]
        rising = name in ("fake", "minimax")
        steep = (score > 0) == rising
        assert loss.item() == pytest.approx((slope * score) if steep else 0.0, rel=1e-2)
        assert float(scores.grad.sum()) == pytest.approx(slope if steep else 0.0, abs=1e-2)


def test_where_the_discriminator_is_sure_only_the_minimax_loss_saturates():
    rejected, fooled = np.full(1, -20.0), np.full(1, 20.0)
    assert abs(gradient("minimax", rejected)[0]) == pytest.approx(expit(-20.0), rel=1e-6)
    assert gradient("non_saturating", rejected)[0] == pytest.approx(-1.0, abs=1e-8)
    assert abs(gradient("non_saturating", fooled)[0]) < 1e-8
    equal = np.zeros(1)
    assert gradient("minimax", equal)[0] == gradient("non_saturating", equal)[0] == -0.5


def test_hinge_is_the_distance_to_the_margin_and_pulls_only_inside_it():
    real = torch.tensor([-2.0, 0.25, 1.5], dtype=torch.float64, requires_grad=True)
    fake = torch.tensor([-3.0, -0.5, 0.75, 2.0], dtype=torch.float64, requires_grad=True)
    on_real, on_fake = hinge_discriminator_terms(real, fake)
    assert (on_real.item(), on_fake.item()) == pytest.approx(((3 + 0.75) / 3, (0.5 + 1.75 + 3) / 4), rel=1e-12)
    (on_real + on_fake).backward()
    np.testing.assert_allclose(real.grad, np.array([-1, -1, 0]) / 3)
    np.testing.assert_allclose(fake.grad, np.array([0, 1, 1, 1]) / 4)
    fake.grad = None
    loss = hinge_generator_loss(fake)
    loss.backward()
    assert loss.item() == pytest.approx(0.75 / 4, rel=1e-12)
    np.testing.assert_allclose(fake.grad, np.full(4, -0.25))


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (1.5, 1.0), (-1.0, 1.6)])
def test_the_best_hinge_discriminator_is_the_sign_and_reaches_two_minus_the_total_variation(mean, std):
    """Lim & Ye 2017: min_D = 2 ∫ min(p, q), with D = 1 where p > q and -1 elsewhere."""
    real, generated, line = norm(0, 1), norm(mean, std), np.linspace(-12, 12, 24001)
    p, q = real.pdf(line), generated.pdf(line)

    def criterion(scores):
        scores = torch.as_tensor(scores, dtype=torch.float64)
        terms = [hinge_discriminator_terms(score[None], score[None]) for score in scores[::20]]
        parts = p[::20] * [float(a) for a, _ in terms] + q[::20] * [float(b) for _, b in terms]
        return np.sum(parts) * (line[20] - line[0])

    best = np.where(p > q, 1.0, -1.0)
    assert criterion(best) == pytest.approx(2 * np.sum(np.minimum(p, q)) * (line[1] - line[0]), abs=1e-3)
    if mean:
        for other in (best * 0.7, best * 1.3, np.tanh(np.log(p / q))):
            assert criterion(other) > criterion(best) + 1e-3
