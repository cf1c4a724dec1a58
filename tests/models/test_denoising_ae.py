import pytest
import torch

from autoencoders import make
from ganlab.errors import ConfigError
from ganlab.models.denoising_ae import DenoisingAE
from recording import recording

IMAGES = [1, 4, 5]


def images(count=200):
    return torch.rand(count, *IMAGES, generator=torch.Generator().manual_seed(1)) * 1.8 - 0.9


def test_the_encoder_sees_the_corrupted_and_the_loss_the_clean(fit, tiny_data):
    model = make(DenoisingAE, IMAGES, corruption_level=0.4, max_iterations=1)
    drawn = recording(model, "draw_shared")
    values = (images(6) + 1) / 2
    model.begin_iteration()
    passage = model.passed(values, None)
    masked = torch.where(drawn[0] < 0.4, 0.0, values)
    assert torch.equal(passage.inputs, masked)
    assert torch.equal(passage.values, values)
    model.begin_iteration()
    loss, _ = model.loss_of("autoencoder", values, None)
    made = torch.sigmoid(model.autoencoder(masked))
    assert loss.item() == pytest.approx((made - values).square().flatten(1).sum(1).mean().item(), rel=1e-5)


@pytest.mark.parametrize("corruption", ["masking", "gaussian", "salt_and_pepper"])
def test_corrupt_gives_samples_and_repeats_itself(corruption):
    model, samples = make(DenoisingAE, IMAGES, corruption=corruption, corruption_level=0.3), images()
    spoilt = model.corrupt(samples, torch.Generator().manual_seed(5))
    assert torch.equal(spoilt, model.corrupt(samples, torch.Generator().manual_seed(5)))
    moved = (spoilt - samples).abs() > 1e-6
    if corruption == "gaussian":
        # A standard deviation of values is twice that of samples.
        assert (spoilt - samples).std().item() == pytest.approx(0.6, rel=0.05)
        return
    assert moved.float().mean().item() == pytest.approx(0.3, abs=0.03)
    black = (spoilt[moved] == -1).float().mean().item()
    assert black == pytest.approx(1.0 if corruption == "masking" else 0.5, abs=0.05)


@pytest.mark.parametrize("train_corrupted", [True, False])
def test_examining_restores_what_was_corrupted(train_corrupted):
    model, samples = make(DenoisingAE, IMAGES, train_corrupted=train_corrupted), images(7)
    said = model.examine(samples, None, torch.Generator().manual_seed(3))
    spoilt = model.corrupt(samples, torch.Generator().manual_seed(3))
    restored = model.reconstruct(spoilt)
    # Errors of samples on [-1, 1] are twice those of values.
    for tag, made in (("restored_mse", restored), ("corrupted_mse", spoilt), ("mse", model.reconstruct(samples))):
        expected = (made - samples).square().flatten(1).mean(1) / 4
        assert torch.allclose(said[f"reconstruction/{tag}"], expected, rtol=1e-4)


def test_the_plain_one_for_comparison_is_trained_on_clean_values():
    model = make(DenoisingAE, IMAGES, train_corrupted=False)
    values = (images(6) + 1) / 2
    assert torch.equal(model.passed(values, None).inputs, values)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"corruption_level": 1.0}, "model.corruption_level=1: a share of the values, at least 0 and below 1"),
        ({"corruption": "salt_and_pepper", "shape": [4]}, "salt_and_pepper: .* holds points"),
    ],
)
def test_what_cannot_be_is_refused(options, told):
    with pytest.raises(ConfigError, match=told):
        make(DenoisingAE, **{"shape": IMAGES, **options})


def test_gaussian_noise_may_be_of_any_size():
    make(DenoisingAE, [4], corruption="gaussian", corruption_level=2.0)
