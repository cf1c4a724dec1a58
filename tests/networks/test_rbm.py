"""The RBM against sums over all of its states, closed forms of Gaussian ones, and numerical integrals."""

import itertools
import math

import pytest
import torch

from ganlab.networks.rbm import RBM

KINDS = list(itertools.product(["bernoulli", "gaussian"], repeat=2))
VISIBLE, HIDDEN = 4, 3


def machine(visible_units="bernoulli", hidden_units="bernoulli", seed=0, scale=1.0):
    """A tiny one, far from its beginning; `scale` is the deviation of all its parameters."""
    torch.manual_seed(seed)
    rbm = RBM(VISIBLE, HIDDEN, visible_units=visible_units, hidden_units=hidden_units).double()
    for parameter in rbm.parameters():
        torch.nn.init.normal_(parameter, 0.0, scale)
    return rbm


def noise_of(seed):
    generator = torch.Generator().manual_seed(seed)

    def noise(like, kind):
        draw = {"uniform": torch.rand, "normal": torch.randn}[kind]
        return draw(like.shape, generator=generator, dtype=like.dtype)

    return noise


def states(units):
    """All 2^units of them: [2^units, units]."""
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=units))).double()


def by_loops(rbm, v, h):
    """E(v, h) of one v and one h, unit by unit."""
    w, b, c = rbm.weight.tolist(), rbm.visible_bias.tolist(), rbm.hidden_bias.tolist()
    v, h = v.tolist(), h.tolist()
    energy = 0.0
    for i in range(VISIBLE):
        energy += 0.5 * (v[i] - b[i]) ** 2 if rbm.visible_units == "gaussian" else -b[i] * v[i]
    for j in range(HIDDEN):
        energy += 0.5 * (h[j] - c[j]) ** 2 if rbm.hidden_units == "gaussian" else -c[j] * h[j]
    for j, i in itertools.product(range(HIDDEN), range(VISIBLE)):
        energy -= h[j] * w[j][i] * v[i]
    return energy


def test_it_begins_as_the_guide_has_it():
    torch.manual_seed(0)
    rbm = RBM(200, 100)
    assert rbm.weight.shape == (100, 200)
    assert abs(rbm.weight.mean()) < 5 * 0.01 / 20_000**0.5
    assert abs(rbm.weight.std() / 0.01 - 1) < 5 / 40_000**0.5
    assert not rbm.visible_bias.any() and not rbm.hidden_bias.any()
    assert {name: tuple(p.shape) for name, p in rbm.named_parameters()} == {
        "weight": (100, 200),
        "visible_bias": (200,),
        "hidden_bias": (100,),
    }


@pytest.mark.parametrize(("visible_units", "hidden_units"), KINDS)
@torch.no_grad()
def test_the_energy_is_the_formula(visible_units, hidden_units):
    rbm = machine(visible_units, hidden_units)
    v, h = torch.randn(5, VISIBLE).double(), torch.randn(5, HIDDEN).double()
    expected = torch.tensor([by_loops(rbm, *pair) for pair in zip(v, h, strict=True)]).double()
    torch.testing.assert_close(rbm.energy(v, h), expected)


@pytest.mark.parametrize("visible_units", ["bernoulli", "gaussian"])
@torch.no_grad()
def test_the_free_energy_sums_over_all_hidden_states(visible_units):
    rbm = machine(visible_units)
    v = torch.rand(5, VISIBLE).double()
    expected = [-math.log(sum(math.exp(-by_loops(rbm, row, h)) for h in states(HIDDEN))) for row in v]
    torch.testing.assert_close(rbm.free_energy(v), torch.tensor(expected).double())


@pytest.mark.parametrize("visible_units", ["bernoulli", "gaussian"])
@torch.no_grad()
def test_the_free_energy_integrates_over_gaussian_hidden_units(visible_units):
    """By the trapezoidal rule on a grid of 61³ points, exact to rounding for what decays like a Gaussian."""
    rbm = machine(visible_units, "gaussian", scale=0.5)
    v = torch.rand(3, VISIBLE).double()
    axis = torch.linspace(-9, 9, 61, dtype=torch.double)
    grid = torch.cartesian_prod(*[axis] * HIDDEN)
    step = (axis[1] - axis[0]).item()
    for row, ours in zip(v, rbm.free_energy(v), strict=True):
        energies = rbm.energy(row.expand(len(grid), -1), grid)
        torch.testing.assert_close(ours, -torch.logsumexp(-energies, 0) - HIDDEN * math.log(step))


