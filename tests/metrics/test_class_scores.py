import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import entropy
from torchmetrics.image.inception import InceptionScore

from ganlab.metrics.class_scores import UNSEEN, ClassHistogram, ClassifierScore
from two_processes import on_two_ranks


def draw(count, classes=10, scale=3.0, seed=0):
    """Logits [count, classes] that favour some classes."""
    random = torch.Generator().manual_seed(seed)
    tilt = torch.linspace(0, 1, classes)
    return scale * (torch.randn(count, classes, generator=random) + tilt)


def certain(classes, total=10):
    """Logits of a classifier that is sure of these classes."""
    return 200 * torch.nn.functional.one_hot(torch.as_tensor(classes), total).float()


def scored(logits, splits=1, batch=7):
    metric = ClassifierScore(splits=splits)
    for part in logits.split(batch):
        metric.update(part)
    return {name: value.item() for name, value in metric.compute().items()}


def kl_of(logits, reference, batch=7):
    metric = ClassHistogram(reference)
    for part in logits.split(batch):
        metric.update(part)
    return metric.compute()["kl"].item()


def by_hand(logits):
    """exp(E KL(p(y|x) || p(y))) as it is written."""
    given = softmax(logits.double().numpy(), axis=1)
    return np.exp(entropy(given, given.mean(axis=0, keepdims=True), axis=1).mean())


@pytest.mark.parametrize("present", [1, 2, 7, 10])
def test_sure_and_even_over_some_classes_scores_their_number(present):
    logits = certain(torch.arange(70) % present)
    assert scored(logits)["score"] == pytest.approx(present, rel=1e-12)


@pytest.mark.parametrize("logits", [draw(1).repeat(50, 1), torch.zeros(50, 10), torch.full((50, 3), -7.0)])
def test_one_opinion_of_all_scores_1_however_unsure(logits):
    assert scored(logits)["score"] == pytest.approx(1, abs=1e-12)


@pytest.mark.filterwarnings("ignore:Metric `InceptionScore` will save", "ignore:.*degrees of freedom")
def test_it_is_torchmetrics_without_splits():
    logits = draw(300, 40)
    theirs = InceptionScore(feature=torch.nn.Identity(), splits=1)
    state = torch.get_rng_state()
    theirs.update(logits.double())
    expected = theirs.compute()[0].item()
    torch.set_rng_state(state)
    assert expected > 3
    assert scored(logits)["score"] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("count", "splits"), [(100, 10), (103, 10), (107, 4), (10, 10)])
def test_splits_are_consecutive_and_of_nearly_equal_size(count, splits):
    logits = draw(count)
    edges = [int(np.floor(count * split / splits)) for split in range(splits + 1)]
    values = [by_hand(logits[edges[i] : edges[i + 1]]) for i in range(splits)]
    found = scored(logits, splits)
    assert found == pytest.approx({"score": np.mean(values), "sd": np.std(values)}, rel=1e-12, abs=1e-12)
    if count > splits:
        assert found["sd"] > 0.01
        assert found["score"] != pytest.approx(by_hand(logits), rel=1e-3)


def test_one_split_has_no_deviation():
    assert scored(draw(20))["sd"] == 0


@pytest.mark.parametrize("size", [1e3, 1e10, 3e38])
def test_extreme_logits_do_not_overflow(size):
    """A class that underflows in every sample has no part in the score."""
    logits = torch.full((30, 10), -size)
    logits[torch.arange(30), torch.arange(30) % 6] = size
    assert scored(logits)["score"] == pytest.approx(6, rel=1e-12)


def test_it_is_computed_in_float64():
    """In float32 the log of a score near 1 drowns."""
    logits = draw(2000, scale=1e-4)
    excess = by_hand(logits) - 1
    assert 1e-10 < excess < 1e-7
    assert scored(logits)["score"] - 1 == pytest.approx(excess, rel=1e-5)


@pytest.mark.parametrize("make", [lambda: ClassifierScore(splits=5), lambda: ClassHistogram(torch.ones(10))])
def test_batches_autocast_and_gradients_are_without_effect(make):
    logits = draw(63)
    whole, pieces = make(), make()
    whole.update(logits)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for part in (logits[:1], logits[1:1], logits[1:40], logits[40:]):
            pieces.update(part.requires_grad_())
        found = pieces.compute()
    assert found == whole.compute()
    assert all(value.dtype == torch.float64 and not value.requires_grad for value in found.values())
    assert list(whole.parameters()) == [] and whole.state_dict() == {}


