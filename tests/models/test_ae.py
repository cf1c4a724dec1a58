"""A linear autoencoder is principal component analysis (Baldi & Hornik 1989)."""

import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from autoencoders import ADAM, make
from conftest import TinyData
from ganlab.data.batch import Batch
from ganlab.models.ae import AE


@pytest.fixture(scope="module")
def digits():
    """8×8 digits as values in [0, 1], halves to train on and to test."""
    pixels = torch.from_numpy(load_digits().images).float().div(16).unsqueeze(1)
    return pixels[::2], pixels[1::2]


def trained(fit, digits, tied, seed, components=8, iterations=4000):
    """On whole batches, so that the gradient is exact and the optimum is reached."""
    optimizer = {**ADAM, "lr": 3e-2, "schedule": "cosine", "decay_from": 0.3}
    model = make(
        AE,
        [1, 8, 8],
        latent_dim=components,
        output="linear",
        tied=tied,
        encoder={"activation": "linear"},
        decoder={"activation": "linear"},
        optimizer=optimizer,
        max_iterations=iterations,
        seed=seed,
    )
    fit(model, TinyData([Batch(digits[0] * 2 - 1, None)]))
    return model


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_trained_to_convergence_it_is_pca(fit, digits, tied, seed):
    model = trained(fit, digits, tied, seed)
    train, test = (part.flatten(1).double().numpy() for part in digits)
    pca = PCA(8).fit(train)
    best = np.square(pca.inverse_transform(pca.transform(test)) - test).mean()
    error = model.examine(digits[1] * 2 - 1)["reconstruction/mse"].mean().item()
    assert error == pytest.approx(best, rel=0.01)
    columns = model.autoencoder.decoder.linears[0].weight.detach().double().numpy()
    assert np.rad2deg(subspace_angles(columns, pca.components_.T)[0]) <= 2


def test_pca_is_a_stationary_point_of_the_loss(digits):
    train = digits[0].flatten(1)
    pca = PCA(8).fit(train.double().numpy())
    model = make(AE, [1, 8, 8], latent_dim=8, output="linear").double()
    encoder, decoder = model.autoencoder.encoder.linears[0], model.autoencoder.decoder.linears[0]
    with torch.no_grad():
        for tensor, value in (
            (encoder.weight, pca.components_),
            (encoder.bias, -pca.components_ @ pca.mean_),
            (decoder.weight, pca.components_.T),
            (decoder.bias, pca.mean_),
        ):
            tensor.copy_(torch.from_numpy(value))
    loss, _ = model.loss_of("autoencoder", digits[0].double(), None)
    rest = np.square(pca.inverse_transform(pca.transform(train.numpy())) - train.numpy()).sum(1).mean()
    assert loss.item() == pytest.approx(rest, rel=1e-6)
    gradients = torch.autograd.grad(loss, [encoder.weight, encoder.bias, decoder.weight, decoder.bias])
    assert max(gradient.abs().max().item() for gradient in gradients) < 1e-5