@pytest.mark.parametrize(("visible_units", "hidden_units"), KINDS)
@torch.no_grad()
def test_means_and_draws_follow_from_the_energy(visible_units, hidden_units):
    """E[h | v] of each kind from energies alone; mean and variance of 40,000 draws, within five standard errors."""
    rbm, count = machine(visible_units, hidden_units), 40_000
    v, h = states(VISIBLE)[[5]], states(HIDDEN)[[3]]
    for mean, draw, kind, given, size in (
        (rbm.hidden_mean, rbm.sample_hidden, hidden_units, v, HIDDEN),
        (rbm.visible_mean, rbm.sample_visible, visible_units, h, VISIBLE),
    ):

        def energy(own, given=given, size=size):
            return rbm.energy(given, own[None]) if size == HIDDEN else rbm.energy(own[None], given)

        zero, ones = torch.zeros(size).double(), torch.eye(size).double()
        if kind == "bernoulli":
            expected = torch.stack([1 / (1 + (energy(one) - energy(zero)).exp()) for one in ones]).squeeze(1)
            variance = expected * (1 - expected)
        else:
            # Of a quadratic ½(x - m)² + const: its slope at 0, by differences that are exact, is -m.
            expected = torch.stack([(energy(-one) - energy(one)) / 2 for one in ones]).squeeze(1)
            variance = torch.ones(size).double()
        torch.testing.assert_close(mean(given)[0], expected)
        drawn = draw(given.expand(count, -1), noise_of(1))
        assert ((drawn.mean(0) - expected).abs() < 5 * (variance / count).sqrt()).all()
        assert ((drawn.var(0) / variance - 1).abs() < 0.05).all()
        assert (kind == "bernoulli") == bool(((drawn == 0) | (drawn == 1)).all())
        # Units of a kind are independent given the others.
        correlations = torch.corrcoef(drawn.T) - torch.eye(size)
        assert correlations.abs().max() < 5 / count**0.5


def test_draws_need_no_more_noise_than_they_ask_for():
    asked = []

    def noise(like, kind):
        asked.append((tuple(like.shape), kind))
        return torch.zeros_like(like)

    machine("gaussian", "bernoulli").chain(torch.zeros(2, VISIBLE).double(), 2, noise)
    assert asked == [((2, HIDDEN), "uniform"), ((2, VISIBLE), "normal")] * 2


# -- the likelihood and its gradient --------------------------------------------------------------------------------


def log_partition(rbm):
    """log Z: over all states of the Bernoulli units, in closed form over the Gaussian ones."""
    w, b, c = rbm.weight, rbm.visible_bias, rbm.hidden_bias
    tau = math.log(2 * math.pi)
    if (rbm.visible_units, rbm.hidden_units) == ("bernoulli", "bernoulli"):
        energies = [-(v @ b) - h @ c - h @ w @ v for v, h in itertools.product(states(VISIBLE), states(HIDDEN))]
        return torch.logsumexp(-torch.stack(energies), 0)
    if rbm.hidden_units == "bernoulli":
        # Each h has a Gaussian over v, of mean b + Wᵀh.
        logs = [h @ c + (h @ w) @ b + (h @ w).square().sum() / 2 + VISIBLE * tau / 2 for h in states(HIDDEN)]
        return torch.logsumexp(torch.stack(logs), 0)
    if rbm.visible_units == "bernoulli":
        logs = [v @ b + (w @ v) @ c + (w @ v).square().sum() / 2 + HIDDEN * tau / 2 for v in states(VISIBLE)]
        return torch.logsumexp(torch.stack(logs), 0)
    precision = torch.cat(
        [torch.cat([torch.eye(VISIBLE).double(), -w.T], 1), torch.cat([-w, torch.eye(HIDDEN).double()], 1)]
    )
    linear = torch.cat([b, c])
    quadratic = linear @ torch.linalg.solve(precision, linear) - linear @ linear
    return (quadratic - torch.logdet(precision) + (VISIBLE + HIDDEN) * tau) / 2


def gradient(rbm, loss):
    return torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(rbm.parameters()))])


def negative_log_likelihood(rbm, v):
    return rbm.free_energy(v).mean() + log_partition(rbm)


def data(visible_units, count):
    """Unlike what the machine makes by itself: mostly on, or around 1.5."""
    generator = torch.Generator().manual_seed(7)
    if visible_units == "bernoulli":
        return (torch.rand(count, VISIBLE, generator=generator, dtype=torch.double) < 0.85).double()
    return 1.5 + torch.randn(count, VISIBLE, generator=generator, dtype=torch.double)


def test_the_partition_function_is_that_of_the_free_energies():
    rbm = machine()
    torch.testing.assert_close(torch.logsumexp(-rbm.free_energy(states(VISIBLE)), 0), log_partition(rbm))


