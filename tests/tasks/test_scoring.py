"""Scores of models whose quality is known beforehand, and the protocol that comes with each."""

import json
import random

import numpy
import pytest
import torch
from sklearn.decomposition import PCA

from ganlab.callbacks.checkpoints import BEST, AtomicCheckpointIO, Checkpoints
from ganlab.callbacks.evaluation import RECORD, Evaluate
from ganlab.callbacks.finite import FiniteGuard
from ganlab.data.digits import DigitsData
from ganlab.data.points import RingData
from ganlab.data.stacked_digits import StackedDigitsData
from ganlab.errors import ConfigError, TrainingError
from ganlab.metrics.extractors.digits import Digits
from ganlab.metrics.ranks import Ranks
from ganlab.tasks.score_table import Column, score_table
from ganlab.tasks.scoring import Scorer
from two_processes import on_two_ranks

OPTIONS = {
    "scores": "auto",
    "monitor": "auto",
    "reference": "test",
    "count": 200,
    "reference_count": 10_000,
    "seed": 0,
    "importance_samples": 3,
    "batch_size": 64,
}


def values_of(scores):
    return {tag: score["value"] for tag, score in scores.items()}


class Model:
    """Draws the training images that the latents point at; `spoil` changes them."""

    name, iteration, device, weights_sampled = "replay", 7, torch.device("cpu"), "averaged"
    generates, reconstructs, classifies = True, False, False

    def __init__(self, data, condition_size=0, spoil=lambda images: images):
        self.source = data.train
        self.condition_size = condition_size
        self.spoil = spoil
        self.asked = []

    def latents(self, count, generator):
        return torch.rand(count, 1, generator=generator, dtype=torch.float64)

    def decode(self, latents, condition=None):
        self.asked += [] if condition is None else condition.tolist()
        if self.source.infinite:
            return self.spoil(self.source.first(len(latents)).samples)
        rows = (latents[:, 0] * len(self.source)).long()
        if condition is not None:
            labels = self.source.conditions
            places = [(labels == label).nonzero().flatten() for label in condition]
            rows = torch.stack([own[int(row) % len(own)] for own, row in zip(places, rows, strict=True)])
        return self.spoil(self.source.gather(rows).samples)


class Autoencoder(Model):
    """Gives back what it is given, changed."""

    generates, reconstructs = False, True

    latent_dim = 8

    def reconstruct(self, samples, condition=None):
        return self.spoil(samples)

    def values_of(self, samples):
        return (samples + 1) / 2

    def examine(self, samples, condition, generator, importance_samples):
        errors = (self.reconstruct(samples) - samples).square().flatten(1).mean(1) / 4
        return {"reconstruction/mse": errors, "reconstruction/corrupted_mse": errors * 4}


class Bounded(Autoencoder):
    """Says of each sample what is made up of its brightness, and how often it was asked to draw."""

    generates, has_bound, corrupts, prior, likelihood = True, True, True, "normal", "made up"

    def examine(self, samples, condition, generator, importance_samples):
        brightness = samples.flatten(1).mean(1)
        said = super().examine(samples, condition, generator, importance_samples)
        return said | {
            "reconstruction/restored_mse": said["reconstruction/mse"] * 2 + 0.01,
            "reconstruction/corrupted_mse": said["reconstruction/mse"] * 4 + 0.04,
            "elbo": -brightness,
            "loss/kl": 2 * brightness,
            "loss/reconstruction": 3 * brightness,
            "bound/importance_weighted": brightness + importance_samples,
            "bound/bits_per_dim": 5 * brightness,
            "posterior/mean": torch.stack([brightness * 50, brightness * 0, samples[:, 0, 8, 8]], 1),
        }


class Counter(Model):
    """Takes the number of an image's pixels that are not black, modulo 10, for its class."""

    classifies, weights_sampled = True, "averaged"

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.batches = []

    def classify(self, samples):
        assert not torch.is_grad_enabled()
        self.batches.append(len(samples))
        return torch.nn.functional.one_hot(lit(samples), 10) - 0.5


