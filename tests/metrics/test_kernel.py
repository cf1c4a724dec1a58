import numpy as np
import pytest
import torch
from torchmetrics.image.kid import KernelInceptionDistance

from ganlab.metrics.kernel import KernelDistance, mean_between, mean_within
from two_processes import on_two_ranks


def features(count, dimension=6, seed=0, shift=0.0):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(count, dimension, generator=random, dtype=torch.float64) + shift


def scores(real, fake, batch=1000, **options):
    metric = KernelDistance(real, **options)
    for part in fake.split(batch):
        metric.update(part)
    return {name: value.item() for name, value in metric.compute().items()}


def kernel(rows, columns):
    return (rows @ columns.T / rows.shape[1] + 1) ** 3


def brute_force(real, fake, real_draws, fake_draws):
    """The estimator over the rows of that number, pairs of one and the same number left out."""

    def within(rows, draws):
        pairs = draws[:, None] != draws[None]
        return kernel(rows[draws], rows[draws])[pairs].mean()

    across = kernel(real[real_draws], fake[fake_draws]).mean()
    return within(real, real_draws) + within(fake, fake_draws) - 2 * across


@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance` will save")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_it_is_torchmetrics_with_one_subset_of_all_samples(dtype):
    real, fake = features(150, 16, seed=1).to(dtype), features(150, 16, seed=2, shift=0.1).to(dtype)
    theirs = KernelInceptionDistance(feature=torch.nn.Identity(), subsets=1, subset_size=150).set_dtype(torch.float64)
    theirs.update(real.double(), real=True)
    theirs.update(fake.double(), real=False)
    expected = theirs.compute()[0].item()
    assert expected > 0.01
    assert scores(real, fake)["distance"] == pytest.approx(expected, rel=1e-9)


def test_the_sets_may_differ_in_size():
    real, fake = features(70, seed=1).numpy(), features(31, seed=2, shift=0.3).numpy()
    expected = brute_force(real, fake, np.arange(70), np.arange(31))
    assert scores(torch.tensor(real), torch.tensor(fake))["distance"] == pytest.approx(expected, rel=1e-12)


def test_equal_rows_of_different_number_are_a_pair():
    real, fake = features(4, seed=1).repeat(3, 1), features(5, seed=2).repeat(2, 1)
    expected = brute_force(real.numpy(), fake.numpy(), np.arange(12), np.arange(10))
    assert scores(real, fake)["distance"] == pytest.approx(expected, rel=1e-12)


def test_it_is_unbiased_and_so_it_may_be_negative():
    """Over 400 pairs of sets of 12 the mean is within four standard errors of 0, the truth.

    Pairs of a row and itself would move it by more than ten of them.
    """
    pairs = [(features(12, seed=i), features(12, seed=i + 1000)) for i in range(400)]
    found = np.array([scores(*pair, replicates=1)["distance"] for pair in pairs])
    error = found.std() / np.sqrt(len(found))
    assert abs(found.mean()) < 4 * error
    assert 0.2 < (found < 0).mean() < 0.8
    with_itself = np.mean([kernel(rows, rows).diag().mean() for rows, _ in pairs])
    without = np.mean([kernel(*pair).mean() for pair in pairs])
    assert 2 * (with_itself - without) / 12 > 10 * error


@pytest.mark.parametrize("chunk", [3, 40, 41, 1000])
def test_the_chunk_and_the_batch_size_are_without_effect(chunk):
    real, fake = features(41, seed=1), features(80, seed=2, shift=0.1)
    assert scores(real, fake, batch=9, chunk=chunk) == pytest.approx(scores(real, fake), rel=1e-10)


@pytest.mark.parametrize("chunk", [3, 100])
def test_replicates_are_the_estimator_on_resampled_rows(chunk):
    random = np.random.default_rng(0)
    real, fake = features(10, seed=1), features(14, seed=2)
    first = [random.integers(10, size=10) for _ in range(5)]
    second = [random.integers(14, size=14) for _ in range(5)]
    weights = [
        torch.tensor(np.stack([np.bincount(draw, minlength=n) for draw in draws], axis=1)).double()
        for draws, n in ((first, 10), (second, 14))
    ]
    found = mean_within(real, weights[0], chunk) + mean_within(fake, weights[1], chunk)
    found -= 2 * mean_between(real, weights[0], fake, weights[1], chunk)
    expected = [brute_force(real.numpy(), fake.numpy(), *draws) for draws in zip(first, second, strict=True)]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10)


def test_the_interval_covers_the_truth_at_about_its_level():
    """Sets of 40 drawn from two populations of 200 rows, whose distance is known; 400 pairs of sets.

    The binomial error of the share is 0.015. Replicates that pair a row drawn twice with itself cover in 0.65 only.
    """
    first, second = features(200, 16, seed=1).numpy(), features(200, 16, seed=2, shift=0.5).numpy()
    truth = kernel(first, first).mean() + kernel(second, second).mean() - 2 * kernel(first, second).mean()
    random, covered = np.random.default_rng(0), 0
    for seed in range(400):
        real, fake = first[random.integers(200, size=40)], second[random.integers(200, size=40)]
        found = scores(torch.tensor(real), torch.tensor(fake), replicates=100, level=0.9, seed=seed)
        covered += found["low"] <= truth <= found["high"]
    assert 0.85 < covered / 400 < 0.95


def test_the_interval_grows_with_its_level_and_shrinks_with_the_count():
    real, fake = features(400, seed=1), features(400, seed=2, shift=0.3)

    def width(count, **options):
        found = scores(real[:count], fake[:count], **options)
        assert found["low"] < found["distance"] < found["high"]
        return found["high"] - found["low"]

    assert width(400, level=0.5) < 0.6 * width(400, level=0.95)
    assert width(400) < 0.7 * width(50)


def test_it_is_deterministic_by_its_seed_and_leaves_the_random_state_alone():
    real, fake = features(40, seed=1), features(50, seed=2)
    state = torch.get_rng_state()
    metric = KernelDistance(real)
    metric.update(fake)
    first = metric.compute()
    metric.reset()
    metric.update(fake)
    assert metric.compute() == first
    assert scores(real, fake) == {name: value.item() for name, value in first.items()}
    torch.manual_seed(77)
    assert scores(real, fake, seed=0) == {name: value.item() for name, value in first.items()}
    other = scores(real, fake, seed=1)
    assert other["distance"] == first["distance"].item()
    assert other["low"] != first["low"].item() and other["high"] != first["high"].item()
    torch.set_rng_state(state)
    scores(real, fake)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_reference_meets_itself_once(monkeypatch):
    metric, whose = KernelDistance(features(40)), []
    monkeypatch.setattr(
        "ganlab.metrics.kernel.mean_within", lambda rows, *rest: whose.append(len(rows)) or mean_within(rows, *rest)
    )
    for _ in range(3):
        metric.update(features(50, seed=1))
        metric.compute()
        metric.reset()
    assert sorted(whose) == [40, 50, 50, 50]


def test_two_ranks_with_uneven_shards_make_the_whole():
    real, fake = features(50, seed=1).float(), features(64, seed=2, shift=0.1).float()

    def score(rank):
        metric = KernelDistance(real)
        for part in (fake[::3], fake[1::3], fake[2::3])[rank::2]:
            metric.update(part)
        return metric.compute()

    first, second = on_two_ranks(score)
    assert first == second
    assert {name: value.item() for name, value in first.items()} == pytest.approx(scores(real, fake), rel=1e-9)


def test_few_samples_and_what_is_not_finite():
    few = scores(features(2, seed=1), features(2, seed=2))
    assert np.isfinite(list(few.values())).all()
    fake = features(20, seed=2)
    fake[3, 4] = torch.nan
    assert np.isnan(list(scores(features(20), fake).values())).all()


def test_autocast_is_without_effect():
    real, fake = features(40, seed=1).float(), features(40, seed=2).float()
    expected = scores(real, fake)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert scores(real, fake.requires_grad_()) == expected


@pytest.mark.parametrize("options", [{"replicates": 0}, {"level": 0.0}, {"level": 1.0}])
def test_wrong_options_have_a_line(options):
    with pytest.raises(ValueError, match="replicates must be positive and 0 < level < 1"):
        KernelDistance(features(10), **options)
