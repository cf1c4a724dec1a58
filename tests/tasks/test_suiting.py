"""Which scores are computed of what, unasked and asked, and what is said of one that cannot be."""

from types import SimpleNamespace

import pytest
import torch

from ganlab.errors import ConfigError, DataError
from ganlab.metrics.extractors.digits import Digits
from ganlab.metrics.extractors.random_conv import RandomConv
from ganlab.tasks.suiting import build_extractor, choose_monitor, choose_scores

FEATURES = ["fd", "kd", "precision", "recall", "density", "coverage"]


def part(length, infinite=False):
    return type("Part", (), {"__len__": lambda self: length, "infinite": infinite})()


def data(extractor="random_conv", length=100, infinite=False, classes=0, mixture=None, channels=False):
    return SimpleNamespace(
        name="data", extractor=extractor, train=part(length, infinite), num_classes=classes, mixture=mixture,
        digit_channels=channels,
    )  # fmt: skip


def model(condition_size=0, generates=True):
    return SimpleNamespace(name="model", condition_size=condition_size, generates=generates)


@pytest.mark.parametrize(
    ("given", "of_model", "extractor", "expected"),
    [
        (data(), model(), RandomConv, [*FEATURES, "auth_pct", "one_nn", "ms_ssim"]),
        (data(length=50_000), model(), RandomConv, [*FEATURES, "one_nn", "ms_ssim"]),
        (data(infinite=True), model(), RandomConv, [*FEATURES, "one_nn", "ms_ssim"]),
        (
            data("digits", classes=10),
            model(10),
            Digits,
            [*FEATURES, "auth_pct", "one_nn", "classifier_score", "class_kl", "ms_ssim", "label_agreement"],
        ),
        (
            data("digits", infinite=True, channels=True, classes=1000),
            model(1000),
            Digits,
            [*FEATURES, "one_nn", "ms_ssim", "modes", "mode_kl"],
        ),
        (data(None, infinite=True), model(), None, ["one_nn", "w1", "w2"]),
        (
            data(None, infinite=True, mixture=(torch.zeros(8, 2), 0.1)),
            model(),
            None,
            ["one_nn", "w1", "w2", "modes", "modes_strict", "high_quality", "mode_kl"],
        ),
        (
            data("digits", classes=10),
            model(10, generates=False),
            Digits,
            [*FEATURES, "auth_pct", "one_nn", "classifier_score", "class_kl", "ms_ssim"],
        ),
    ],
    ids=["images", "many images", "endless images", "digits", "stacked", "points", "mixture", "autoencoder"],
)
def test_unasked_come_all_that_mean_something(given, of_model, extractor, expected):
    assert choose_scores("auto", of_model, given, extractor and extractor(), samples=100) == expected


def test_a_fifth_neighbour_needs_six_samples():
    assert choose_scores("auto", model(), data(), RandomConv(), samples=5) == [
        "fd", "kd", "auth_pct", "one_nn", "ms_ssim",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match=r"metrics.scores=recall: it needs at least 6 samples of each side.* 5;"):
        choose_scores(["fd", "recall"], model(), data(), RandomConv(), samples=5)
    assert choose_scores("auto", model(), data(), RandomConv(), samples=1) == []


@pytest.mark.parametrize(
    ("score", "given", "reason"),
    [
        ("fd", data(None), "it needs images, and this is model=model on data=data"),
        ("w1", data(), "it needs points"),
        ("modes", data(), "it needs a mixture of Gaussians"),
        ("label_agreement", data(), "it needs a model of class labels"),
        ("class_kl", data(), "it needs images and an extractor that classifies them"),
        ("auth_pct", data(infinite=True), "it needs images and a finite training set"),
        ("fid", data(), "fid: that is fd by the extractor inception, and here it is random_conv"),
    ],
)
def test_what_was_asked_for_and_cannot_be_is_refused(score, given, reason):
    with pytest.raises(ConfigError, match=f"metrics.scores={score}.*") as told:
        choose_scores([score], model(), given, None if given.extractor is None else RandomConv(), samples=100)
    assert reason in str(told.value) and "\n" not in str(told.value)


def test_what_is_asked_for_keeps_its_order_and_comes_once():
    asked = ["recall", "fd_random_conv", "fd", "auth_pct"]
    assert choose_scores(asked, model(), data(length=10**6), RandomConv(), samples=100) == ["recall", "fd", "auth_pct"]
    assert choose_scores([], model(), data(), RandomConv(), samples=100) == []


@pytest.mark.parametrize(
    ("asked", "kinds", "expected"),
    [
        ("auto", ["precision", "fd"], "fd"),
        ("auto", ["one_nn", "w2", "w1"], "w1"),
        ("auto", ["recall"], "recall"),
        ("auto", [], None),
        ("fd_digits", ["fd"], "fd"),
    ],
)
def test_the_monitored_score(asked, kinds, expected):
    assert choose_monitor(asked, kinds) == expected


def test_a_monitored_score_that_is_not_computed_is_refused():
    with pytest.raises(ConfigError, match=r"metrics\.monitor=recall: it is not computed.*choose one of fd, kd"):
        choose_monitor("recall", ["fd", "kd"])


def test_the_data_choose_an_extractor_unless_one_is_named(tmp_path):
    auto = {"_target_": "auto"}
    assert build_extractor(auto, data("digits")).name == "digits"
    assert build_extractor(auto, data("random_conv")).name == "random_conv"
    assert build_extractor(auto, data(None)) is None
    assert build_extractor({"_target_": "ganlab.metrics.extractors.random_conv.RandomConv"}, data("digits")).name == (
        "random_conv"
    )
    flatten = build_extractor({"_target_": "torch.nn.Flatten"}, data())
    assert flatten.name == "Flatten"
    with pytest.raises(ConfigError, match=r"torch\.nn\.Nothing cannot be made"):
        build_extractor({"_target_": "torch.nn.Nothing"}, data())
    inception = {"_target_": "ganlab.metrics.extractors.inception.Inception", "weights": str(tmp_path / "w.pth")}
    with pytest.raises(DataError, match=r"w\.pth"):
        build_extractor(inception, data())
