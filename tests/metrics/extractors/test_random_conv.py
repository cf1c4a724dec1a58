from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.signal import correlate

from ganlab.data.digits import digit_images, stratified_split
from ganlab.metrics.extractors.random_conv import RandomConv
from ganlab.metrics.frechet import FrechetDistance, GaussianStatistics


def images(*shape, seed=0):
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def test_the_filters_are_these_for_ever():
    assert RandomConv().weights_hash() == "3da138fef9043d48228b44f168016fba47a194a68493b6d7f0380bb096de4022"
    hashes = {RandomConv(seed=seed, width=width).weights_hash() for seed in (0, 1) for width in (8, 16)}
    assert len(hashes) == 4
    assert RandomConv(seed=3, width=8).description()["seed"] == 3


def test_the_filters_are_drawn_as_he_has_them():
    extractor = RandomConv(width=64)
    for stage, fan_in in enumerate((27, 64 * 9, 128 * 9)):
        filters = extractor.get_buffer(f"filters{stage}")
        assert filters[0].numel() == fan_in
        assert filters.var() * fan_in == pytest.approx(2, rel=0.06)
        assert filters.sum((1, 2, 3)).abs().max() < 1e-5
        assert filters.unique().numel() > 0.99 * filters.numel()


def by_hand(extractor, image):
    maps = image.astype(np.float64) / 12.75 - 10
    features = [maps.mean((1, 2)), maps.std((1, 2))]
    for stage in range(3):
        padded = np.pad(maps, ((0, 0), (1, 1), (1, 1)), mode="edge")
        filters = extractor.get_buffer(f"filters{stage}").double().numpy()
        maps = np.stack([correlate(padded, f, mode="valid")[0, ::2, ::2] for f in filters]).clip(0)
        features += [maps.mean((1, 2)), maps.std((1, 2))]
    return np.concatenate(features)


@pytest.mark.parametrize("shape", [(4, 4), (5, 7), (16, 16), (33, 20)])
def test_the_features_by_hand(shape):
    extractor = RandomConv(width=4)
    batch = images(3, 3, *shape)
    features, logits = extractor(batch)
    assert logits is None
    assert features.shape == (3, 62) == (3, extractor.dimension)
    for row in range(3):
        assert np.abs(features[row].numpy() - by_hand(extractor, batch[row].numpy())).max() < 1e-4


def test_gray_is_three_equal_channels():
    gray = images(4, 1, 12, 12)
    assert torch.equal(RandomConv()(gray).features, RandomConv()(gray.repeat(1, 3, 1, 1)).features)


def test_brightness_alone_is_seen_in_the_image_only():
    dark, bright = (RandomConv()(torch.full((1, 3, 8, 8), value, dtype=torch.uint8)).features[0] for value in (0, 255))
    assert dark[:3].tolist() == [-10] * 3 and bright[:3].tolist() == [10] * 3
    assert dark[3:].abs().max() < 1e-4 and bright[3:].abs().max() < 1e-4


def test_images_that_are_too_small():
    with pytest.raises(ValueError, match=r"at least 4x4 pixels, not \[3, 9\]"):
        RandomConv()(images(2, 1, 3, 9))


@pytest.mark.parametrize("size", [16, 32])
def test_it_catches_blur(size):
    digits, labels = digit_images(size, 1)
    train, test = stratified_split(labels, 0.5, 0)
    extractor = RandomConv()
    reference = GaussianStatistics.of(extractor(digits[train]).features)

    def distance(sigma):
        blurred = gaussian_filter(digits[test].numpy().astype(float), (0, 0, sigma, sigma))
        metric = FrechetDistance(reference)
        metric.update(extractor(torch.from_numpy(np.rint(blurred).clip(0, 255).astype(np.uint8))).features)
        return metric.compute().item()

    floor, *distances = [distance(sigma) for sigma in (0, 0.4, 0.6, 1, 2)]
    assert 0 < 1.2 * floor < distances[0]
    assert all(2 * less < more for less, more in pairwise(distances))
