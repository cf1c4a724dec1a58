"""Errors of codes of several lengths: PCA's against scikit-learn's, and the direction at a part of the budget."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from ganlab.claims.code_size import LENGTHS, LINEAR, NAMES, investigate, pixel_error, told, training_error
from ganlab.claims.composing import settings_of
from ganlab.claims.fitting import Fitted
from ganlab.claims.lab import Lab
from ganlab.metrics.principal import PrincipalComponents


def test_pcas_error_is_that_of_pixels_from_0_to_1():
    random = torch.Generator().manual_seed(0)
    train, test = (torch.rand(count, 1, 3, 3, generator=random) * 2 - 1 for count in (50, 20))
    fitted = PCA(4).fit((train.flatten(1).numpy() + 1) / 2)
    pixels = (test.flatten(1).numpy() + 1) / 2
    error = np.square(fitted.inverse_transform(fitted.transform(pixels)) - pixels).mean()
    assert pixel_error(PrincipalComponents([train], 4), test) == pytest.approx(error, rel=1e-5)


def test_a_models_error_is_that_of_pixels_from_0_to_1():
    class Constant:
        def double(self):
            return self

        def reconstruct(self, samples):
            return torch.full_like(samples, 0.5)

    samples = torch.tensor([[[[1.0, -1.0]]]])
    assert training_error(Fitted("", 0, {}, Constant(), None), samples) == pytest.approx((0.25**2 + 0.75**2) / 2)


def test_the_linear_arm_is_linear_and_sees_all_training_images_at_a_time():
    settings = settings_of(["experiment=claims/code_size", "model.latent_dim=4", *LINEAR])
    for coder in ("encoder", "decoder"):
        assert settings["model"][coder]["widths"] == [] and settings["model"][coder]["activation"] == "linear"
    assert settings["model"]["encoder"]["code_activation"] == "linear"
    assert settings["model"]["output"] == "linear" and settings["model"]["latent_dim"] == 4
    assert settings["data"]["batch_size"] == 899


def test_the_deep_arm_is_what_its_name_says():
    model = settings_of(["experiment=claims/code_size"])["model"]
    assert f"64-{'-'.join(map(str, model['encoder']['widths']))}-code" in NAMES["deep"]


def test_what_is_told_of_long_codes_depends_on_who_wins():
    assert "PCA wins" in told([0.9, 1.2]) and "PCA wins" not in told([0.5, 0.9])


@pytest.mark.slow
def test_a_short_code_is_better_than_pcas_after_a_part_of_the_budget(tmp_path):
    finding = investigate(Lab("code_size", tmp_path, (0,), budget=0.2))
    ratios = {length: finding.checks[place].values[0] for place, length in enumerate((2, 4, 8))}
    assert ratios[2] < 1 and ratios[4] < 1
    assert min(finding.checks[3].values) >= 1, "nothing linear is below the optimum"
    assert np.all(np.diff(finding.numbers["pca"]) < 0) and len(finding.numbers["deep"][0]) == len(LENGTHS)