def lit(samples):
    return (samples > -1).flatten(1).sum(1) % 10


@pytest.fixture(scope="module")
def digits():
    data = DigitsData(
        name="digits", batch_size=8, channels=1, image_size=16, sample_shape=[1, 16, 16], num_classes=10,
        condition_size=10,
    )  # fmt: skip
    data.setup()
    return data


@pytest.fixture
def scorer(digits, tmp_path):
    """scorer(model, count=…): a scorer of digits with a cache of its own."""

    def make(model, data=digits, extractor=True, **options):
        options = {**OPTIONS, "cache_dir": str(tmp_path), **options}
        return Scorer(options, data, model, Digits() if extractor else None)

    return make


def test_each_score_has_its_value_the_real_samples_value_and_the_whole_protocol(digits, scorer):
    model = Model(digits, condition_size=10)
    scores = scorer(model)(model)
    features = ["fd_digits", "kd_digits", "precision", "recall", "density", "coverage", "auth_pct", "one_nn"]
    classes = ["classifier_score_digits", "class_kl", "ms_ssim", "label_agreement"]
    assert list(scores) == [f"metric/{name}" for name in features + classes]
    for score in scores.values():
        assert isinstance(score["value"], float) and isinstance(score["real"], float)
        protocol = score["protocol"]
        assert protocol["extractor"]["extractor"] == "digits" and len(protocol["extractor"]["weights_sha256"]) == 64
        assert "bicubic" in protocol["extractor"]["resizer"]
        assert "bytes" in protocol["quantised"]
        expected = {"data": "digits", "reference": "test", "reference_count": len(digits.test), "count": 200}
        expected |= {"weights": "averaged", "iteration": 7, "seed": 0, "sample_shape": [1, 16, 16]}
        assert {key: protocol[key] for key in expected} == expected
    assert json.loads(json.dumps(scores)) == scores
    low, high = scores["metric/kd_digits"]["interval"]
    assert low < scores["metric/kd_digits"]["value"] < high
    assert sum(scores["metric/class_kl"]["histogram"]) == 200
    assert scores["metric/label_agreement"]["real"] > 0.95


def test_a_generator_that_copies_the_training_set_is_exposed(digits, scorer):
    model = Model(digits)
    scores = scorer(model, count=400)(model)
    assert scores["metric/auth_pct"]["value"] == 0.0
    assert 40 < scores["metric/auth_pct"]["real"] < 65
    against_train = scorer(model, count=400)(model, reference="train")
    assert against_train["metric/one_nn"]["value"] < 0.4 < scores["metric/one_nn"]["value"]
    assert against_train["metric/precision"]["value"] == 1.0


def test_the_noise_is_the_same_at_each_evaluation_and_another_with_another_seed(digits, scorer):
    model = Model(digits)
    score = scorer(model, scores=["fd", "kd"])
    before = torch.get_rng_state()
    first, again, other = values_of(score(model)), values_of(score(model)), values_of(score(model, seed=1))
    assert torch.get_rng_state().equal(before)
    assert first == again and first["metric/fd_digits"] != other["metric/fd_digits"]


@pytest.mark.parametrize("count", [200, 201])
def test_two_processes_share_the_work_and_score_what_one_does(digits, scorer, count):
    model = Model(digits, condition_size=10)
    alone = scorer(model, count=count, batch_size=200)(model)

    def share(rank):
        torch.set_num_threads(1)
        own = Model(digits, condition_size=10)
        scores = scorer(own, count=count, batch_size=200)(own, Ranks(rank, 2))
        return len(own.asked), scores

    (drawn, scores), (others, nothing) = on_two_ranks(share, timeout=120)
    assert drawn == others == (count + 1) // 2 and nothing == {}
    assert scores.keys() == alone.keys()
    for tag, score in scores.items():
        assert score["value"] == pytest.approx(alone[tag]["value"], rel=1e-6), tag
        assert score["protocol"] == alone[tag]["protocol"]


