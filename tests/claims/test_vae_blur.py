"""How sharp images are: against scipy, and images whose spectrum is known."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, laplace

from ganlab.claims.lab import Lab
from ganlab.claims.vae_blur import GAN, REAL, VAE, fine_power, investigate, radial_spectrum, sharpness


def noise(count=6, size=16):
    return torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(3)) * 2 - 1


def test_sharpness_is_the_variance_of_scipys_laplacian():
    images = noise()
    expected = [laplace((image[0].double().numpy() + 1) / 2)[1:-1, 1:-1].var() for image in images]
    assert sharpness(images).tolist() == pytest.approx(expected, rel=1e-9)


def test_what_is_flat_or_a_ramp_has_none():
    ramp = torch.linspace(-1, 1, 16).expand(1, 1, 16, 16)
    assert sharpness(torch.cat([ramp, torch.full_like(ramp, 0.3)])).tolist() == pytest.approx([0, 0], abs=1e-12)


def test_blur_lowers_it_step_by_step():
    values = []
    for sigma in (0, 0.5, 1, 2):
        blurred = gaussian_filter(noise().numpy(), (0, 0, sigma, sigma))
        values.append(float(sharpness(torch.from_numpy(blurred)).mean()))
    assert values == sorted(values, reverse=True) and values[-1] < 0.01 * values[0]


@pytest.mark.parametrize("cycles", [2, 5])
def test_a_wave_has_its_power_at_its_frequency(cycles):
    along = torch.arange(32) / 32
    wave = torch.sin(2 * math.pi * cycles * along).expand(1, 1, 32, 32)
    for image in (wave, wave.transpose(2, 3)):
        spectrum = radial_spectrum(image)
        assert len(spectrum) == 16
        assert np.argmax(spectrum) == cycles - 1
        # The window spreads a line over its neighbours and no further.
        assert spectrum[cycles + 2 :].max() < 1e-3 * spectrum[cycles - 1]


def test_a_constant_counts_for_nothing_and_contrast_by_its_square():
    images = noise()
    assert np.allclose(radial_spectrum(images * 0.5 + 0.25), 0.25 * radial_spectrum(images))


def test_fine_power_is_that_of_the_upper_half():
    assert fine_power(np.array([8.0, 4.0, 2.0, 1.0])) == 3


@pytest.mark.slow
@pytest.mark.long
def test_in_a_short_run_the_vae_is_the_blurrier_one(tmp_path):
    sharp = investigate(Lab("vae_blur", tmp_path, (0,), 0.3, 2)).numbers["sharpness"]
    assert sharp[VAE][0] < sharp[REAL][0] and sharp[VAE][0] < sharp[GAN][0]
