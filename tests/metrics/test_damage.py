"""Every score moves the way it should when real digits are damaged, step by step and beyond the floor of real ones.

The floor: the training half of the digits in the place of generated ones, against the other half.
"""

import pytest
import torch
from scipy import ndimage

from ganlab.data.digits import digit_images, stratified_split
from ganlab.metrics.computing import Scene, compute_scores, quantised_as_float
from ganlab.metrics.extractors.digits import Digits
from ganlab.metrics.extractors.random_conv import RandomConv
from ganlab.metrics.label_agreement import LabelAgreement
from ganlab.metrics.observation import observe
from ganlab.metrics.references import reference_of

torch.set_num_threads(1)
KINDS = [
    "fd", "kd", "precision", "recall", "density", "coverage", "auth_pct", "one_nn", "classifier_score", "class_kl",
    "ms_ssim", "label_agreement",
]  # fmt: skip
EXTRACTORS = {"digits": Digits, "random_conv": RandomConv}


@pytest.fixture(scope="module")
def halves():
    images, labels = digit_images(16, 1)
    train, test = stratified_split(labels, 0.5, 0)
    return (images[train], labels[train]), (images[test], labels[test])


@pytest.fixture(scope="module")
def scores(halves):
    """scores(images, labels, kinds, extractor): what images in the place of generated ones score."""
    (train, train_labels), (test, test_labels) = halves
    agreement = LabelAgreement(quantised_as_float(train), train_labels)
    known = {}

    def score(images, labels, kinds, extractor="digits"):
        if extractor not in known:
            network = EXTRACTORS[extractor]()
            known[extractor] = (
                network,
                reference_of(test, test_labels, network, split="test"),
                reference_of(train, train_labels, network, split="train"),
            )
        network, reference, training = known[extractor]
        generated = observe(images, labels, network, 256)
        scene = Scene(generated, reference, training=training, agreement=agreement)
        return {kind: score.value for kind, score in compute_scores(kinds, scene).items()}

    return score


def blurred(images, labels, sigma):
    return torch.from_numpy(ndimage.gaussian_filter(images.numpy(), (0, 0, sigma, sigma))), labels


def noisy(images, labels, std):
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(1)) * std * 255
    return (images.float() + noise).round().clamp(0, 255).to(torch.uint8), labels


def shifted(images, labels, pixels):
    moved = torch.zeros_like(images)
    moved[..., pixels:] = images[..., : images.shape[-1] - pixels]
    return moved, labels


def dropped(images, labels, classes):
    """Without the first classes; those that stay are repeated to the same count."""
    kept = (labels >= classes).nonzero().flatten()
    rows = kept[torch.arange(len(images)) % len(kept)]
    return images[rows], labels[rows]


def repeated(images, labels, distinct):
    """So many different images, over and over."""
    rows = torch.randperm(len(images), generator=torch.Generator().manual_seed(2))[:distinct]
    rows = rows[torch.arange(len(images)) % distinct]
    return images[rows], labels[rows]


def mislabelled(images, labels, share):
    wrong = torch.arange(len(labels)) < round(share * len(labels))
    return images, torch.where(wrong, (labels + 1) % 10, labels)


UP, DOWN = 1, -1
QUALITY = {"fd": UP, "kd": UP, "precision": DOWN, "density": DOWN, "coverage": DOWN, "one_nn": UP}
VARIETY = {"fd": UP, "kd": UP, "recall": DOWN, "coverage": DOWN, "one_nn": UP}
DAMAGES = {
    "blur": (blurred, [0.9, 1.3, 1.8], QUALITY | {"recall": DOWN, "label_agreement": DOWN, "ms_ssim": UP}),
    "noise": (noisy, [0.2, 0.35, 0.5], QUALITY | {"recall": DOWN, "classifier_score": DOWN}),
    "shift": (shifted, [1, 2, 4], QUALITY | {"recall": DOWN, "label_agreement": DOWN}),
    "dropped classes": (dropped, [2, 5, 8], VARIETY | {"class_kl": UP, "classifier_score": DOWN}),
    "copies": (repeated, [300, 60, 10], VARIETY | {"ms_ssim": UP}),
    "wrong labels": (mislabelled, [0.1, 0.4, 0.9], {"label_agreement": DOWN}),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_each_score_moves_as_it_should_at_every_step(scores, halves, name):
    damage, levels, expected = DAMAGES[name]
    train = halves[0]
    steps = [scores(*train, expected), *(scores(*damage(*train, level), expected) for level in levels)]
    for kind, direction in expected.items():
        values = [direction * step[kind] for step in steps]
        # A share that has come down to 0 cannot fall further; the first step is beyond the floor of real samples.
        assert values == sorted(values) and values[0] < values[1], (kind, [step[kind] for step in steps])


@pytest.mark.parametrize("name", ["blur", "noise", "shift", "dropped classes", "copies"])
def test_a_network_of_random_weights_sees_the_damage_too(scores, halves, name):
    damage, levels, _ = DAMAGES[name]
    train = halves[0]
    steps = [scores(*damage(*train, level), ["fd"], "random_conv")["fd"] for level in levels]
    floor = scores(*train, ["fd"], "random_conv")["fd"]
    assert floor < steps[0] and steps == sorted(steps)


def test_the_more_is_memorised_the_fewer_are_authentic(scores, halves):
    (train, _), (test, test_labels) = halves
    values = []
    for share in (0.0, 0.3, 0.7, 1.0):
        copied = torch.arange(len(test)) < share * len(test)
        images = torch.where(copied.view(-1, 1, 1, 1), train[: len(test)], test)
        values.append(scores(images, test_labels, ["auth_pct"])["auth_pct"])
    assert 40 < values[0] < 65 and values == sorted(values, reverse=True) and values[-1] == 0.0
    rest = [values[0] * (1 - share) for share in (0.0, 0.3, 0.7, 1.0)]
    assert values == pytest.approx(rest, abs=4), "real ones among them are judged as before"


def test_the_real_samples_are_near_the_ideal(scores, halves):
    floor = scores(*halves[0], KINDS)
    assert floor["precision"] > 0.85 and floor["recall"] > 0.85 and floor["coverage"] > 0.9
    assert floor["density"] == pytest.approx(1, abs=0.15)
    assert floor["one_nn"] == pytest.approx(0.5, abs=0.06)
    assert floor["classifier_score"] > 8.5 and floor["class_kl"] < 0.01
    assert floor["label_agreement"] > 0.95
    assert floor["auth_pct"] == 0.0, "the training half is no news to itself"
