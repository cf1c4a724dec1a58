"""Stacked autoencoders: a layer's phase is a plain autoencoder on the codes below it; and the classifier."""

import copy

import pytest
import torch
from lightning import Callback
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from autoencoders import coders
from ganlab.data.batch import Batch
from ganlab.errors import ConfigError
from ganlab.models.stacked_ae import StackedAE
from ganlab.objectives.contraction import sigmoid_layer_contraction
from ganlab.objectives.sparsity import kl_sparsity, l1_sparsity
from recording import LastOutputs, recording

SHAPE = [1, 3, 4]
ADAM = {"algorithm": "adam", "lr": 0.02, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0}


def make(widths=(6, 5), latent_dim=3, pretrain=3, total=10, activation="sigmoid", shape=SHAPE, accumulate=1, **options):
    torch.manual_seed(4)
    options = {"num_classes": 4, **options}
    model = StackedAE(
        name="stacked_ae",
        sample_shape=shape,
        latent_dim=latent_dim,
        pretrain_iterations=pretrain,
        **coders(shape, widths, activation, activation),
        **options,
    ).double()
    # The block's learning rate differs from the last phase's, so that one cannot stand for the other.
    model.prepare_training(
        optimizers={"pretraining": dict(ADAM), "autoencoder": {**ADAM, "lr": 0.01}},
        seed=0,
        max_iterations=total,
        accumulate=accumulate,
    )
    return model


@pytest.fixture
def data(tiny_data):
    """Batches of eight unlabelled samples and eight other, labelled ones."""
    module = tiny_data(8, SHAPE, dtype=torch.float64)
    random = torch.Generator().manual_seed(2)
    for index, batch in enumerate(module.batches):
        samples = torch.rand(8, *SHAPE, generator=random, dtype=torch.float64) * 2 - 1
        labelled = Batch(samples, torch.randint(4, (8,), generator=random))
        module.batches[index] = batch._replace(labelled=labelled)
    return module


class Snapshots(Callback):
    """The whole state after each iteration, and before the first."""

    def on_train_start(self, trainer, pl_module):
        self.states = [copy.deepcopy(pl_module.state_dict())]
        self.outputs = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.states.append(copy.deepcopy(pl_module.state_dict()))
        self.outputs.append(outputs)


def changed(before, after):
    return {name for name in before if not torch.equal(before[name], after[name])}


def names_of_layer(index, depth=3):
    """What belongs to a layer (from 0)."""
    pieces = (f"encoder.linears.{index}", f"decoder.linears.{depth - 1 - index}")
    return {f"autoencoder.{piece}.{kind}" for piece in pieces for kind in ("weight", "bias")}


def test_each_phase_changes_its_layer_alone_and_the_last_one_all(fit, data):
    model, seen = make(), Snapshots()
    fit(model, data, seen)
    assert [(phase.name, phase.first, phase.last) for phase in model.phases] == [
        ("layer_1", 0, 3),
        ("layer_2", 3, 6),
        ("layer_3", 6, 9),
        ("autoencoder", 9, 10),
    ]
    for index, first in enumerate((0, 3, 6)):
        for iteration in range(first, first + 3):
            assert changed(seen.states[iteration], seen.states[iteration + 1]) == names_of_layer(index)
    assert changed(seen.states[9], seen.states[10]) == set().union(*map(names_of_layer, range(3)))


KINDS = {
    "ae": {},
    "denoising_ae": {"corruption_level": 0.3},
    "sparse_ae": {"sparsity_weight": 0.7, "rho": 0.2},
    "contractive_ae": {"contraction": 0.4},
}


