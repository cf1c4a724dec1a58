import math

import pytest
import torch
from lightning import Callback

from ganlab.models.optimization import build_optimizer, build_schedule, clip_gradients, schedule_factor


def parameters():
    return [torch.zeros(3, requires_grad=True), torch.zeros(2, 2, requires_grad=True)]


BASE = {"lr": 0.1, "weight_decay": 0.0}
ALGORITHMS = {
    "adam": ({"betas": [0.5, 0.999], "eps": 1e-8}, torch.optim.Adam),
    "adamw": ({"betas": [0.5, 0.999], "eps": 1e-8}, torch.optim.AdamW),
    "rmsprop": ({"alpha": 0.9, "eps": 1e-8, "momentum": 0.0}, torch.optim.RMSprop),
    "sgd": ({"momentum": 0.9, "nesterov": True}, torch.optim.SGD),
}


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_optimizer_is_torchs_with_the_configured_values(algorithm, fused):
    options, kind = ALGORITHMS[algorithm]
    ours = {"schedule": "linear", "decay_from": 0.5, "final_factor": 0.0, "warmup_iterations": 3}
    config = {"algorithm": algorithm, **BASE, **options, **ours, "clip_norm": 1.0, "clip_value": None}
    optimizer = build_optimizer(parameters(), config, fused)
    assert type(optimizer) is kind
    for key, value in {**BASE, **options}.items():
        assert optimizer.defaults[key] == (tuple(value) if key == "betas" else value), key
    assert bool(optimizer.defaults.get("fused")) == (fused and algorithm != "rmsprop")


@pytest.mark.parametrize(("model", "rate"), [("gan", 1e-3), ("dcgan", 2e-4), ("cgan", 2e-4)])
def test_a_papers_recommendations_arrive(settings, model, rate, make_gan, tiny_data, fit):
    composed = settings(f"model={model}", "data=digits")
    gan = make_gan(optimizers=composed["optimizer"], max_iterations=1)
    trainer = fit(gan, tiny_data())
    assert len(trainer.optimizers) == 2
    for optimizer, network in zip(trainer.optimizers, (gan.generator, gan.discriminator), strict=True):
        assert type(optimizer) is torch.optim.Adam
        assert {optimizer.defaults[key] for key in ("lr", "betas")} == {rate, (0.5, 0.999)}
        assert optimizer.defaults["fused"] is True
        held = optimizer.param_groups[0]["params"]
        assert all(one is other for one, other in zip(held, network.parameters(), strict=True))


def test_an_override_of_one_network_leaves_the_other(settings, make_gan, tiny_data, fit):
    composed = settings("model=dcgan", "optimizer=adamw", "optimizer.discriminator.lr=4e-4")
    trainer = fit(make_gan(optimizers=composed["optimizer"], max_iterations=1), tiny_data())
    assert [optimizer.defaults["lr"] for optimizer in trainer.optimizers] == [2e-4, 4e-4]
    assert all(type(optimizer) is torch.optim.AdamW for optimizer in trainer.optimizers)


def formula(schedule, iteration, total, decay_from, final, warmup):
    """The factor written out: rise x fall."""
    rise = min(1, (iteration + 1) / (warmup + 1))
    begin = decay_from * total
    if schedule == "constant" or iteration <= begin:
        return rise
    share = (iteration - begin) / (total - begin)
    if schedule == "linear":
        return rise * ((1 - share) + final * share)
    return rise * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * share)))


@pytest.mark.parametrize("warmup", [0, 4])
@pytest.mark.parametrize(("decay_from", "final"), [(0.5, 0.0), (0.0, 0.1), (0.25, 1.0), (1.0, 0.0)])
@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_schedules_against_the_formula(schedule, decay_from, final, warmup):
    config = {"schedule": schedule, "decay_from": decay_from, "final_factor": final, "warmup_iterations": warmup}
    factor = schedule_factor(config, 20)
    for iteration in range(20):
        expected = formula(schedule, iteration, 20, decay_from, final, warmup)
        assert factor(iteration) == pytest.approx(expected, abs=1e-12), iteration
    if schedule != "constant" and decay_from < 1:
        assert factor(20) == pytest.approx(final) == factor(25)


def test_schedules_at_their_landmarks():
    linear = schedule_factor({"schedule": "linear", "decay_from": 0.5}, 100)
    assert [linear(iteration) for iteration in (0, 50, 75, 100)] == [1, 1, 0.5, 0]
    cosine = schedule_factor({"schedule": "cosine", "decay_from": 0.0, "final_factor": 0.2}, 100)
    assert [cosine(iteration) for iteration in (0, 50, 100)] == pytest.approx([1, 0.6, 0.2])
    warm = schedule_factor({"warmup_iterations": 3}, 100)
    assert [warm(iteration) for iteration in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]


def test_nothing_is_scheduled_where_nothing_changes():
    optimizer = build_optimizer(parameters(), {"algorithm": "sgd", "lr": 0.1}, False)
    assert build_schedule(optimizer, {"schedule": "constant"}, 10) is None
    assert build_schedule(optimizer, {"schedule": "constant", "warmup_iterations": 1}, 10) is not None


