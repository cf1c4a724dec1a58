"""RBM-pretrained deep autoencoders: contrastive divergence by its formula, and what the machines are unrolled to."""

import copy

import pytest
import torch
from lightning import Callback

from autoencoders import coders
from ganlab.errors import ConfigError
from ganlab.models.deep_ae import DeepAE
from recording import LastOutputs, recording

SHAPE = [1, 3, 4]
SGD = {"algorithm": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": False, "weight_decay": 0.01}
ADAM = {"algorithm": "adam", "lr": 0.01, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0}


def make(
    widths=(6, 5),
    latent_dim=3,
    pretrain=4,
    total=14,
    shape=SHAPE,
    code="linear",
    activation="sigmoid",
    pretraining=SGD,
    accumulate=1,
    **options,
):
    torch.manual_seed(4)
    model = DeepAE(
        name="deep_ae",
        sample_shape=shape,
        latent_dim=latent_dim,
        pretrain_iterations=pretrain,
        **coders(shape, widths, activation, code),
        **{"momentum_from": 2, "code_lr_factor": 0.25, **options},
    ).double()
    # Weights that a machine begins with are so small that signs of mistakes would be, too.
    for rbm in model.rbms:
        torch.nn.init.normal_(rbm.weight, 0, 0.5)
    model.prepare_training(
        optimizers={"pretraining": dict(pretraining), "autoencoder": dict(ADAM)},
        seed=0,
        max_iterations=total,
        accumulate=accumulate,
    )
    return model


@pytest.fixture
def data(tiny_data):
    return tiny_data(8, SHAPE, dtype=torch.float64)


class Snapshots(Callback):
    """The whole state after each iteration, and before the first."""

    def on_train_start(self, trainer, pl_module):
        self.states, self.outputs = [copy.deepcopy(pl_module.state_dict())], []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.states.append(copy.deepcopy(pl_module.state_dict()))
        self.outputs.append(outputs)


def machine(state, index):
    return [state[f"rbms.{index}.{name}"].clone() for name in ("weight", "visible_bias", "hidden_bias")]


def layer_names(index):
    pieces = (f"encoder.linears.{index}", f"decoder.linears.{2 - index}")
    return {f"autoencoder.{piece}.{kind}" for piece in pieces for kind in ("weight", "bias")}


def machine_names(index):
    return {f"rbms.{index}.{name}" for name in ("weight", "visible_bias", "hidden_bias")}


def changed(before, after):
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_each_phase_changes_its_machine_and_the_layer_that_follows_it(fit, data):
    model, seen = make(), Snapshots()
    fit(model, data, seen)
    assert [(phase.name, phase.first, phase.last) for phase in model.phases] == [
        ("rbm_1", 0, 4),
        ("rbm_2", 4, 8),
        ("rbm_3", 8, 12),
        ("autoencoder", 12, 14),
    ]
    for index in range(3):
        for iteration in range(4 * index, 4 * index + 4):
            moved = changed(seen.states[iteration], seen.states[iteration + 1])
            assert moved == machine_names(index) | layer_names(index)
    assert changed(seen.states[12], seen.states[14]) == set().union(*map(layer_names, range(3)))


@pytest.mark.parametrize("means", [True, False])
@pytest.mark.parametrize(
    ("index", "code", "output"),
    [
        (0, "linear", "auto"),
        (0, "linear", "linear"),
        (1, "linear", "auto"),
        (2, "linear", "auto"),
        (2, "sigmoid", "auto"),
    ],
)
def test_a_machine_learns_by_contrastive_divergence(fit, data, index, code, output, means):
    """v₀h₀ - v₁h₁, momentum 0.5 and then 0.9, decay on weights alone, a learning rate for Gaussian codes."""
    model = make(code=code, output=output, visible_means=means, reconstruction="squared")
    seen, last = Snapshots(), LastOutputs()
    drawn = recording(model, "draw_shared")
    fit(model, data, seen, last)
    weight, down, up = machine(seen.states[4 * index], index)
    gaussian = index == 2 and code == "linear"
    linear_visible = index == 0 and output == "linear"
    lr = 0.1 * (0.25 if gaussian else 1.0)
    velocity = [torch.zeros_like(part) for part in (weight, down, up)]
    draws = 2 * 4 * index
    for step in range(4):
        visible = (data.batches[(4 * index + step) % 3].samples.flatten(1) + 1) / 2
        for below in range(index):
            w, _, c = machine(seen.states[4 * index], below)
            visible = torch.sigmoid(visible @ w.T + c)

        def above(given, weight=weight, up=up):
            inputs = given @ weight.T + up
            return inputs if gaussian else torch.sigmoid(inputs)

        first, second = (drawn[draws + 2 * step + i] for i in (0, 1))
        start = above(visible)
        hidden = start + first if gaussian else (first < start).double()
        inputs = hidden @ weight + down
        mean = inputs if linear_visible else torch.sigmoid(inputs)
        sample = mean + second if linear_visible else (second < mean).double()
        chain = mean if means else sample
        end = above(chain)
        gradients = [
            -(start.T @ visible - end.T @ chain) / 8 + 0.01 * weight,
            -(visible - chain).mean(0),
            -(start - end).mean(0),
        ]
        momentum = 0.5 if step < 2 else 0.9
        for part, speed, gradient in zip((weight, down, up), velocity, gradients, strict=True):
            speed.mul_(momentum).add_(gradient)
            part.sub_(lr * speed)
        for own, expected in zip(machine(seen.states[4 * index + step + 1], index), (weight, down, up), strict=True):
            torch.testing.assert_close(own, expected)


def mean_field(state, values, depth=3):
    """Up through all machines and down again, by their means."""
    features = values.flatten(1)
    machines = [machine(state, index) for index in range(depth)]
    for index, (weight, _, up) in enumerate(machines):
        features = features @ weight.T + up
        features = features if index == depth - 1 else torch.sigmoid(features)
    codes = features
    for weight, down, _ in reversed(machines):
        features = torch.sigmoid(features @ weight + down)
    return codes, features


class AtTheBoundary(Callback):
    """What the model says of some samples when its machines have learnt."""

    def __init__(self, samples):
        self.samples = samples

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if pl_module.iteration == 12:
            self.state = copy.deepcopy(pl_module.state_dict())
            self.codes, self.made = pl_module.encode(self.samples), pl_module.reconstruct(self.samples)
            self.filters = pl_module.filters().clone()


def test_the_unrolled_autoencoder_is_the_mean_field_pass_through_the_machines(fit, data):
    samples = data.batches[0].samples
    model, told = make(), AtTheBoundary(samples)
    fit(model, data, told)
    codes, values = mean_field(told.state, (samples + 1) / 2)
    torch.testing.assert_close(told.codes, codes)
    torch.testing.assert_close(told.made, values.view_as(samples) * 2 - 1)
    torch.testing.assert_close(told.filters.flatten(1), told.state["rbms.0.weight"])
    # Copies: the machines stay what they were while the network is fine-tuned.
    after = model.state_dict()
    assert all(torch.equal(after[name], told.state[name]) for index in range(3) for name in machine_names(index))
    assert not torch.equal(model.autoencoder.decoder.linears[2].weight, model.autoencoder.encoder.linears[0].weight.T)


def test_what_is_logged_of_a_machine(fit, data):
    model, seen = make(pretrain=1, total=4), Snapshots()
    fit(model, data, seen)
    values = (data.batches[1].samples.flatten(1) + 1) / 2
    weight, _, up = machine(seen.states[1], 0)
    visible = torch.sigmoid(values @ weight.T + up)
    weight, down, up = machine(seen.states[1], 1)
    made = torch.sigmoid(torch.sigmoid(visible @ weight.T + up) @ weight + down)
    errors = (made - visible).square().sum(1).mean()
    assert seen.outputs[1].keys() == {
        "loss/reconstruction_rbm_2",
        "reconstruction/mse_rbm_2",
        "rbm/free_energy_gap_rbm_2",
    }
    torch.testing.assert_close(seen.outputs[1]["loss/reconstruction_rbm_2"], errors)
    torch.testing.assert_close(seen.outputs[1]["reconstruction/mse_rbm_2"], errors / 6)
    assert "loss/autoencoder" in seen.outputs[3]


def test_without_pretraining_there_are_no_machines_and_the_start_is_the_same(fit, data):
    model, seen = make(pretrain=0, total=2), Snapshots()
    fit(model, data, seen)
    assert [(phase.name, phase.first, phase.last) for phase in model.phases] == [("autoencoder", 0, 2)]
    assert not any(name.startswith("rbms") for name in seen.states[0])
    other = make().state_dict()
    assert all(torch.equal(weight, other[name]) for name, weight in seen.states[0].items())


def test_an_optimizer_without_momentum_trains_machines_too(fit, data):
    model, seen = make(pretraining=ADAM), Snapshots()
    fit(model, data, seen)
    assert changed(seen.states[0], seen.states[1]) == machine_names(0) | layer_names(0)


def test_tied_layers_follow_their_machines(fit, data):
    samples = data.batches[0].samples
    model, told = make(tied=True), AtTheBoundary(samples)
    fit(model, data, told)
    torch.testing.assert_close(told.made, mean_field(told.state, (samples + 1) / 2)[1].view_as(samples) * 2 - 1)
    assert torch.equal(model.autoencoder.decoder.linears[2].weight, model.autoencoder.encoder.linears[0].weight.T)


def test_fine_tuning_accumulates_half_batches(fit, data):
    model, seen = make(accumulate=2, total=13), Snapshots()
    fit(model, data, seen)
    plain = make()
    plain.load_state_dict(seen.states[12])
    parts = ((data.batches[12 % 3].samples + 1) / 2).chunk(2)
    torch.stack([plain.loss_of("autoencoder", part, None)[0] for part in parts]).mean().backward()
    optimizer = torch.optim.Adam(plain.autoencoder.parameters(), 0.01, (0.9, 0.999))
    optimizer.step()
    for name, weight in plain.autoencoder.state_dict().items():
        torch.testing.assert_close(model.autoencoder.state_dict()[name], weight)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"activation": "relu"}, r"model\.encoder\.activation: .* set it to sigmoid"),
        ({"code": "relu"}, r"model\.encoder\.code_activation: .* set it to linear or sigmoid"),
        ({"condition_size": 3}, r"model\.condition_size=3: "),
    ],
)
def test_what_does_not_fit_is_a_line(options, said):
    with pytest.raises(ConfigError, match=said) as refusal:
        make(**options)
    assert "\n" not in str(refusal.value)


def test_the_configuration_brings_the_papers_optimizers(settings):
    told = settings("model=deep_ae")["optimizer"]
    assert set(told) == {"pretraining", "autoencoder"}
    machines = told["pretraining"]
    assert (machines["algorithm"], machines["lr"], machines["momentum"], machines["weight_decay"]) == (
        "sgd",
        0.1,
        0.9,
        2e-4,
    )
    assert told["autoencoder"]["algorithm"] == "adam"
    other = settings("model=deep_ae", "optimizer=sgd")["optimizer"]
    assert other["pretraining"]["momentum"] == 0.0
    assert set(settings("model=gan", "optimizer=rbm")["optimizer"]) == {"generator", "discriminator"}
