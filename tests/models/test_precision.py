"""Mixed precision: bf16 as it runs on a CPU, fp16 with its gradient scaler emulated there.

What only a CUDA device can show, and no test here does: that fp16 kernels of a whole network stay in range at
the default scale of 65,536; that the scaler reads "an infinite gradient was found" without stalling the stream;
and that the unfused optimizers, which `gradient_scaling` asks for, are those that run there.
"""

import copy
import itertools
from contextlib import nullcontext

import pytest
import torch
from lightning import Callback
from lightning.pytorch.plugins import MixedPrecision
from torch.nn.functional import softplus

from ganlab.callbacks.measure import Measure
from ganlab.counting import UpdatePlan
from recording import recording

SGD = {"algorithm": "sgd", "lr": 0.5}


class CachingAutocast(MixedPrecision):
    """Autocast that keeps the low-precision copies of weights, as Lightning before 2.6 and plain torch do."""

    def autocast_context_manager(self):
        return torch.autocast(self.device, dtype=torch.bfloat16, cache_enabled=True)


def flat(network):
    return torch.cat([parameter.detach().flatten().clone() for parameter in network.parameters()])


def plain_iteration(model, batch, drawn, updates=1, accumulate=1, lr=0.5, autocast=nullcontext):
    """One iteration of SGD written out, on copies of the networks. Returns these and the gradients' norms.

    Each update is in an autocast context of its own, as torch's documentation has it: leaving it drops the copies.
    """
    generator, discriminator = copy.deepcopy(model.generator), copy.deepcopy(model.discriminator)
    drawn, norms = iter(drawn), {}

    def step(network):
        gradients = [parameter.grad for parameter in network.parameters()]
        norms[network] = torch.cat([gradient.flatten() for gradient in gradients]).norm().item()
        with torch.no_grad():
            for parameter, gradient in zip(network.parameters(), gradients, strict=True):
                parameter -= lr * gradient
        generator.zero_grad()
        discriminator.zero_grad()

    reals = batch.samples.chunk(updates * accumulate)
    for update in range(updates):
        with autocast():
            for index in range(update * accumulate, (update + 1) * accumulate):
                fakes = generator(next(drawn))
                terms = softplus(-discriminator(reals[index])).mean() + softplus(discriminator(fakes.detach())).mean()
                (terms / accumulate).backward()
            step(discriminator)
    with autocast():
        for _ in range(accumulate):
            if accumulate > 1:
                fakes = generator(next(drawn))
            (softplus(-discriminator(fakes)).mean() / accumulate).backward()
        step(generator)
    return generator, discriminator, {"generator": norms[generator], "discriminator": norms[discriminator]}


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("updates", [1, 3])
@pytest.mark.parametrize("plugin", [MixedPrecision, CachingAutocast])
def test_bf16_uses_fresh_weights_in_each_update(make_gan, tiny_data, fit, plugin, updates, accumulate):
    """Autocast keeps copies of weights for the length of a training step; after an update they are stale."""
    model = make_gan(optimizer=SGD, max_iterations=1, discriminator_updates=updates, accumulate=accumulate)
    untouched, drawn = copy.deepcopy(model), recording(model)
    data = tiny_data(4 * updates * accumulate)
    fit(model, data, plugins=[plugin("bf16-mixed", "cpu")])
    autocast = plugin("bf16-mixed", "cpu").autocast_context_manager
    generator, discriminator, _ = plain_iteration(
        untouched, data.batches[0], drawn, updates, accumulate, autocast=autocast
    )
    # The exact rounding of bf16 is part of it, so a stale weight cannot hide in a tolerance.
    torch.testing.assert_close(flat(model.discriminator), flat(discriminator), rtol=0, atol=1e-7)
    torch.testing.assert_close(flat(model.generator), flat(generator), rtol=0, atol=1e-7)
    exact = plain_iteration(untouched, data.batches[0], drawn, updates, accumulate)[1]
    assert not torch.allclose(flat(exact), flat(discriminator), rtol=0, atol=1e-6), "autocast was not on"
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


# -- fp16 ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def fp16():
    return MixedPrecision("16-mixed", "cpu", scaler=torch.amp.GradScaler("cpu", init_scale=1024.0))


class Gradients(Callback):
    """The norm that a callback finds before each network's step."""

    def __init__(self):
        self.norms = {}

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        network = pl_module.network_of(optimizer)
        gradients = [parameter.grad.flatten() for parameter in getattr(pl_module, network).parameters()]
        self.norms[network] = torch.cat(gradients).norm().item()


def moved(model, before, network):
    return flat(getattr(model, network)) - flat(getattr(before, network))