class Rates(Callback):
    """The learning rate that each step was really made with, by how far a weight moved."""

    def __init__(self):
        self.rates = {"generator": [], "discriminator": []}

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.rates[pl_module.network_of(optimizer)].append(optimizer.param_groups[0]["lr"])


@pytest.mark.parametrize("updates", [1, 3])
def test_a_fit_follows_each_networks_own_schedule_once_an_iteration(make_gan, tiny_data, fit, updates):
    optimizers = {
        "generator": {"algorithm": "sgd", "lr": 0.1, "schedule": "linear", "warmup_iterations": 2},
        "discriminator": {"algorithm": "adam", "lr": 0.2, "schedule": "cosine", "decay_from": 0.0, "final_factor": 0.1},
    }
    model = make_gan(optimizers=optimizers, max_iterations=8, discriminator_updates=updates)
    rates = Rates()
    fit(model, tiny_data(8 * updates), rates)
    own = [0.1 * formula("linear", iteration, 8, 0.5, 0.0, 2) for iteration in range(8)]
    other = [0.2 * formula("cosine", iteration, 8, 0.0, 0.1, 0) for iteration in range(8) for _ in range(updates)]
    assert rates.rates["generator"] == pytest.approx(own)
    assert rates.rates["discriminator"] == pytest.approx(other)


def test_one_network_may_be_scheduled_and_the_other_not(make_gan, tiny_data, fit):
    optimizers = {
        "generator": {"algorithm": "sgd", "lr": 0.1},
        "discriminator": {"algorithm": "sgd", "lr": 0.2, "schedule": "linear", "decay_from": 0.0},
    }
    rates = Rates()
    fit(make_gan(optimizers=optimizers, max_iterations=4), tiny_data(), rates)
    assert rates.rates == {
        "generator": pytest.approx([0.1] * 4),
        "discriminator": pytest.approx([0.2, 0.15, 0.1, 0.05]),
    }


def with_gradients(*values):
    tensors = [torch.zeros(len(value), requires_grad=True) for value in values]
    for tensor, value in zip(tensors, values, strict=True):
        tensor.grad = torch.tensor(value)
    return tensors


def test_clipping_by_norm_is_by_the_norm_of_the_whole_gradient():
    tensors = with_gradients([3.0, 0.0], [0.0, 4.0])
    clip_gradients(tensors, {"clip_norm": 1.0, "clip_value": None})
    torch.testing.assert_close(torch.cat([tensor.grad for tensor in tensors]), torch.tensor([0.6, 0.0, 0.0, 0.8]))
    small = with_gradients([0.3, 0.0], [0.0, 0.4])
    clip_gradients(small, {"clip_norm": 1.0})
    assert torch.equal(torch.cat([tensor.grad for tensor in small]), torch.tensor([0.3, 0.0, 0.0, 0.4]))


def test_clipping_by_value_is_element_by_element_and_comes_first():
    tensors = with_gradients([3.0, -0.5], [-7.0])
    clip_gradients(tensors, {"clip_value": 1.0})
    assert torch.equal(torch.cat([tensor.grad for tensor in tensors]), torch.tensor([1.0, -0.5, -1.0]))
    both = with_gradients([3.0], [4.0])
    clip_gradients(both, {"clip_value": 1.0, "clip_norm": 1.0})
    torch.testing.assert_close(torch.cat([t.grad for t in both]), torch.tensor([0.5**0.5, 0.5**0.5]))


class Moves(Callback):
    """How far each network's weights move in an iteration: with SGD and lr 1, the clipped gradient."""

    def on_train_start(self, trainer, pl_module):
        self.before = {name: self.weights(pl_module, name) for name in pl_module.trained_networks}
        self.norms, self.largest = {}, {}

    @staticmethod
    def weights(model, name):
        return torch.cat([parameter.detach().flatten().clone() for parameter in getattr(model, name).parameters()])

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        for name, before in self.before.items():
            move = self.weights(pl_module, name) - before
            self.norms[name], self.largest[name] = move.norm().item(), move.abs().max().item()


def test_a_fit_clips_each_network_as_configured(make_gan, tiny_data, fit):
    def moves(generator, discriminator):
        sgd = {"algorithm": "sgd", "lr": 1.0}
        optimizers = {"generator": {**sgd, **generator}, "discriminator": {**sgd, **discriminator}}
        watch = Moves()
        fit(make_gan(optimizers=optimizers, max_iterations=1).double(), tiny_data(dtype=torch.float64), watch)
        return watch

    free = moves({}, {})
    assert min(free.norms.values()) > 1e-3
    clipped = moves({"clip_norm": free.norms["generator"] / 10}, {"clip_value": free.largest["discriminator"] / 3})
    # torch divides by the norm + 1e-6, which shows at norms as small as these.
    assert clipped.norms["generator"] == pytest.approx(free.norms["generator"] / 10, rel=1e-3)
    assert clipped.largest["discriminator"] == pytest.approx(free.largest["discriminator"] / 3)
    assert clipped.norms["discriminator"] < free.norms["discriminator"]