def test_generated_samples_have_the_conditions_of_the_reference(digits, scorer):
    model = Model(digits, condition_size=10)
    scorer(model, scores=["fd"], count=1000)(model)
    real = digits.test.conditions.tolist()
    assert model.asked == (real + real)[:1000]


def test_the_batch_size_changes_nothing(digits, scorer):
    model = Model(digits)
    small, large = (values_of(scorer(model, batch_size=size)(model)) for size in (17, 200))
    assert small == pytest.approx(large, rel=1e-5)


def test_an_autoencoder_is_scored_by_its_reconstructions(digits, scorer):
    model = Autoencoder(digits)
    perfect = scorer(model)(model)
    assert "metric/label_agreement" not in perfect
    assert perfect["metric/fd_digits"]["protocol"]["samples"] == "reconstructions of the test split"
    assert perfect["metric/fd_digits"]["protocol"]["count"] == 200
    everything = scorer(model, count=10_000, scores=["fd"])(model)["metric/fd_digits"]
    assert everything["protocol"]["count"] == len(digits.test) and abs(everything["value"]) < 1e-9
    model.spoil = lambda images: images * 0.5 - 0.5
    assert scorer(model, count=10_000, scores=["fd"])(model)["metric/fd_digits"]["value"] > 1e-3


def test_the_squared_error_stands_beside_that_of_principal_components(digits, scorer):
    model = Autoencoder(digits, spoil=lambda images: images * 0.5 - 0.5)
    scores = scorer(model, scores=["mse", "psnr"])(model)
    train, test = (part.first(10_000).samples.flatten(1).double().add(1).div(2) for part in (digits.train, digits.test))
    # Half of each value is left.
    mse = test.div(2).square().mean().item()
    assert scores["metric/mse"]["value"] == pytest.approx(mse, rel=1e-5)
    assert scores["metric/psnr"]["value"] == pytest.approx(-10 * numpy.log10(mse), rel=1e-5)
    pca = PCA(8, svd_solver="full").fit(train.numpy())
    rest = pca.inverse_transform(pca.transform(test.numpy())) - test.numpy()
    assert scores["metric/mse"]["pca"] == pytest.approx(numpy.square(rest).mean(), rel=1e-5)
    assert scores["metric/mse"]["pca_components"] == 8
    assert scores["metric/mse"]["protocol"]["samples"] == "the test split itself"
    assert scores["metric/mse"]["protocol"]["count"] == len(digits.test)
    assert scores["metric/mse"]["real"] is None


@pytest.mark.parametrize(("name", "value"), [("latent_dim", 256), ("binarise", "threshold")])
def test_principal_components_that_cannot_be_compared_are_left_out(digits, scorer, name, value):
    model = Autoencoder(digits)
    setattr(model, name, value)
    assert "pca" not in scorer(model, scores=["mse"])(model)["metric/mse"]


def test_what_a_model_says_of_test_samples_is_scored(digits, scorer):
    model = Bounded(digits)
    kinds = ["elbo", "elbo_reconstruction", "elbo_kl", "iw_bound", "bits_per_dim", "active_units", "restored_psnr"]
    scores = scorer(model, scores=kinds)(model)
    images = digits.test.first(10_000).samples
    brightness = images.flatten(1).mean(1)
    mean = brightness.mean().item()
    expected = {"elbo": -mean, "elbo_reconstruction": -3 * mean, "elbo_kl": 2 * mean, "iw_bound": mean + 3}
    expected |= {"bits_per_dim": 5 * mean, "restored_psnr": 20.0}
    expected["active_units"] = sum(bool(values.var() > 0.01) for values in (brightness * 50, images[:, 0, 8, 8]))
    told = values_of(scores)
    assert told == {f"metric/{kind}": pytest.approx(value, rel=1e-4) for kind, value in expected.items()}
    assert scores["metric/active_units"]["of"] == 3 and expected["active_units"] == 2
    assert scores["metric/restored_psnr"]["corrupted_psnr"] == pytest.approx(-10 * numpy.log10(0.04), rel=1e-4)
    protocol = scores["metric/iw_bound"]["protocol"]
    assert (protocol["importance_samples"], protocol["likelihood"], protocol["seed"]) == (3, "made up", 0)


