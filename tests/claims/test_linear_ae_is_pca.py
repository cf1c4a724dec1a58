"""The linear autoencoder beside PCA: the measurements on models whose span is known, and the command itself."""

import json
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from ganlab.claims.linear_ae_is_pca import alignment, decoder_columns, error_ratio, pixel_error, principal_components
from ganlab.config.resume import LAST_CHECKPOINT
from ganlab.metrics.principal import PrincipalComponents
from living import gone, with_descendants


class Affine:
    """Encodes and decodes by a matrix with orthonormal columns [values, k], mixed by `mixing` [k, k], and a mean."""

    def __init__(self, basis, mixing, mean):
        self.basis, self.mixing, self.mean = basis, mixing, mean
        self.latent_dim = basis.shape[1]

    def double(self):
        return self

    def decode(self, codes):
        return (codes.double() @ (self.basis @ self.mixing).T + self.mean).unflatten(1, (1, 2, 3))

    def reconstruct(self, samples):
        codes = (samples.flatten(1).double() - self.mean) @ self.basis @ torch.linalg.inv(self.mixing).T
        return self.decode(codes)


@pytest.fixture
def samples():
    random = torch.Generator().manual_seed(0)
    scale = torch.tensor([5.0, 3.0, 2.0, 1.0, 0.5, 0.2])
    return (torch.randn(200, 6, generator=random) * scale + 1).unflatten(1, (1, 2, 3))


def run_of(samples, model):
    data = SimpleNamespace(examples=lambda count, split: SimpleNamespace(samples=samples))
    return SimpleNamespace(model=model, data=data)


def test_a_model_that_spans_the_components_has_their_error_and_no_other(samples):
    fitted = PCA(2).fit(samples.flatten(1).numpy())
    basis, mean = torch.tensor(fitted.components_).T.double(), torch.tensor(fitted.mean_).double()
    mixing = torch.tensor([[0.5, 2.0], [-1.0, 0.3]]).double()
    model = Affine(basis, mixing, mean)
    principal = principal_components(run_of(samples, model))
    assert error_ratio(run_of(samples, model), principal) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(decoder_columns(model), basis @ mixing, atol=1e-6)
    third = torch.tensor(PCA(3).fit(samples.flatten(1).numpy()).components_[[0, 2]]).T.double()
    worse = error_ratio(run_of(samples, Affine(third, mixing, mean)), principal)
    variances = PCA().fit(samples.flatten(1).numpy()).explained_variance_
    assert worse == pytest.approx((variances.sum() - variances[[0, 2]].sum()) / variances[2:].sum(), rel=1e-5)


def test_alignment_of_columns():
    directions = torch.eye(4)[:, :2].double()
    assert alignment(torch.tensor([[0.0, -7], [3, 0], [0, 0], [0, 0]]).double(), directions) == pytest.approx(1)
    turned = torch.tensor([[1.0, 1], [1, -1], [0, 0], [0, 0]]).double()
    assert alignment(turned, directions) == pytest.approx(np.sqrt(0.5))
    assert alignment(torch.tensor([[0.0], [0], [1], [0]]).double(), directions) == 0


def test_pcas_error_is_that_of_pixels_from_0_to_1(samples):
    run = run_of(samples, SimpleNamespace(latent_dim=2))
    fitted = PCA(2).fit(samples.flatten(1).numpy() / 2 + 0.5)
    pixels = samples.flatten(1).numpy() / 2 + 0.5
    error = np.square(fitted.inverse_transform(fitted.transform(pixels)) - pixels).mean()
    assert pixel_error(run, principal_components(run)) == pytest.approx(error, rel=1e-4)


def test_components_are_of_all_training_samples(samples):
    principal = principal_components(run_of(samples, SimpleNamespace(latent_dim=3)))
    assert isinstance(principal, PrincipalComponents) and principal.directions.shape == (6, 3)
    np.testing.assert_allclose(principal.mean, samples.flatten(1).double().mean(0), atol=1e-6)


def command(folder, *words):
    return [sys.executable, "-m", "ganlab.claim", "linear_ae_is_pca", "seeds=0", f"output={folder}", *words]


@pytest.mark.slow
def test_the_command_with_a_part_of_the_budget(tmp_path):
    """After a twentieth of the iterations it is near PCA already, and never below it."""
    ended = subprocess.run(command(tmp_path, "budget=0.05"), capture_output=True, text=True, timeout=240)
    assert ended.returncode == 0, ended.stderr
    report = json.loads((tmp_path / "claim.json").read_text())
    ratio, angle = (check["values"][0] for check in report["checks"])
    assert 1 <= ratio < 1.5 and 0 <= angle < 90
    assert (tmp_path / "figure.png").exists() and (tmp_path / "runs" / "linear_seed0" / "results.json").exists()
    assert "of the budget, for which the bounds are not meant" in ended.stdout


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="its system tells which processes another one has")
def test_ctrl_c_leaves_no_process_and_the_experiment_goes_on(tmp_path):
    process = subprocess.Popen(command(tmp_path), stderr=subprocess.PIPE, text=True)
    folder, until = tmp_path / "runs" / "linear_seed0", time.monotonic() + 240
    while not (folder / "metrics.csv").exists() and time.monotonic() < until:
        time.sleep(0.1)
    children = with_descendants(process.pid)[1:]
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert errors.splitlines()[-1].startswith("stopped; go on with: ")
    assert children and gone(*children)
    assert (folder / LAST_CHECKPOINT).exists() and not (folder / "results.json").exists()
    ended = subprocess.run(command(tmp_path), capture_output=True, text=True, timeout=240)
    assert "trained 1 of 1: linear_seed0" in ended.stdout and "verdict:  held" in ended.stdout