@pytest.mark.parametrize("cut", [0, 20, 63])
def test_two_ranks_make_the_whole(cut):
    """Rank 0's samples come first; a rank may have none, if it says so."""
    logits, reference = draw(63), torch.arange(1, 11)

    def scores(rank):
        score, histogram = ClassifierScore(splits=4), ClassHistogram(reference)
        for part in (logits[:cut], logits[cut:])[rank].split(100):
            score.update(part)
            histogram.update(part)
        found = (score.compute(), histogram.compute()["kl"].item(), histogram.histogram())
        return *found, histogram.counts.clone()

    for rank, (score, kl, counts, own) in enumerate(on_two_ranks(scores)):
        assert {name: value.item() for name, value in score.items()} == scored(logits, 4)
        assert kl == kl_of(logits, reference)
        assert torch.equal(counts, logits.argmax(1).bincount(minlength=10))
        assert own.sum() == (cut, 63 - cut)[rank]


def test_a_histogram_that_is_not_to_be_synced_is_not():
    def counted(rank):
        metric = ClassHistogram(torch.ones(10), sync_on_compute=False)
        metric.update(certain([rank]))
        return (metric.compute()["kl"].item(), metric.histogram().tolist()) if rank == 1 else None

    assert on_two_ranks(counted)[1] == (pytest.approx(np.log(10)), certain([1]).bool().long()[0].tolist())


def test_the_divergence_is_scipys():
    """The reference's total is no part of it; swapped, the two give another value."""
    logits, reference = draw(500), torch.tensor([400, 3, 30, 30, 7, 60, 9, 80, 10, 50])
    counts = np.bincount(logits.argmax(1).numpy(), minlength=10)
    expected = entropy(counts, reference.numpy())
    assert abs(expected - entropy(reference.numpy(), counts + 1e-9)) > 0.05
    assert kl_of(logits, reference) == pytest.approx(expected, rel=1e-12)
    assert kl_of(logits, reference * 17) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("reference", [[1, 2, 3, 4], [5, 0, 2, 0], [0, 1, 0, 0]])
def test_equal_histograms_have_0_whatever_they_lack(reference):
    logits = certain(torch.arange(4).repeat_interleave(torch.tensor(reference) * 3), 4)
    assert kl_of(logits, torch.tensor(reference)) == 0


def test_missing_classes_cost_their_share():
    """All samples in m of k equally likely classes: log(k / m) nats."""
    for present in (1, 2, 5, 10):
        assert kl_of(certain(torch.arange(20) % present), torch.full((10,), 7)) == pytest.approx(
            np.log(10 / present), abs=1e-12
        )


def test_a_class_that_the_reference_lacks_counts_half():
    logits = certain([0, 0, 1, 2])
    reference = torch.tensor([30, 0, 0, 10, 0, 0, 0, 0, 0, 0])
    assert UNSEEN == 0.5
    assert kl_of(logits, reference) == pytest.approx(entropy([2, 1, 1, 0], [30, 0.5, 0.5, 10]), rel=1e-12)
    once = kl_of(logits, reference + torch.tensor([0, 1, 1, 0, 0, 0, 0, 0, 0, 0]))
    assert kl_of(logits, reference) > once > entropy([2, 1, 1], [10, 10, 10])


def test_wrong_input_has_a_line():
    for logits in (torch.zeros(5), torch.zeros(5, 3, 10), torch.zeros(5, 10, dtype=torch.int64)):
        for metric in (ClassifierScore(), ClassHistogram(torch.ones(10))):
            with pytest.raises(ValueError, match="logits must be floats of 2 dimensions"):
                metric.update(logits)
    with pytest.raises(ValueError, match="logits must be finite"):
        ClassHistogram(torch.ones(10)).update(torch.full((1, 10), torch.nan))
    with pytest.raises(ValueError, match="logits of 9 classes, a reference of 10"):
        ClassHistogram(torch.ones(10)).update(torch.zeros(5, 9))
    for reference in (torch.zeros(10), torch.ones(2, 5), torch.tensor([1, -1, 5]), torch.tensor([torch.nan, 1])):
        with pytest.raises(ValueError, match="the reference must be counts"):
            ClassHistogram(reference)
    with pytest.raises(ValueError, match="splits is 0"):
        ClassifierScore(splits=0)
    with pytest.raises(ValueError, match="9 samples are too few for 10 splits"):
        scored(draw(9), splits=10)
    empty = ClassHistogram(torch.ones(10))
    empty.update(torch.zeros(0, 10))
    with pytest.raises(ValueError, match="no samples to count"):
        empty.compute()