def test_two_processes_examine_what_one_does(digits, scorer):
    kinds = ["mse", "elbo", "active_units"]
    alone = scorer(Bounded(digits), scores=kinds)(Bounded(digits))

    def share(rank):
        torch.set_num_threads(1)
        own = Bounded(digits)
        return scorer(own, scores=kinds)(own, Ranks(rank, 2))

    scores, nothing = on_two_ranks(share, timeout=120)
    assert nothing == {}
    assert values_of(scores) == pytest.approx(values_of(alone), rel=1e-6)


def test_what_is_said_must_be_numbers(digits, scorer):
    model = Bounded(digits)
    model.examine = lambda samples, *rest: {"reconstruction/mse": samples.flatten(1).mean(1) * float("nan")}
    with pytest.raises(TrainingError, match="what the model says of test samples at iteration 7 is not finite"):
        scorer(model, scores=["mse"])(model)


def test_values_beyond_the_range_are_clamped_before_they_are_seen(digits, scorer):
    beyond = {1.0: 3.0, -1.0: -1.01}

    def overshoot(images):
        return torch.where(images == 1, beyond[1.0], torch.where(images == -1, beyond[-1.0], images))

    plain, loud = Model(digits), Model(digits, spoil=overshoot)
    first, second = (values_of(scorer(model, scores=["fd"])(model)) for model in (plain, loud))
    assert first == second


def test_samples_that_are_no_numbers_are_not_scored(digits, scorer):
    model = Model(digits, spoil=lambda images: images * float("nan"))
    with pytest.raises(TrainingError, match="samples of iteration 7 are not finite"):
        scorer(model)(model)


def test_points_have_distances_and_modes(scorer, tmp_path):
    data = RingData(name="ring", batch_size=8, sample_shape=[2], std=0.02, num_modes=8, radius=2.0, test_count=2000)
    data.setup()
    model = Model(data)
    scores = scorer(model, data, extractor=False, count=500, batch_size=500)(model)
    names = ["one_nn", "w1", "w2", "modes", "modes_strict", "high_quality", "mode_kl"]
    assert list(scores) == [f"metric/{name}" for name in names]
    assert scores["metric/modes"]["value"] == 8 and scores["metric/high_quality"]["value"] > 0.95
    assert scores["metric/w1"]["real"] > 0
    model.spoil = lambda points: points + torch.tensor([0.7, 0.0])
    moved = scorer(model, data, extractor=False, count=500, batch_size=500)(model)
    assert moved["metric/modes"]["value"] == 0
    # The triangle inequality: the same points are exactly 0.7 away from where they were.
    assert abs(moved["metric/w1"]["value"] - 0.7) <= scores["metric/w1"]["value"] < 0.3
    assert not list(tmp_path.iterdir()), "points are not cached"


def test_stacked_digits_are_counted_by_their_channels(scorer, monkeypatch):
    data = StackedDigitsData(
        name="stacked_digits", batch_size=8, channels=3, image_size=16, sample_shape=[3, 16, 16], test_count=600
    )
    data.setup()
    model = Model(data)
    scores = scorer(model, data, count=500, batch_size=500)(model)
    assert list(scores)[-2:] == ["metric/modes", "metric/mode_kl"]
    # 500 independent draws of 1,000 equally likely modes
    expected = 1000 * (1 - (1 - 1 / 1000) ** 500)
    assert scores["metric/modes"]["value"] == pytest.approx(expected, abs=25)
    assert scores["metric/modes"]["real"] == pytest.approx(expected, abs=25)
    kept = scores["metric/modes"]["real"]
    monkeypatch.setattr("ganlab.metrics.observation.PIXELS_KEPT", 50)
    monkeypatch.setattr("ganlab.metrics.references.PIXELS_KEPT", 50)
    few = scorer(model, data, count=500, batch_size=500, scores=["modes"])(model)
    assert few["metric/modes"]["real"] == kept, "all are counted, whatever pixels are kept"
    model.spoil = lambda images: images[:, :1].expand(-1, 3, -1, -1)
    assert scorer(model, data, count=500, batch_size=500)(model)["metric/modes"]["value"] <= 60


