"""Each score is its metric, fed with what belongs to it, and says how it was computed."""

import pytest
import torch

from ganlab.config.scores import SCORES
from ganlab.metrics.class_scores import ClassHistogram
from ganlab.metrics.computing import _COMPUTERS, Scene, _spread, compute_scores
from ganlab.metrics.frechet import FrechetDistance, GaussianStatistics
from ganlab.metrics.neighbours import Authenticity, ManifoldMetrics
from ganlab.metrics.observation import Observation
from ganlab.metrics.references import Reference
from ganlab.metrics.transport import Wasserstein


def observation(seed, count=60):
    random = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (count, 1, 8, 8), generator=random, dtype=torch.uint8)
    return Observation(
        torch.randn(count, 4, generator=random),
        images,
        torch.randn(count, 3, generator=random),
        torch.arange(count) % 2,
    )


def reference(seed, count=60):
    seen = observation(seed, count)
    return Reference(seen, "hash", GaussianStatistics.of(seen.features))


def value(metric, *seen):
    metric.update(*seen)
    return metric.compute()


def test_there_is_a_way_to_compute_every_score_that_can_be_asked_for():
    assert _COMPUTERS.keys() == SCORES.keys()


def test_each_is_fed_with_what_belongs_to_it():
    scene = Scene(observation(0), reference(1, 70), training=reference(2, 80))
    asked = ["recall", "fd", "auth_pct", "class_kl", "precision"]
    scores = compute_scores(asked, scene)
    assert list(scores) == asked
    generated, real = scene.generated, scene.reference.observation
    assert scores["fd"].value == float(value(FrechetDistance(scene.reference.statistics), generated.features))
    manifold = value(ManifoldMetrics(real.features), generated.features)
    assert (scores["precision"].value, scores["recall"].value) == (manifold["precision"], manifold["recall"])
    assert scores["precision"].protocol == {"neighbours": 3}
    training = scene.training.observation.features
    assert scores["auth_pct"].value == float(value(Authenticity(training), generated.features))
    assert scores["auth_pct"].protocol == {"training_count": 80}
    counts = torch.bincount(real.logits.argmax(1), minlength=3)
    assert scores["class_kl"].value == float(value(ClassHistogram(counts), generated.logits)["kl"])
    assert scores["class_kl"].beside["reference_histogram"] == counts.tolist()
    assert sum(scores["class_kl"].beside["histogram"]) == 60


def test_sets_of_unequal_size_are_cut_for_the_scores_that_need_equal_ones():
    scores = compute_scores(["one_nn", "w2"], Scene(observation(0, 40), reference(1, 70)))
    assert scores["one_nn"].protocol == scores["w2"].protocol == {"count_each": 40}
    expected = value(Wasserstein(reference(1, 70).observation.features[:40], 2), observation(0, 40).features)
    assert scores["w2"].value == float(expected)


def test_the_real_side_of_a_transport_has_of_each_mode_as_many():
    modes = torch.tensor([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])
    random = torch.Generator().manual_seed(0)
    labels = torch.tensor([0] * 70 + [1] * 20 + [2] * 10)
    real = modes[labels] + 0.1 * torch.randn(100, 2, generator=random)
    spread = _spread(real, 27, (modes, 0.1))
    assert torch.cdist(spread, modes).argmin(1).bincount().tolist() == [9, 9, 9]
    assert len(spread.unique(dim=0)) == 27
    assert _spread(real, 27, None).equal(real[:27])
    assert torch.cdist(_spread(real, 40, (modes, 0.1)), modes).argmin(1).bincount().tolist() == [15, 15, 10]


def test_nothing_global_is_random_or_changed():
    scene = Scene(observation(0), reference(1), training=reference(2))
    kinds = [kind for kind in SCORES if SCORES[kind].needs in ("features", "classes", "training", "images", "samples")]
    state = torch.get_rng_state()
    first = {kind: score.value for kind, score in compute_scores(kinds, scene).items()}
    assert torch.get_rng_state().equal(state)
    assert first == {kind: score.value for kind, score in compute_scores(kinds, scene).items()}


def test_labels_of_the_kept_pixels_are_enough():
    whole = observation(0)
    cut = Observation(whole.features, whole.samples[:20], whole.logits, whole.labels)
    scene = Scene(cut, reference(1))
    assert compute_scores(["ms_ssim"], scene)["ms_ssim"].protocol["images"] == 20


@pytest.mark.parametrize(("count", "splits"), [(60, 1), (5_000, 10)])
def test_the_classifier_score_is_split_as_usual_where_there_are_enough(count, splits):
    score = compute_scores(["classifier_score"], Scene(observation(0, count), reference(1)))["classifier_score"]
    assert score.protocol == {"splits": splits} and ("sd" in score.beside) == (splits > 1)


def test_accuracy_is_the_share_that_is_right_beside_what_the_commonest_class_would_give():
    """Of classes of 6, 3 and 1: not the mean over the classes, which would be 4/9."""
    true = torch.tensor([0, 0, 0, 1, 0, 1, 0, 2, 0, 1])
    found = torch.tensor([0, 0, 0, 2, 0, 1, 1, 1, 2, 1])
    scene = Scene(observation(0), reference(1), classified=(found, true))
    score = compute_scores(["accuracy"], scene)["accuracy"]
    assert score.value == pytest.approx(6 / 10, abs=1e-15)
    assert score.beside == {"commonest_class": pytest.approx(6 / 10)}
    assert score.told("accuracy", None, {})["better"] == "higher"