@pytest.mark.parametrize("index", [0, 1, 2])
@pytest.mark.parametrize("layer", list(KINDS))
def test_a_layer_learns_as_a_plain_autoencoder_on_the_codes_below(fit, data, layer, index):
    model, seen = make(layer=layer, **KINDS[layer]), Snapshots()
    drawn = recording(model, "draw_shared")
    fit(model, data, seen)
    before = seen.states[3 * index]

    def weights(piece, number):
        return [before[f"autoencoder.{piece}.linears.{number}.{kind}"].clone() for kind in ("weight", "bias")]

    up, down = weights("encoder", index), weights("decoder", 2 - index)
    trained = [parameter.requires_grad_() for parameter in (*up, *down)]
    optimizer = torch.optim.Adam(trained, 0.02, (0.9, 0.999))
    for step in range(3):
        codes = (data.batches[(3 * index + step) % 3].samples.flatten(1) + 1) / 2
        for below in range(index):
            weight, bias = weights("encoder", below)
            codes = torch.sigmoid(codes @ weight.T + bias)
        inputs = codes
        if layer == "denoising_ae":
            inputs = torch.where(drawn[3 * index + step].view_as(codes) < 0.3, 0.0, codes)
        hidden = torch.sigmoid(inputs @ up[0].T + up[1])
        made = torch.sigmoid(hidden @ down[0].T + down[1])
        loss = (made - codes).square().sum(1).mean()
        if layer == "sparse_ae":
            loss = loss + 0.7 * kl_sparsity(hidden.mean(0), 0.2)
        if layer == "contractive_ae":
            loss = loss + 0.4 * sigmoid_layer_contraction(hidden, up[0]).mean()
        logged = seen.outputs[3 * index + step]
        torch.testing.assert_close(logged[f"loss/autoencoder_layer_{index + 1}"], loss.detach())
        mse = (made - codes).square().mean()
        torch.testing.assert_close(logged[f"reconstruction/mse_layer_{index + 1}"], mse.detach())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after = seen.states[3 * index + 3]
    for piece, number, (weight, bias) in (("encoder", index, up), ("decoder", 2 - index, down)):
        for kind, expected in (("weight", weight), ("bias", bias)):
            torch.testing.assert_close(after[f"autoencoder.{piece}.linears.{number}.{kind}"], expected.detach())


def test_codes_of_relu_are_given_back_by_relu_and_l1_is_a_price_for_them(data):
    model = make(activation="relu", layer="sparse_ae", penalty="l1", sparsity_weight=0.5)
    values = torch.rand(6, *SHAPE, dtype=torch.float64)
    below = torch.relu(model.layers[0].encoder.linears[0](values.flatten(1)))
    codes = torch.relu(model.layers[1].encoder.linears[0](below))
    made = torch.relu(model.layers[1].decoder(codes))
    expected = (made - below).square().sum(1).mean() + 0.5 * l1_sparsity(codes)
    torch.testing.assert_close(model.layer_loss(1, values)[0], expected)


def test_sigmoid_codes_have_cross_entropies_under_a_bernoulli_likelihood():
    model = make(reconstruction="bernoulli")
    values = torch.rand(6, *SHAPE, dtype=torch.float64)
    below = model.layers[0].encoder(values.flatten(1)).detach()
    logits = model.layers[1].decoder(model.layers[1].encoder(below))
    expected = binary_cross_entropy_with_logits(logits, below, reduction="sum") / 6
    torch.testing.assert_close(model.layer_loss(1, values)[0], expected)


def test_a_learned_deviation_learns_in_the_last_phase_alone(fit, data):
    model, seen = make(reconstruction="gaussian", std="learned"), Snapshots()
    fit(model, data, seen)
    name = "autoencoder.log_std"
    assert torch.equal(seen.states[0][name], seen.states[9][name])
    # Adam's first step is its learning rate, whatever the gradient; a gradient left over would not change that, a
    # second optimizer would.
    torch.testing.assert_close((seen.states[10][name] - seen.states[9][name]).abs().item(), 0.01, rtol=1e-5, atol=0)


def test_tied_layers_stay_tied(fit, data):
    model, seen = make(tied=True), Snapshots()
    fit(model, data, seen)
    up, down = model.autoencoder.encoder.linears[1].weight, model.autoencoder.decoder.linears[1].weight
    assert torch.equal(up.T, down)
    assert changed(seen.states[3], seen.states[6]) == names_of_layer(1) - {"autoencoder.decoder.linears.1.weight"}


