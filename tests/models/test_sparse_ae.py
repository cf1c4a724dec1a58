import math

import pytest
import torch

from autoencoders import make
from ganlab.errors import ConfigError
from ganlab.models.sparse_ae import SparseAE, Sparsity

SIGMOID = {"code_activation": "sigmoid"}


def divergence(rho, means):
    return sum(rho * math.log(rho / m) + (1 - rho) * math.log((1 - rho) / (1 - m)) for m in means)


def test_the_loss_has_the_divergence_of_mean_activations():
    model = make(SparseAE, latent_dim=6, sparsity_weight=0.7, rho=0.1, encoder=SIGMOID)
    values = torch.randn(5, 4)
    codes = torch.sigmoid(model.autoencoder.encoder.linears[0](values))
    expected = 0.7 * divergence(0.1, codes.mean(0).tolist())
    loss, told = model.loss_of("autoencoder", values, None)
    assert told["loss/sparsity"].item() == pytest.approx(expected, rel=1e-4)
    assert loss.item() == pytest.approx(expected + told["loss/reconstruction"].item(), rel=1e-5)
    assert told["sparsity/mean_activation"].item() == pytest.approx(codes.mean().item())


def test_the_other_price_is_the_sum_of_absolute_codes():
    model = make(SparseAE, latent_dim=6, penalty="l1", sparsity_weight=0.7)
    values = torch.randn(5, 4)
    codes = model.autoencoder.encoder.linears[0](values)
    told = model.loss_of("autoencoder", values, None)[1]
    assert told["loss/sparsity"].item() == pytest.approx(0.7 * codes.abs().sum(1).mean().item(), rel=1e-5)


def test_a_running_mean_follows_the_batches_and_has_the_batchs_gradient():
    price = Sparsity(3, "kl", 1.0, 0.2, running_decay=0.75)
    codes = torch.rand(4, 3, requires_grad=True)
    expected, running = [], torch.full((3,), 0.2)
    for _ in range(3):
        running = 0.25 * codes.detach().mean(0) + 0.75 * running
        expected.append(divergence(0.2, running.tolist()))
        loss = price.terms(torch.nn.Identity(), lambda x: x, codes, codes, torch.rand)["loss/sparsity"]
        assert loss.item() == pytest.approx(expected[-1], rel=1e-4)
    (gradient,) = torch.autograd.grad(loss, codes)
    slope = [(-0.2 / m + 0.8 / (1 - m)) * 0.25 / 4 for m in running.tolist()]
    assert gradient[0].tolist() == pytest.approx(slope, rel=1e-3)


def test_a_running_mean_is_kept_in_single_precision():
    price = Sparsity(3, "kl", 1.0, 0.2, running_decay=0.75)
    codes = torch.rand(400, 3).bfloat16()
    price.terms(torch.nn.Identity(), lambda x: x, codes, codes, torch.rand)
    assert torch.allclose(price.running_mean, 0.25 * codes.double().mean(0).float() + 0.15, rtol=1e-5)


def test_dead_units_are_those_that_no_sample_wakes():
    price = Sparsity(4, "kl", 1.0, 0.1, running_decay=0.0)
    codes = torch.tensor([[0.5, 0.001, 0.02, 0.0], [0.0, 0.002, 0.0, 0.009]])
    assert price.describe(codes)["sparsity/dead_units"].item() == pytest.approx(0.5)


def test_training_brings_the_mean_activation_to_rho(fit, tiny_data):
    optimizer = {"algorithm": "adam", "lr": 0.02, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0}
    model = make(
        SparseAE, [6], latent_dim=12, sparsity_weight=50.0, encoder=SIGMOID, optimizer=optimizer, max_iterations=400
    )
    data = tiny_data(rows=32, shape=(6,))
    fit(model, data)
    activations = torch.cat([model.encode(batch.samples) for batch in data.batches])
    assert activations.mean().item() == pytest.approx(0.05, abs=0.01)
    assert (activations.mean(0) - 0.05).abs().max() < 0.02


def test_a_running_mean_without_a_divergence_is_refused():
    with pytest.raises(ConfigError, match=r"model.running_decay=0.9: an L1 price has no mean activation"):
        make(SparseAE, latent_dim=6, penalty="l1", running_decay=0.9)


def test_a_divergence_of_other_than_shares_is_refused():
    with pytest.raises(ConfigError, match=r"the KL price .* set model.encoder.code_activation=sigmoid"):
        make(SparseAE, latent_dim=6)
