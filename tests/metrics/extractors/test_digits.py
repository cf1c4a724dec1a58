import hashlib
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.ndimage import gaussian_filter
from scipy.signal import correlate
from scipy.special import log_softmax, softmax

from ganlab.data.digits import digit_images, stratified_split
from ganlab.errors import DataError
from ganlab.metrics.extractors.base import extract
from ganlab.metrics.extractors.digits import WEIGHTS, WEIGHTS_SHA256, Digits, read_weights


@pytest.fixture(scope="module")
def extractor():
    return Digits()


def halves(size=16, margin=1):
    """(images, labels) of the half that the weights were made from, and of the other one."""
    images, labels = digit_images(size, margin)
    train, test = stratified_split(labels, 0.5, 0)
    return (images[train], labels[train]), (images[test], labels[test])


# -- the file ----------------------------------------------------------------------------------------------------


def test_the_weights_are_these_for_ever():
    """Other weights are another metric: fd_digits of before could not be compared any more."""
    assert WEIGHTS_SHA256 == "411fed088683ddffe070bdf826d1a2bd9eb34ca7acdde7567836fcc15b4bbce0"
    content = WEIGHTS.read_bytes()
    assert hashlib.sha256(content).hexdigest() == WEIGHTS_SHA256
    assert len(content) < 400_000
    assert Digits().weights_hash() == "7996311d76ef062c84f2beef212e758d4cfedce0a77dd00d0ff7a07bae6f4e36"


def test_a_damaged_file_is_told_in_a_line(tmp_path):
    content = bytearray(WEIGHTS.read_bytes())
    content[50_000] ^= 1
    file = tmp_path / "digits.npz"
    file.write_bytes(content)
    with pytest.raises(DataError) as error:
        read_weights(file, WEIGHTS_SHA256)
    assert str(error.value).startswith(f"{file}: damaged") and "\n" not in str(error.value)
    with pytest.raises(DataError, match=r"absent\.npz: cannot be read \(No such file"):
        read_weights(tmp_path / "absent.npz", WEIGHTS_SHA256)


# -- what it computes --------------------------------------------------------------------------------------------


def by_hand(image):
    """Features [64] and logits [10] of an image [16, 16] in [0, 1], in float64 by scipy from the file's arrays."""
    weights = {name: array.astype(np.float64) for name, array in np.load(WEIGHTS).items()}
    maps = image[None]
    for layer in ("conv1", "conv2", "conv3"):
        padded = np.pad(maps, ((0, 0), (1, 1), (1, 1)))
        filters, bias = weights[f"{layer}.weight"], weights[f"{layer}.bias"]
        maps = np.stack([correlate(padded, f, mode="valid")[0] + b for f, b in zip(filters, bias, strict=True)])
        maps = maps.clip(0)
        if layer != "conv3":
            size = maps.shape[1] // 2
            maps = maps.reshape(len(maps), size, 2, size, 2).max((2, 4))
    features = weights["penultimate.weight"] @ maps.ravel() + weights["penultimate.bias"]
    return features, weights["head.weight"] @ features.clip(0) + weights["head.bias"]


def test_the_network_by_hand(extractor):
    (images, _), _ = halves()
    features, logits = extractor(images[:4])
    assert features.shape == (4, 64) and logits.shape == (4, 10)
    for row in range(4):
        exact_features, exact_logits = by_hand(images[row, 0].numpy() / 255)
        assert np.abs(features[row].numpy() - exact_features).max() < 1e-4
        assert np.abs(logits[row].numpy() - exact_logits).max() < 1e-4


def test_each_channel_is_a_digit_of_its_own(extractor):
    _, (images, _) = halves()
    red, green, blue = images[:20], images[20:40], images[40:60]
    alone = [extractor(channel) for channel in (red, green, blue)]
    stacked = torch.cat([red, green, blue], 1)
    features, logits = extractor(stacked)
    assert torch.allclose(features, torch.cat([part.features for part in alone], 1), atol=1e-4)
    exact = np.mean([log_softmax(part.logits.double().numpy(), 1) for part in alone], axis=0)
    assert np.abs(logits.numpy() - exact).max() < 1e-4
    channels = extractor.channel_logits(stacked)
    assert channels.shape == (20, 3, 10)
    assert torch.allclose(channels, torch.stack([part.logits for part in alone], 1), atol=1e-4)


