"""Which scores are computed of what, unasked and asked, and what is said of one that cannot be."""

from types import SimpleNamespace

import pytest
import torch

from ganlab.errors import ConfigError, DataError
from ganlab.metrics.extractors.digits import Digits
from ganlab.metrics.extractors.random_conv import RandomConv
from ganlab.tasks.suiting import build_extractor, choose_monitor, choose_scores, make_extractor, probe

FEATURES = ["fd", "kd", "precision", "recall", "density", "coverage"]


def part(length, infinite=False):
    labels = torch.arange(length) % 2
    return type("Part", (), {"__len__": lambda self: length, "infinite": infinite, "conditions": labels})()


def data(
    extractor="random_conv", length=100, infinite=False, classes=0, mixture=None, channels=False, shape=(1, 16, 16),
    held_out=50,
):  # fmt: skip
    return SimpleNamespace(
        name="data", extractor=extractor, train=part(length, infinite), num_classes=classes, mixture=mixture,
        digit_channels=channels, sample_shape=shape, test=part(held_out),
    )  # fmt: skip


def model(condition_size=0, generates=True, classifies=False):
    return SimpleNamespace(
        name="model", condition_size=condition_size, generates=generates, reconstructs=not generates,
        classifies=classifies,
    )  # fmt: skip


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
            [*FEATURES, "auth_pct", "one_nn", "classifier_score", "class_kl", "ms_ssim", "mse", "psnr"],
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
        ("accuracy", data(classes=10), "it needs a model that classifies (model=semi_supervised_gan) and a test set"),
        ("mse", data(), "it needs a model that encodes and decodes"),
        ("psnr", data(), "it needs images and a model that encodes"),
        ("restored_psnr", data(), "it needs images and a model that is trained on corrupted samples"),
        ("iw_bound", data(), "it needs a model with an evidence lower bound"),
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


@pytest.mark.parametrize(
    ("length", "shape", "offered"),
    [(5_000, (1, 16, 16), True), (5_001, (1, 16, 16), False), (700, (3, 64, 64), True), (2_000, (3, 64, 64), False)],
)
def test_a_kernel_classifier_is_fitted_only_where_it_takes_seconds(length, shape, offered):
    kinds = choose_scores("auto", model(2), data("digits", length, classes=2, shape=shape), Digits(), samples=100)
    assert ("label_agreement" in kinds) == offered


@pytest.mark.parametrize(
    ("of_model", "given", "offered"),
    [
        (model(classifies=True), data(classes=10), True),
        (model(classifies=True), data(None, infinite=True, classes=8), True),
        (model(), data(classes=10), False),
        (model(classifies=True), data(classes=0), False),
        (model(classifies=True), data(classes=1), False),
        (model(classifies=True), data(classes=10, held_out=0), False),
    ],
)
def test_accuracy_is_of_a_model_that_classifies_and_a_labelled_test_set(of_model, given, offered):
    extractor = RandomConv() if given.extractor else None
    assert ("accuracy" in choose_scores("auto", of_model, given, extractor, samples=100)) == offered
    if offered:
        assert choose_scores(["accuracy"], of_model, given, extractor, samples=100) == ["accuracy"]
        assert choose_monitor("accuracy", ["fd", "accuracy"]) == "accuracy"


def test_a_model_that_neither_generates_nor_reconstructs_has_no_scores():
    neither = model(generates=False)
    neither.reconstructs = False
    assert choose_scores("auto", neither, data(), RandomConv(), samples=100) == []


NETWORK = """
import torch


class Power(torch.nn.Module):
    def __init__(self, power):
        super().__init__()
        self.power = power

    def forward(self, images):
        return (images.flatten(1).float() / 255) ** self.power


class Fails(torch.nn.Module):
    def forward(self, images):
        return torch.nn.functional.conv2d(images.float(), torch.ones(1, 3, 3, 3))


class NotFinite(torch.nn.Module):
    def forward(self, images):
        return images.flatten(1).float() / 0
"""


@pytest.fixture
def networks(tmp_path, monkeypatch):
    """Writes a user's module under a name of the test's own."""

    def write(source, name):
        (tmp_path / f"{name}.py").write_text(source)
        monkeypatch.syspath_prepend(str(tmp_path))
        return name

    return write


def test_an_extractor_is_described_by_its_arguments_and_its_source(networks):
    first = networks(NETWORK, "users_first")
    second = networks(NETWORK.replace("/ 255", "/ 256"), "users_second")
    told = [
        make_extractor({"_target_": f"{name}.Power", "power": power}).description()["configuration"]
        for name, power in [(first, 1.0), (first, 1.0), (first, 3.0), (second, 1.0)]
    ]
    assert told[0] == told[1]
    assert told[2]["arguments"] != told[0]["arguments"] and told[2]["source_sha256"] == told[0]["source_sha256"]
    assert told[3]["source_sha256"] != told[0]["source_sha256"]
    assert "configuration" not in Digits().description()


def test_an_extractor_that_does_not_fit_the_images_is_told_before_training(networks):
    name = networks(NETWORK, "users_third")
    probe(make_extractor({"_target_": f"{name}.Power", "power": 2.0}), [1, 8, 8])
    with pytest.raises(ConfigError, match=r"metrics\.extractor: Fails fails on images of 1×8×8: ") as told:
        probe(make_extractor({"_target_": f"{name}.Fails"}), [1, 8, 8])
    assert "\n" not in str(told.value)
    with pytest.raises(ConfigError, match="NotFinite makes features that are not finite numbers"):
        probe(make_extractor({"_target_": f"{name}.NotFinite"}), [1, 8, 8])
    with pytest.raises(ConfigError, match="random_conv fails on images of 1×2×2: random_conv needs images of at least"):
        probe(RandomConv(), [1, 2, 2])