@pytest.mark.parametrize("updates", [1, 3])
def test_both_networks_make_the_steps_that_they_make_unscaled(make_gan, tiny_data, fit, fp16, updates):
    """The order backward, backward, step, step would give the generator a step of half the length."""
    model = make_gan(optimizer=SGD, max_iterations=1, gradient_scaling=True, discriminator_updates=updates)
    untouched, drawn, data = copy.deepcopy(model), recording(model), tiny_data(8 * updates)
    watch, measure = Gradients(), Measure(1, 1, UpdatePlan(8))
    fit(model, data, watch, measure, plugins=[fp16])
    generator, discriminator, norms = plain_iteration(untouched, data.batches[0], drawn, updates)
    for name, network in (("generator", generator), ("discriminator", discriminator)):
        expected = flat(network) - flat(getattr(untouched, name))
        assert (moved(model, untouched, name) - expected).norm() < 0.01 * expected.norm(), name
        assert watch.norms[name] == pytest.approx(norms[name], rel=0.01)
        assert measure.latest[f"grad_norm/{name}"] == pytest.approx(norms[name], rel=0.01)
    assert fp16.scaler.get_scale() == 1024.0


def test_clipping_acts_on_unscaled_gradients_and_the_logged_norm_is_before_it(make_gan, tiny_data, fit, fp16):
    def run(plugins, scaling, **clip):
        model = make_gan(optimizer={**SGD, **clip}, max_iterations=1, gradient_scaling=scaling)
        before, measure = copy.deepcopy(model), Measure(1, 1, UpdatePlan(8))
        fit(model, tiny_data(), measure, plugins=plugins)
        return {name: moved(model, before, name).norm().item() / 0.5 for name in model.trained_networks}, measure.latest

    free, logged_free = run([], False)
    limit = min(free.values()) / 4
    clipped, logged = run([fp16], True, clip_norm=limit)
    assert clipped["discriminator"] == pytest.approx(limit, rel=1e-2)
    assert clipped["generator"] == pytest.approx(limit, rel=1e-2)
    assert logged["grad_norm/discriminator"] == pytest.approx(free["discriminator"], rel=0.01)
    assert logged["grad_norm/discriminator"] == pytest.approx(logged_free["grad_norm/discriminator"], rel=0.01)


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_an_infinite_gradient_skips_that_networks_step_and_halves_the_scale(make_gan, tiny_data, fit, fp16, network):
    other = {"generator": "discriminator", "discriminator": "generator"}[network]
    model = make_gan(optimizer=SGD, max_iterations=3, gradient_scaling=True)
    weights, scales = [], []

    class Watch(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            weights.append({name: flat(getattr(pl_module, name)) for name in pl_module.trained_networks})

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            scales.append(fp16.scaler.get_scale())

    first = next(getattr(model, network).parameters())
    # The hook also runs for the other network's loss where that one is not frozen; only the second iteration counts.
    first.register_hook(lambda gradient: gradient * float("inf") if model.iteration == 1 else gradient)
    fit(model, tiny_data(), Watch(), plugins=[fp16])
    weights.append({name: flat(getattr(model, name)) for name in model.trained_networks})

    assert scales == [1024.0, 512.0, 512.0]
    unchanged = {
        name: [torch.equal(one[name], two[name]) for one, two in itertools.pairwise(weights)]
        for name in (network, other)
    }
    assert unchanged == {network: [False, True, False], other: [False, False, False]}
    assert all(bool(parameter.isfinite().all()) for parameter in model.parameters())


def test_the_scale_is_saved_and_comes_back(make_gan, tiny_data, fit, fp16, tmp_path):
    model = make_gan(optimizer=SGD, max_iterations=2, gradient_scaling=True)
    fp16.scaler = torch.amp.GradScaler("cpu", init_scale=128.0, growth_interval=1)
    trainer = fit(model, tiny_data(), plugins=[fp16])
    grown = fp16.scaler.get_scale()
    assert grown == 128.0 * 2**4  # two networks, two iterations
    trainer.save_checkpoint(tmp_path / "scaled.ckpt")
    assert torch.load(tmp_path / "scaled.ckpt", weights_only=True)["MixedPrecision"]["scale"] == grown

    fresh = MixedPrecision("16-mixed", "cpu", scaler=torch.amp.GradScaler("cpu", init_scale=7.0))
    again = make_gan(optimizer=SGD, max_iterations=3, gradient_scaling=True)
    fit(again, tiny_data(), plugins=[fresh], ckpt_path=tmp_path / "scaled.ckpt")
    # The growth interval of one step is in the checkpoint too.
    assert fresh.scaler.get_scale() == grown * 2**2


def test_with_a_scaler_no_optimizer_is_fused(make_gan, tiny_data, fit, fp16):
    adam = {"algorithm": "adam", "lr": 1e-3, "betas": [0.5, 0.9]}
    model = make_gan(optimizer=adam, max_iterations=1, gradient_scaling=True)
    trainer = fit(model, tiny_data(), plugins=[fp16])
    assert not any(optimizer.defaults["fused"] for optimizer in trainer.optimizers)
    assert [int(optimizer.state_dict()["state"][0]["step"]) for optimizer in trainer.optimizers] == [1, 1]