@pytest.mark.parametrize(("visible_units", "hidden_units"), KINDS)
def test_with_many_steps_the_gradient_is_the_likelihoods(visible_units, hidden_units):
    """Within five standard errors of 5,000 chains, in every parameter; one step alone is far outside."""
    count = 5_000
    rbm = machine(visible_units, hidden_units, scale=0.3 if visible_units == hidden_units == "gaussian" else 1.0)
    v = data(visible_units, count)
    exact = gradient(rbm, negative_log_likelihood(rbm, v))

    def deviations(steps):
        """Of CD's gradient from the exact one, in standard errors of the chains' statistics."""
        ours = gradient(rbm, rbm.contrastive_divergence(v, steps, noise_of(3)))
        end = rbm.chain(v, steps, noise_of(3)).visible
        hidden = rbm.hidden_mean(end).detach()
        statistics = [(hidden[:, :, None] * end[:, None, :]).flatten(1), end, hidden]
        errors = torch.cat([s.std(0) for s in statistics]) / count**0.5
        return ((ours - exact).abs() / errors).max().item()

    assert deviations(500) < 5
    assert deviations(1) > 10


@pytest.mark.parametrize("seed", range(5))
def test_one_step_goes_the_likelihoods_way(seed):
    rbm = machine(seed=seed)
    v = data("bernoulli", 4000)
    exact = gradient(rbm, negative_log_likelihood(rbm, v))
    for last_means in (False, True):
        ours = gradient(rbm, rbm.contrastive_divergence(v, 1, noise_of(seed), last_means=last_means))
        assert torch.cosine_similarity(ours, exact, dim=0) > 0.5, last_means


def test_the_gradient_is_the_difference_of_two_correlations():
    """Hinton's guide, equation 9: ⟨v h⟩ of the data minus that of the chain's end, which is a constant."""
    rbm, v = machine(), data("bernoulli", 50)
    for last_means in (False, True):
        loss = rbm.contrastive_divergence(v, 2, noise_of(0), last_means=last_means)
        assert loss.shape == ()
        end = rbm.chain(v, 2, noise_of(0))
        last = end.visible_mean if last_means else end.visible
        before, after = rbm.hidden_mean(v), rbm.hidden_mean(last)
        expected = [
            -(before.T @ v - after.T @ last) / 50,
            -(v - last).mean(0),
            -(before - after).mean(0),
        ]
        torch.testing.assert_close(gradient(rbm, loss), torch.cat([part.flatten() for part in expected]))


@pytest.mark.parametrize(("visible_units", "hidden_units"), KINDS)
def test_a_chain_goes_up_and_down_in_turn(visible_units, hidden_units):
    rbm, v = machine(visible_units, hidden_units, scale=0.3), data(visible_units, 6)
    noise, last = noise_of(2), v
    for _ in range(3):
        hidden = rbm.sample_hidden(last, noise)
        last = rbm.sample_visible(hidden, noise)
    end = rbm.chain(v, 3, noise_of(2))
    assert torch.equal(end.visible, last) and torch.equal(end.hidden, hidden)
    assert torch.equal(end.visible_mean, rbm.visible_mean(hidden))
    assert not any(part.requires_grad for part in end)
    torch.testing.assert_close(rbm.reconstruct(v), rbm.visible_mean(rbm.hidden_mean(v)))


def test_a_chain_has_a_step_at_least():
    with pytest.raises(ValueError, match="0 steps"):
        machine().chain(torch.zeros(1, VISIBLE).double(), 0, noise_of(0))


@pytest.mark.parametrize("last_means", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_a_short_training_makes_the_likelihood_grow(seed, last_means):
    """Two opposite patterns with some noise: at best about 2.3 nats, and 4 log 2 = 2.77 for machines that know nothing.

    An RBM with its biases alone cannot do better than that, for every unit is on half of the time."""
    generator = torch.Generator().manual_seed(seed)
    patterns = torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]).double()
    v = patterns[torch.randint(2, (200,), generator=generator)]
    v = torch.where(torch.rand(v.shape, generator=generator) < 0.05, 1 - v, v)
    torch.manual_seed(seed)
    rbm = RBM(VISIBLE, HIDDEN).double()
    before = negative_log_likelihood(rbm, v).item()
    assert abs(before - 4 * math.log(2)) < 0.02
    optimizer, noise = torch.optim.SGD(rbm.parameters(), lr=0.2, momentum=0.8), noise_of(seed)
    values = []
    for step in range(300):
        loss = rbm.contrastive_divergence(v, 1, noise, last_means=last_means)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 99:
            values.append(negative_log_likelihood(rbm, v).item())
    assert values[-1] < before - 0.8, values