def test_two_samples_of_two_classes_are_scored_without_pairs_of_a_class(digits, scorer):
    model = Model(digits, condition_size=10)
    scores = scorer(model, count=2)(model)
    assert scores["metric/ms_ssim"]["protocol"]["within_class"] is False
    assert "metric/recall" not in scores


def test_a_small_other_split_leaves_the_real_value_out_and_nothing_else(scorer):
    data = DigitsData(
        name="digits", batch_size=8, channels=1, image_size=8, sample_shape=[1, 8, 8], num_classes=10,
        condition_size=10, test_fraction=0.0,
    )  # fmt: skip
    data.setup()
    model = Model(data)
    score = scorer(model, data, reference="train", scores=["fd", "auth_pct"], count=50)(model)
    assert score["metric/fd_digits"]["real"] is None and score["metric/auth_pct"]["value"] == 0.0
    against_test = scorer(model, data)
    assert against_test.kinds == [] and "0 samples of test are too few" in against_test.why_nothing
    with pytest.raises(ConfigError, match="needs at least 2 samples of each side, and there are 0"):
        scorer(model, data, scores=["fd"]).verify()


def test_scoring_a_real_model_moves_nothing_of_it_and_nothing_global(digits, scorer, make_gan):
    model = make_gan(shape=[1, 16, 16], networks="dcgan", condition_size=10, ema_decay=0.9)
    model.train()
    score = scorer(model, count=40)
    numpy.random.seed(3)
    random.seed(3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = {name: module.training for name, module in model.named_modules()}
    states = torch.get_rng_state(), numpy.random.get_state()[1].copy(), random.getstate()
    score.prepare()
    score(model)
    assert torch.get_rng_state().equal(states[0]) and random.getstate() == states[2]
    assert (numpy.random.get_state()[1] == states[1]).all()
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    assert modes == {name: module.training for name, module in model.named_modules()}


def test_accuracy_is_of_the_whole_test_split_and_says_so(digits, scorer):
    model = Counter(digits)
    scores = scorer(model)(model)
    score, others = scores.pop("metric/accuracy"), scores["metric/fd_digits"]["protocol"]
    everything = digits.test.gather(torch.arange(898))
    right = sum(int(lit(image[None])) == int(label) for image, label in zip(*everything[:2], strict=True))
    assert 0 < right < 898 and score["value"] == pytest.approx(right / 898, abs=1e-12)
    assert score["real"] is None and score["better"] == "higher"
    assert model.batches == [64] * 14 + [2], "more than `count`, and each once"
    protocol = score["protocol"]
    expected = {"metric": "accuracy", "count": 898, "reference": "test", "reference_count": 898, "weights": "last"}
    expected |= {"samples": "the whole test split, classified", "seed": None, "extractor": None, "iteration": 7}
    assert {key: protocol[key] for key in expected} == expected
    assert protocol["reference_sha256"] == others["reference_sha256"], "the same 898 test images"
    assert (others["weights"], others["count"], others["seed"]) == ("averaged", 200, 0)
    against_train = scorer(model, scores=["accuracy"])(model, reference="train", seed=5)["metric/accuracy"]
    assert {**against_train, "protocol": None} == {**score, "protocol": None} and against_train["protocol"] == protocol
    rows = score_table("", [Column("against test", {"metric/accuracy": score, **scores})]).splitlines()
    (row,) = [line.split() for line in rows if line.split()[:1] == ["accuracy"]]
    assert row[:4] == ["accuracy", "↑", f"{right / 898:#.3g}", "test"], "and nothing in the column of real samples"


@pytest.mark.parametrize("batch_size", [64, 449])
def test_two_processes_classify_half_of_the_test_split_each(digits, scorer, batch_size):
    model = Counter(digits)
    alone = scorer(model, scores=["accuracy"], batch_size=batch_size)(model)["metric/accuracy"]

    def share(rank):
        torch.set_num_threads(1)
        own = Counter(digits)
        scores = scorer(own, scores=["accuracy"], batch_size=batch_size)(own, Ranks(rank, 2))
        return sum(own.batches), scores

    (seen, scores), (others, nothing) = on_two_ranks(share, timeout=120)
    assert nothing == {} and scores == {"metric/accuracy": alone}
    assert seen == others == 449


def test_an_odd_row_is_counted_once_by_two_processes(scorer):
    """9 points, of which two processes see 5 each: the last one stands in, and is not counted."""
    data = RingData(name="ring", batch_size=8, sample_shape=[2], std=0.0, test_count=9, num_classes=8, condition_size=8)
    data.setup()

    def share(rank):
        model = Model(data)
        model.classifies = True
        last = data.test.points[8]
        model.classify = lambda points: torch.eye(9)[
            torch.where((points == last).all(1), 8, torch.cdist(points, data.modes).argmin(1))
        ]
        return scorer(model, data, extractor=False, scores=["accuracy"])(model, Ranks(rank, 2))

    wrong = int((data.test.points == data.test.points[8]).all(1).sum())
    scores, _ = on_two_ranks(share, timeout=120)
    assert scores["metric/accuracy"]["value"] == pytest.approx((9 - wrong) / 9)


def test_class_scores_that_are_no_numbers_are_not_scored(digits, scorer):
    model = Counter(digits)
    model.classify = lambda samples: torch.full((len(samples), 10), float("nan"))
    with pytest.raises(TrainingError, match="class scores of iteration 7 are not finite"):
        scorer(model, scores=["accuracy"])(model)


def test_the_best_checkpoint_may_be_the_most_accurate(scorer, make_gan, tiny_data, fit, tmp_path):
    """Right about none at iteration 2, about all at 4, about an eighth at 6."""
    data = RingData(
        name="ring", batch_size=8, sample_shape=[2], std=0.0, test_count=64, num_classes=8, condition_size=8
    )
    data.setup()
    model = make_gan(max_iterations=6)

    def classify(self, points):
        right = torch.cdist(points, data.modes).argmin(1)
        return torch.eye(8)[{2: (right + 1) % 8, 4: right, 6: right * 0}[self.iteration]]

    model.__class__ = type("Classifier", (type(model),), {"classifies": True, "classify": classify})
    judge = scorer(model, data, extractor=False, scores=["w1", "accuracy"], monitor="accuracy")
    assert (judge.monitored, judge.better) == ("metric/accuracy", "higher")
    checkpoints = Checkpoints(tmp_path, every=100, keep=1, max_iterations=6, config={}, guard=FiniteGuard(1000))
    evaluate = Evaluate(judge, checkpoints, every=2, max_iterations=6)
    fit(model, tiny_data(4), checkpoints, evaluate, plugins=[AtomicCheckpointIO()])
    told = json.loads((tmp_path / RECORD).read_text())
    assert (told["iteration"], told["value"], told["better"]) == (4, 1.0, "higher")
    assert torch.load(tmp_path / BEST, weights_only=True)["iteration"] == 4
    assert evaluate.latest["metric/accuracy"]["value"] == pytest.approx(
        float((data.test.conditions == 0).double().mean())
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in (1, 2))])
def test_the_default_run_draws_the_digits_that_are_asked_for(ganlab, tmp_path, seed):
    done = ganlab(f"seed={seed}", "hydra.run.dir=run", "trainer.threads=1", tiny=False)
    assert done.returncode == 0, done.stderr
    scores = json.loads((tmp_path / "run" / "results.json").read_text())["scores"]
    assert scores["metric/label_agreement"]["value"] >= 0.9
    assert scores["metric/auth_pct"]["value"] > 40, "the digits are drawn and not copied"
    assert scores["metric/recall"]["value"] > 0.5, "and of each class there is more than one"