def classifier_names():
    return {"classifier.weight", "classifier.bias"}


def encoder_names():
    return {f"autoencoder.encoder.linears.{i}.{kind}" for i in range(3) for kind in ("weight", "bias")}


@pytest.mark.parametrize(("fine_tune", "moves"), [("classify", encoder_names()), ("classify_frozen", set())])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_classifier_learns_from_labelled_samples(fit, data, fine_tune, moves, accumulate):
    model, seen, last = (
        make(fine_tune=fine_tune, pretrain=1, total=5, accumulate=accumulate),
        Snapshots(),
        LastOutputs(),
    )
    assert model.classifies and model.learns_labels
    fit(model, data, seen, last)
    for before, after in zip(seen.states[3:], seen.states[4:], strict=False):
        assert changed(before, after) == classifier_names() | moves

    plain = make(fine_tune=fine_tune, pretrain=1, total=5)
    plain.load_state_dict(seen.states[3])
    trained = list(plain.classifier.parameters())
    trained += list(plain.autoencoder.encoder.parameters()) if moves else []
    optimizer = torch.optim.Adam(trained, 0.01, (0.9, 0.999))
    for iteration in (3, 4):
        samples, labels, _ = data.batches[iteration % 3].labelled
        logits = plain.classifier(plain.autoencoder.encoder((samples + 1) / 2))
        loss = cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for name, weight in plain.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], weight, msg=name)
    if accumulate == 1:
        assert last.outputs["loss/supervised"] == pytest.approx(loss.item())
        share = (logits.argmax(1) == labels).double().mean().item()
        assert last.outputs["accuracy/labelled"] == pytest.approx(share)
    told = model.classify(samples)
    assert told.shape == (8, 4) and not told.requires_grad
    torch.testing.assert_close(told, plain.classifier(plain.autoencoder.encoder((samples + 1) / 2)).detach())


def test_what_pretrains_is_what_has_no_label_too(fit, data):
    """The first phase of a classifier is that of an autoencoder."""
    both = [make(fine_tune=fine_tune, total=10) for fine_tune in ("reconstruct", "classify")]
    seen = [Snapshots(), Snapshots()]
    for model, watch in zip(both, seen, strict=True):
        fit(model, data, watch)
    for name, weight in seen[0].states[9].items():
        assert torch.equal(weight, seen[1].states[9][name]), name


def test_an_autoencoder_does_not_classify():
    model = make()
    assert not model.classifies and not model.learns_labels
    with pytest.raises(TypeError, match="does not classify"):
        model.classify(torch.zeros(2, *SHAPE))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"fine_tune": "classify", "num_classes": 0}, r"model\.fine_tune=classify: the data has no classes"),
        ({"layer": "sparse_ae", "activation": "relu"}, r"model\.penalty=kl: .* or model\.penalty=l1"),
        (
            {"layer": "denoising_ae", "corruption": "salt_and_pepper", "activation": "relu"},
            r"model\.corruption=salt_and_pepper: ",
        ),
        ({"layer": "denoising_ae", "corruption_level": 1.0}, r"model\.corruption_level=1: "),
        ({"condition_size": 4}, r"model\.condition_size=4: .* set model\.condition_size=0"),
    ],
)
def test_what_does_not_fit_is_a_line(options, said):
    with pytest.raises(ConfigError, match=said) as refusal:
        make(**options)
    assert "\n" not in str(refusal.value)


def test_an_unknown_kind_of_layer_is_a_line_before_training(settings):
    with pytest.raises(ConfigError) as refusal:
        settings("model=stacked_ae", "model.layer=boltzmann")
    (line,) = str(refusal.value).splitlines()
    assert line.startswith("model.layer=boltzmann: must be 'ae', 'sparse_ae', 'denoising_ae' or 'contractive_ae'")
