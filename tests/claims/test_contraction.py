"""Jacobians of an encoder: against closed forms; the manifold's directions on a surface that is known."""

import numpy as np
import pytest
import torch

from ganlab.claims.contraction import TANGENTS, investigate, jacobians, measured, responses, spectrum, tangents
from ganlab.claims.fitting import fit_one
from ganlab.claims.lab import Lab


@pytest.fixture(scope="module")
def run():
    return fit_one(["experiment=claims/contraction", "trainer.max_iterations=20"])


def test_jacobians_of_a_sigmoid_layer_are_those_of_the_closed_form(run):
    samples = run.samples("test")[:7]
    layer = run.model.autoencoder.encoder.linears[0]
    codes = torch.sigmoid(layer((samples.flatten(1) + 1) / 2)).double()
    by_hand = (codes * (1 - codes))[:, :, None] * layer.weight.double()[None]
    np.testing.assert_allclose(jacobians(run, samples), by_hand, rtol=1e-4, atol=1e-7)


def test_the_squared_norm_is_that_which_training_watches(run):
    logged = run.model.held_out(run.samples("test"))["jacobian/squared_norm"].mean()
    assert measured(run)["norm"] == pytest.approx(float(logged), rel=1e-4)
    assert measured(run)["along"] * TANGENTS < measured(run)["norm"]


def test_the_spectrum_is_numpys(run):
    own = jacobians(run, run.samples("test")).numpy()
    np.testing.assert_allclose(spectrum(run), np.linalg.svd(own, compute_uv=False).mean(0), rtol=1e-6)


def test_tangents_are_those_of_the_surface_nearby():
    """Points near a flat sheet of five dimensions in twelve, and a second sheet far away."""
    random = torch.Generator().manual_seed(0)
    near, far = (torch.linalg.qr(torch.randn(12, TANGENTS, generator=random))[0] for _ in range(2))
    places = torch.rand(400, TANGENTS, generator=random)
    train = torch.cat([places @ near.T, places @ far.T + 100]) + 1e-3 * torch.randn(800, 12, generator=random)
    basis = tangents(train.unflatten(1, (1, 3, 4)), train[:9].unflatten(1, (1, 3, 4)))
    assert basis.shape == (9, 12, TANGENTS)
    np.testing.assert_allclose(basis.transpose(1, 2) @ basis, torch.eye(TANGENTS).expand(9, -1, -1), atol=1e-9)
    assert torch.linalg.svdvals(near.T.double() @ basis).min() > 0.99


def test_responses_are_means_over_directions_within_and_without():
    random = torch.Generator().manual_seed(1)
    jacobian = torch.randn(2, 3, 6, generator=random).double()
    whole = torch.linalg.qr(torch.randn(2, 6, 6, generator=random).double())[0]
    along, across = responses(jacobian, whole[:, :, :2])
    moved = (jacobian @ whole).square().sum(1)
    np.testing.assert_allclose(along, moved[:, :2].mean(1))
    np.testing.assert_allclose(across, moved[:, 2:].mean(1))


@pytest.mark.slow
def test_the_penalty_contracts_in_a_part_of_the_budget(tmp_path):
    finding = investigate(Lab("contraction", tmp_path, (0,), budget=0.2))
    own, plain = finding.numbers["contractive"], finding.numbers["plain"]
    assert own["norm"][0] < 0.5 * plain["norm"][0]
    assert own["large"][0] < plain["large"][0]
