"""`AdversarialModel`: its iteration against a plain PyTorch loop written by hand, and who is trained when."""

import copy

import pytest
import torch
from lightning import Callback
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from torch.nn.functional import one_hot

from ganlab.errors import ConfigError
from recording import recording

ADAM = {"algorithm": "adam", "lr": 2e-3, "betas": [0.5, 0.999]}
SGD = {"algorithm": "sgd", "lr": 0.05, "momentum": 0.9}
ALGORITHMS = {
    "adam": (ADAM, lambda parameters: torch.optim.Adam(parameters, lr=2e-3, betas=(0.5, 0.999))),
    "sgd": (SGD, lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.9)),
}


def plain_loop(generator, discriminator, batches, drawn, make_optimizer, updates=1, accumulate=1, minimax=False):
    """As anyone would write Algorithm 1; `drawn` serves the latents. Returns the last losses."""
    optimizer_g, optimizer_d = make_optimizer(generator.parameters()), make_optimizer(discriminator.parameters())
    drawn = iter(drawn)
    for real, conditions, _ in batches:
        reals = real.chunk(updates * accumulate)
        asked = conditions.chunk(updates * accumulate) if conditions is not None else [None] * len(reals)
        for update in range(updates):
            optimizer_d.zero_grad()
            for index in range(update * accumulate, (update + 1) * accumulate):
                fakes = generator(next(drawn), asked[index])
                on_real, on_fake = (
                    discriminator(reals[index], asked[index]),
                    discriminator(fakes.detach(), asked[index]),
                )
                loss_d = cross_entropy(on_real, torch.ones_like(on_real))
                loss_d = loss_d + cross_entropy(on_fake, torch.zeros_like(on_fake))
                (loss_d / accumulate).backward()
            optimizer_d.step()
        optimizer_g.zero_grad()
        for index in range(-accumulate, 0):
            if accumulate > 1:
                fakes = generator(next(drawn), asked[index])
            scores = discriminator(fakes, asked[index])
            loss_g = cross_entropy(scores, torch.ones_like(scores))
            if minimax:
                loss_g = -cross_entropy(scores, torch.zeros_like(scores))
            (loss_g / accumulate).backward()
        optimizer_g.step()
    return float(loss_d.detach()), float(loss_g.detach())


def assert_same(network, expected, **tolerance):
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, expected.state_dict()[name], msg=lambda m, n=name: f"{n}: {m}", **tolerance)


class LastOutputs(Callback):
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.outputs = dict(outputs)


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("updates", [1, 3])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("networks", ["mlp", "dcgan"])
def test_iterations_equal_a_plain_loops(make_gan, tiny_data, fit, networks, algorithm, updates, accumulate):
    shape = [2] if networks == "mlp" else [1, 16, 16]
    optimizer, make_optimizer = ALGORITHMS[algorithm]
    model = make_gan(
        shape, networks, optimizer=optimizer, discriminator_updates=updates, accumulate=accumulate, max_iterations=3
    ).double()
    generator, discriminator = copy.deepcopy(model.generator), copy.deepcopy(model.discriminator)
    drawn, last = recording(model), LastOutputs()
    data = tiny_data(4 * updates * accumulate, shape, dtype=torch.float64)
    fit(model, data, last)

    losses = plain_loop(generator, discriminator, data.batches, drawn, make_optimizer, updates, accumulate)
    assert len(drawn) == 3 * (updates * accumulate + (accumulate if accumulate > 1 else 0))
    assert all(latents.dtype == torch.float64 for latents in drawn)
    assert_same(model.generator, generator, rtol=1e-9, atol=1e-11)
    assert_same(model.discriminator, discriminator, rtol=1e-9, atol=1e-11)
    logged = [last.outputs["loss/discriminator"].item(), last.outputs["loss/generator"].item()]
    assert logged == pytest.approx(losses, rel=1e-9)


