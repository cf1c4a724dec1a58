"""What all autoencoders share: values and samples, reconstructions, one update an iteration, what is told."""

import copy
import math

import numpy as np
import pytest
import torch
from scipy import stats

from autoencoders import make
from ganlab.data.batch import Batch
from ganlab.errors import ConfigError
from ganlab.models.ae import AE
from recording import LastOutputs

IMAGES = [1, 2, 3]


def images(count=5, seed=0):
    return torch.rand(count, *IMAGES, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def by_hand(model, values):
    """Encoder and decoder written out: two linear maps."""
    encoder, decoder = model.autoencoder.encoder.linears[0], model.autoencoder.decoder.linears[0]
    codes = values.flatten(1) @ encoder.weight.T + encoder.bias
    return codes, codes @ decoder.weight.T + decoder.bias


@pytest.mark.parametrize("output", ["auto", "linear"])
def test_networks_see_pixels_from_0_to_1_and_users_see_samples(output):
    model, samples = make(AE, IMAGES, output=output), images()
    codes, outputs = by_hand(model, (samples + 1) / 2)
    made = 1 / (1 + torch.exp(-outputs)) if output == "auto" else outputs
    assert torch.allclose(model.encode(samples), codes, atol=1e-6)
    assert torch.allclose(model.decode(codes), (2 * made - 1).view_as(samples), atol=1e-5)
    assert torch.allclose(model.reconstruct(samples), (2 * made - 1).view_as(samples), atol=1e-5)


def test_points_are_taken_as_they_are():
    model, samples = make(AE, [4]), torch.randn(5, 4) * 7
    assert torch.allclose(model.reconstruct(samples), by_hand(model, samples)[1], atol=1e-5)


@pytest.mark.parametrize("reconstruction", ["squared", "absolute", "bernoulli", "gaussian"])
def test_a_loss_is_a_sum_over_values_and_a_mean_over_the_batch(reconstruction):
    options = {"std": 0.3} if reconstruction == "gaussian" else {}
    model, samples = make(AE, IMAGES, reconstruction=reconstruction, **options), images()
    values = (samples + 1) / 2
    made = torch.sigmoid(by_hand(model, values)[1]).detach().double().numpy()
    true = values.flatten(1).double().numpy()
    expected = {
        "squared": np.square(made - true),
        "absolute": np.abs(made - true),
        "bernoulli": -(true * np.log(made) + (1 - true) * np.log(1 - made)),
        "gaussian": -stats.norm.logpdf(true, made, 0.3),
    }[reconstruction].sum(1)
    loss, told = model.loss_of("autoencoder", values, None)
    assert loss.item() == pytest.approx(expected.mean(), rel=1e-5)
    assert told["loss/reconstruction"].item() == pytest.approx(expected.mean(), rel=1e-5)
    mse = np.square(made - true).mean()
    assert told["reconstruction/mse"].item() == pytest.approx(mse, rel=1e-5)
    assert told["reconstruction/psnr"].item() == pytest.approx(-10 * math.log10(mse), rel=1e-5)
    examined = model.examine(samples)
    assert examined["loss/reconstruction"].numpy() == pytest.approx(expected, rel=1e-5)
    assert examined["reconstruction/mse"].numpy() == pytest.approx(np.square(made - true).mean(1), rel=1e-5)


def test_a_learnt_standard_deviation_becomes_that_of_the_errors(fit, tiny_data):
    optimizer = {"algorithm": "sgd", "lr": 0.01}
    model = make(AE, [2], latent_dim=1, reconstruction="gaussian", std="learned", optimizer=optimizer)
    for parameter in (*model.autoencoder.encoder.parameters(), *model.autoencoder.decoder.parameters()):
        parameter.requires_grad_(False)
    values = tiny_data(shape=(2,)).batches[0].samples
    log_std = model.autoencoder.log_std
    for _ in range(400):
        loss, told = model.loss_of("autoencoder", values, None)
        (gradient,) = torch.autograd.grad(loss, log_std)
        with torch.no_grad():
            log_std -= 0.05 * gradient
    residuals = by_hand(model, values)[1] - values
    assert log_std.exp().item() == pytest.approx(residuals.square().mean().sqrt().item(), rel=1e-3)
    assert told["reconstruction/std"].item() == pytest.approx(log_std.exp().item(), rel=1e-3)


def test_an_iteration_is_one_step_down_the_whole_loss(fit, tiny_data):
    data, model = tiny_data(shape=(4,)), make(AE, max_iterations=1)
    plain = copy.deepcopy(model.autoencoder)
    fit(model, data)
    samples = data.batches[0].samples
    (plain(samples) - samples).square().sum(1).mean().backward()
    for trained, start in zip(model.autoencoder.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(trained, start - 0.05 * start.grad, atol=1e-6)
    assert model.iteration == 1


def test_accumulation_is_one_update_of_the_joined_batch(fit, tiny_data):
    data = tiny_data(rows=8)
    one, two = make(AE, [2], latent_dim=1), make(AE, [2], latent_dim=1, accumulate=2)
    fit(one, data), fit(two, data)
    for a, b in zip(one.autoencoder.parameters(), two.autoencoder.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_conditions_reach_both_coders():
    model = make(AE, [4], condition_size=3)
    samples = torch.randn(3, 4)
    labels = torch.tensor([0, 1, 2])
    one_hot = torch.eye(3)
    values = torch.cat([samples, one_hot], 1)
    encoder, decoder = model.autoencoder.encoder.linears[0], model.autoencoder.decoder.linears[0]
    codes = values @ encoder.weight.T + encoder.bias
    outputs = torch.cat([codes, one_hot], 1) @ decoder.weight.T + decoder.bias
    assert torch.allclose(model.reconstruct(samples, labels), outputs, atol=1e-5)


def test_what_is_logged_between_is_the_loss_alone(fit, tiny_data):
    model, last = make(AE), LastOutputs()
    fit(model, tiny_data(shape=(4,)), last)
    # Decibels are of pixels.
    assert set(last.outputs) == {"loss/autoencoder", "loss/reconstruction", "reconstruction/mse"}
    model.measuring = False
    assert set(model.loss_of("autoencoder", torch.randn(3, 4), None)[1]) == {"loss/autoencoder"}


def test_tied_weights_are_one_matrix():
    model = make(AE, [4], tied=True)
    weight = model.autoencoder.encoder.linears[0].weight
    assert torch.equal(model.autoencoder.decoder.linears[0].weight, weight.T)
    shapes = sorted(tuple(parameter.shape) for parameter in model.parameters_of("autoencoder"))
    assert shapes == [(2,), (2, 4), (4,)]


def test_filters_are_the_first_layers_weights_without_those_of_the_conditions():
    model = make(AE, IMAGES, widths=[5], condition_size=2)
    filters = model.filters()
    assert filters.shape == (5, *IMAGES)
    assert torch.equal(filters.flatten(1), model.autoencoder.encoder.linears[0].weight[:, :6])


def test_examining_changes_nothing(fit, tiny_data):
    data = tiny_data(shape=(4,))
    plain, watched = make(AE), make(AE)

    class Watch(LastOutputs):
        def on_train_batch_end(self, trainer, module, *rest):
            module.examine(data.batches[0].samples)
            module.encode(data.batches[0].samples)
            assert all(part.training for part in module.autoencoder.modules())

    fit(plain, data), fit(watched, data, Watch())
    for a, b in zip(plain.parameters(), watched.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"shape": [4], "reconstruction": "bernoulli"}, "model.reconstruction=bernoulli: .* holds points"),
        ({"shape": IMAGES, "reconstruction": "bernoulli", "output": "linear"}, "model.output=linear: "),
        ({"shape": IMAGES, "std": "learned"}, "model.std=learned: model.reconstruction=squared has no"),
        ({"shape": IMAGES, "std": 0.5}, "model.std=0.5: model.reconstruction=squared has no standard deviation"),
        ({"shape": [4], "latent_dim": 4}, "model.latent_dim=4: .* 4 values may copy"),
        ({"shape": IMAGES, "latent_dim": 7}, "model.latent_dim=7: .* 6 values may copy"),
    ],
)
def test_what_makes_no_sense_is_refused(options, told):
    with pytest.raises(ConfigError, match=told) as error:
        make(AE, **options)
    assert "\n" not in str(error.value)


def test_a_batch_of_pairs_is_cut_with_its_conditions():
    model = make(AE, [4], condition_size=2, accumulate=2)
    batch = Batch(torch.arange(16.0).view(4, 4), torch.tensor([0, 1, 1, 0]))
    parts = model._parts(batch)
    assert [samples[0, 0].item() for samples, _ in parts] == [0, 8]
    assert [condition.argmax(1).tolist() for _, condition in parts] == [[0, 1], [1, 0]]