def test_gray_as_colour_is_the_same_class_with_the_same_certainty(extractor):
    _, (images, _) = halves()
    gray, colour = extractor(images[:50]), extractor(images[:50].repeat(1, 3, 1, 1))
    assert np.abs(softmax(gray.logits.numpy(), 1) - softmax(colour.logits.numpy(), 1)).max() < 1e-5
    assert torch.equal(extractor.channel_logits(images[:50])[:, 0], gray.logits)


def test_stacked_digits_are_counted_undisturbed(extractor):
    _, (images, labels) = halves()
    rows = torch.randint(len(images), (500, 3), generator=torch.Generator().manual_seed(0))
    stacks = images[rows, 0]
    plain = extractor.channel_logits(stacks)
    assert (plain.argmax(2) == labels[rows]).float().mean() > 0.985
    state = torch.get_rng_state()
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.inference_mode():
        assert torch.equal(extractor.channel_logits(stacks.clone()), plain)
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(ValueError, match="images are uint8"):
        extractor.channel_logits(stacks.float())


@pytest.mark.parametrize(
    ("size", "margin", "least"),
    [(16, 1, 0.99), *[(size, 1, 0.97) for size in (8, 28, 32, 64)], *[(s, 0, 0.97) for s in (8, 16, 28, 32, 64)]],
)
def test_it_reads_digits_that_it_never_saw_in_any_size(extractor, size, margin, least):
    _, (images, labels) = halves(size, margin)
    logits = extract(extractor, images, 256, "cpu").logits
    assert (logits.argmax(1) == labels).float().mean() >= least


def test_it_reads_digits_in_the_wide_frame_of_mnist(extractor):
    _, (images, labels) = halves(28, 2)
    assert (extractor(images).logits.argmax(1) == labels).float().mean() >= 0.97


def test_images_need_not_be_square(extractor):
    _, (images, labels) = halves(32)
    assert (extractor(images[:, :, :, ::2]).logits.argmax(1) == labels).float().mean() >= 0.97


# -- damage ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def distance(extractor):
    """Fréchet distance of images from the training half, by scipy's root of a matrix."""
    (images, _), _ = halves()
    reference = extractor(images).features.double().numpy()

    def measured(damaged):
        features = extract(extractor, damaged, 500, "cpu").features.double().numpy()
        ours, theirs = np.cov(features.T), np.cov(reference.T)
        shift = features.mean(0) - reference.mean(0)
        return shift @ shift + np.trace(ours + theirs - 2 * sqrtm(ours @ theirs).real)

    return measured


def to_bytes(values):
    return torch.from_numpy(np.rint(values).clip(0, 255).astype(np.uint8))


def blurred(images, labels, sigma):
    return to_bytes(gaussian_filter(images.numpy().astype(float), (0, 0, sigma, sigma)))


def noisy(images, labels, sd):
    return to_bytes(images.numpy() + np.random.default_rng(0).normal(0, sd, images.shape))


def shifted(images, labels, pixels):
    return images.roll(pixels, 3)


def dropped(images, labels, classes):
    return images[labels >= classes]


def repeated(images, labels, times):
    return images[torch.randperm(len(images), generator=torch.Generator().manual_seed(0)) % (len(images) // times)]


@pytest.mark.parametrize(
    ("damage", "amounts"),
    [
        (blurred, [0.4, 0.6, 1, 2]),
        (noisy, [5, 15, 40, 80]),
        (shifted, [1, 2, 3]),
        (dropped, [1, 2, 4, 7]),
        (repeated, [4, 16, 64]),
    ],
)
def test_more_damage_is_further_away(distance, damage, amounts):
    _, (images, labels) = halves()
    floor = distance(images)
    distances = [distance(damage(images, labels, amount)) for amount in amounts]
    assert 0 < floor < distances[0]
    assert all(less < more for less, more in pairwise(distances))
    assert distances[-1] > 20 * floor