@pytest.mark.parametrize("loss", ["minimax", "non_saturating"])
def test_a_conditional_gan_equals_a_plain_loop_with_either_loss(make_gan, tiny_data, fit, loss):
    model = make_gan([2], condition_size=3, optimizer=ADAM, loss=loss, max_iterations=3).double()
    generator, discriminator = copy.deepcopy(model.generator), copy.deepcopy(model.discriminator)
    drawn, data = recording(model), tiny_data(6, classes=3, dtype=torch.float64)
    fit(model, data)
    batches = [(samples, one_hot(labels, 3).double(), None) for samples, labels, _ in data.batches]
    plain_loop(generator, discriminator, batches, drawn, ALGORITHMS["adam"][1], minimax=loss == "minimax")
    assert_same(model.generator, generator, rtol=1e-9, atol=1e-11)
    assert_same(model.discriminator, discriminator, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("updates", [1, 2])
@pytest.mark.parametrize("accumulate", [1, 2, 4])
def test_accumulated_batches_equal_one_big_batch(make_gan, tiny_data, fit, accumulate, updates):
    """Both players, with the same latents, and networks without batch norm."""
    whole = torch.randn(3 * updates, 8, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)

    def trained(accumulate):
        model = make_gan(optimizer=SGD, discriminator_updates=updates, accumulate=accumulate, max_iterations=3).double()
        served = []
        for iteration in range(3):
            for update in range(updates):
                served += whole[iteration * updates + update].chunk(accumulate)
            if accumulate > 1:  # the generator draws anew; here what it drew last
                served += whole[iteration * updates + updates - 1].chunk(accumulate)
        served = iter(served)
        model.draw_latents = lambda count: next(served)
        fit(model, tiny_data(8 * updates, dtype=torch.float64))
        assert next(served, None) is None
        return model

    assert_same(trained(accumulate), trained(1), rtol=1e-10, atol=1e-12)


class Watch(Callback):
    """What each optimizer step finds: which network, and what the other one holds then."""

    def __init__(self):
        self.steps = []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        network = pl_module.network_of(optimizer)
        other = {"generator": "discriminator", "discriminator": "generator"}[network]
        parameters = list(getattr(pl_module, other).parameters())
        self.steps.append(
            {
                "network": network,
                "trained": {parameter.requires_grad for parameter in getattr(pl_module, network).parameters()},
                "other_trained": {parameter.requires_grad for parameter in parameters},
                "other_gradients": {parameter.grad is None for parameter in parameters},
                "gradients": all(bool(p.grad.any()) for p in getattr(pl_module, network).parameters()),
                "weights": copy.deepcopy(getattr(pl_module, other).state_dict()),
            }
        )


@pytest.mark.parametrize("accumulate", [1, 2])
def test_each_player_is_trained_alone(make_gan, tiny_data, fit, accumulate):
    model, watch = make_gan(discriminator_updates=2, accumulate=accumulate, max_iterations=2), Watch()
    fit(model, tiny_data(4 * 2 * accumulate), watch)

    order = ["discriminator", "discriminator", "generator"]
    assert [step["network"] for step in watch.steps] == order * 2
    for step in watch.steps:
        assert step["trained"] == {True}
        assert step["gradients"]
        assert step["other_gradients"] == {True}, "the other player has gradients"
        assert step["other_trained"] == {step["network"] == "discriminator"}
    assert all(parameter.requires_grad for parameter in model.discriminator.parameters())
    assert all(parameter.requires_grad for parameter in model.generator.parameters())
    assert all(parameter.grad is None for parameter in model.parameters())
    # Nothing of the discriminator moves in the generator's step: what it found is what the end left.
    assert_same(model.discriminator, type("Kept", (), {"state_dict": lambda self: watch.steps[-1]["weights"]})())


def test_a_run_that_broke_in_the_generators_step_can_be_fitted_again(make_gan, tiny_data, fit):
    model = make_gan(max_iterations=2)
    term, calls = model.generator_term, []

    def failing(scores):
        calls.append(scores)
        if len(calls) == 1:
            raise RuntimeError("broken")
        return term(scores)

    model.generator_term = failing
    with pytest.raises(RuntimeError, match="broken"):
        fit(model, tiny_data())
    before = copy.deepcopy(model.discriminator.state_dict())
    fit(model, tiny_data())
    assert model.iteration == 2
    assert any(not torch.equal(weight, before[name]) for name, weight in model.discriminator.state_dict().items())


def test_what_is_measured_is_what_the_tags_say(make_gan, tiny_data, fit):
    model, last = make_gan(max_iterations=1).double(), LastOutputs()
    generator, discriminator = copy.deepcopy(model.generator), copy.deepcopy(model.discriminator)
    drawn, data = recording(model), tiny_data(dtype=torch.float64)
    fit(model, data, last)
    with torch.no_grad():
        real = discriminator(data.batches[0].samples)
        fake = discriminator(generator(drawn[0]))
        updated = model.discriminator(generator(drawn[0]))
    sigmoid = torch.sigmoid
    expected = {
        "loss/discriminator_real": -sigmoid(real).log().mean(),
        "loss/discriminator_fake": -(1 - sigmoid(fake)).log().mean(),
        "loss/discriminator": -sigmoid(real).log().mean() - (1 - sigmoid(fake)).log().mean(),
        "loss/generator": -sigmoid(updated).log().mean(),
        "score/real": real.mean(),
        "score/fake": fake.mean(),
        "accuracy/discriminator_real": (sigmoid(real) > 0.5).double().mean(),
        "accuracy/discriminator_fake": (sigmoid(fake) <= 0.5).double().mean(),
    }
    assert last.outputs.keys() == expected.keys()
    for tag, value in expected.items():
        assert last.outputs[tag].item() == pytest.approx(value.item(), rel=1e-6), tag
        assert not last.outputs[tag].requires_grad, tag


def test_without_measuring_only_the_losses_are_computed(make_gan, tiny_data, fit):
    model, last = make_gan(max_iterations=1), LastOutputs()
    model.measuring = False
    fit(model, tiny_data(), last)
    assert last.outputs.keys() == {"loss/discriminator", "loss/generator"}


@pytest.mark.parametrize("updates", [1, 3])
def test_the_average_follows_the_generator_once_an_iteration(make_gan, tiny_data, fit, updates):
    model = make_gan([1, 8, 8], "dcgan", ema_decay=0.25, discriminator_updates=updates, max_iterations=4)
    expected = [copy.deepcopy(model.generator.state_dict())]

    class Follow(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            finished = len(expected)
            decay = min(0.25, (1 + finished) / (10 + finished))
            now = pl_module.generator.state_dict()
            expected.append({name: decay * old + (1 - decay) * now[name] for name, old in expected[-1].items()})

    fit(model, tiny_data(4 * updates, [1, 8, 8]), Follow())
    for name, tensor in model.generator_ema.network.state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, expected[-1][name], rtol=1e-5, atol=1e-7)
    assert make_gan(ema_decay=0.0).generator_ema is None


class Penalised:
    """A family with a penalty and a constraint, as later papers have them."""

    def discriminator_extras(self, given, real, fake):
        return {"penalty/scores": 0.25 * real.scores.square().mean()}

    def after_discriminator_update(self):
        self.constrained = getattr(self, "constrained", 0) + 1


def test_a_familys_penalty_is_added_to_the_loss_and_reported(make_gan, tiny_data, fit):
    plain = make_gan(max_iterations=1)
    kind = type("PenalisedGAN", (Penalised, type(plain)), {})
    model, last = make_gan(max_iterations=1, discriminator_updates=1), LastOutputs()
    model.__class__ = kind
    data = tiny_data()
    with torch.no_grad():
        penalty = 0.25 * model.discriminator(data.batches[0].samples).square().mean().item()
    fit(model, data, last)
    values = {tag: value.item() for tag, value in last.outputs.items()}
    assert values["penalty/scores"] == pytest.approx(penalty, rel=1e-5)
    terms = values["loss/discriminator_real"] + values["loss/discriminator_fake"] + values["penalty/scores"]
    assert values["loss/discriminator"] == pytest.approx(terms, rel=1e-6)
    assert model.constrained == 1
    fit(plain, data)
    assert not torch.allclose(plain.discriminator.layers[0].weight, model.discriminator.layers[0].weight)


def test_a_discriminator_of_probabilities_or_of_columns_is_refused(make_gan):
    """Found by a forward pass of two samples, which leaves no trace in the network."""
    plain = make_gan()

    def refused(layer):
        class Strange(type(plain)):
            def build_players(self, generator, discriminator):
                generating, telling = super().build_players(generator, discriminator)
                telling.head = lambda features, conditions=None: layer(telling.layers[-1](features))
                return generating, telling

        node = {"sample_shape": [2], "width": 4}
        with pytest.raises(ConfigError) as raised:
            Strange(
                name="strange",
                sample_shape=[2],
                latent_dim=2,
                generator={"_target_": "ganlab.networks.mlp.MLPGenerator", **node},
                discriminator={"_target_": "ganlab.networks.mlp.MLPDiscriminator", **node},
            )
        return str(raised.value)

    assert "it ends in a Sigmoid, and the losses take raw scores" in refused(lambda x: x.sigmoid().squeeze(1))
    assert "scores of shape [2, 1] of 2 samples" in refused(lambda x: x)


def test_looking_at_the_discriminator_changes_nothing_in_it(make_gan):
    model = make_gan([1, 16, 16], "dcgan")
    norms = [module for module in model.discriminator.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert norms and all(norm.training and norm.num_batches_tracked == 0 for norm in norms)
