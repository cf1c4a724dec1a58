import numpy as np
import pytest
import scipy.linalg
import torch
from torchmetrics.image.fid import FrechetInceptionDistance

from ganlab.metrics.frechet import FrechetDistance, GaussianStatistics, frechet_distance
from two_processes import on_two_ranks


def features(count, dimension=24, seed=0, decay=0.5, spread=1.0, shift=0.0):
    """Correlated Gaussian rows, float64; the k-th of their standard deviations is spread * k ** -decay."""
    random = torch.Generator().manual_seed(seed)
    mixing = torch.randn(dimension, dimension, generator=torch.Generator().manual_seed(99), dtype=torch.float64)
    rotation, _ = torch.linalg.qr(mixing)
    deviations = spread * torch.arange(1, dimension + 1, dtype=torch.float64) ** -decay
    return torch.randn(count, dimension, generator=random, dtype=torch.float64) * deviations @ rotation + shift


def distance(real, fake, batch=1000):
    metric = FrechetDistance(GaussianStatistics.of(real))
    for part in fake.split(batch):
        metric.update(part)
    return metric.compute().item()


def by_matrix_root(real, fake):
    """The formula in so many words, by scipy's root of a general matrix; right at full rank only."""
    real, fake = real.double().numpy(), fake.double().numpy()
    first, second = (np.atleast_2d(np.cov(rows, rowvar=False)) for rows in (real, fake))
    root = scipy.linalg.sqrtm(first @ second)
    return np.sum((real.mean(0) - fake.mean(0)) ** 2) + np.trace(first + second - 2 * root.real)


def by_nuclear_norm(real, fake):
    """tr (S1 S2)^½ is the sum of the singular values of Xᵀ-times-Y for the centred, scaled samples; at any rank."""
    real, fake = real.double().numpy(), fake.double().numpy()
    shift = real.mean(0) - fake.mean(0)
    real, fake = ((rows - rows.mean(0)) / np.sqrt(len(rows) - 1) for rows in (real, fake))
    overlap = np.linalg.svd(real @ fake.T, compute_uv=False).sum()
    return np.sum(shift**2) + np.sum(real**2) + np.sum(fake**2) - 2 * overlap


@pytest.mark.parametrize("dimension", [1, 2, 24, 64])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_it_is_scipys_matrix_root_at_full_rank(dimension, dtype):
    real = features(90, dimension, seed=1).to(dtype)
    fake = features(200, dimension, seed=2, decay=0.3, spread=1.2, shift=0.1).to(dtype)
    expected = by_matrix_root(real, fake)
    assert distance(real, fake) == pytest.approx(expected, rel=1e-9)
    assert distance(fake, real) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("reals", "fakes"), [(50, 40), (40, 50), (50, 400), (400, 50), (2, 2), (3, 400), (96, 97)])
def test_it_is_the_nuclear_norm_with_fewer_samples_than_features(reals, fakes):
    real, fake = features(reals, 96, seed=1), features(fakes, 96, seed=2, shift=0.02)
    assert distance(real, fake) == pytest.approx(by_nuclear_norm(real, fake), rel=1e-10)


def test_it_is_the_closed_form_of_gaussians_with_parallel_axes():
    first, second = torch.tensor([4.0, 1.0, 0.0]).double(), torch.tensor([1.0, 9.0, 4.0]).double()
    reference = GaussianStatistics.of_moments(torch.zeros(3).double(), first.diag(), 1000)
    found = frechet_distance(reference, torch.tensor([3.0, 0.0, 0.0]).double(), second.diag(), 1000)
    assert found.item() == pytest.approx(9 + (2 - 1) ** 2 + (1 - 3) ** 2 + (0 - 2) ** 2, rel=1e-12)


def test_it_is_torchmetrics_on_the_same_features():
    real, fake = features(300, 32, seed=1), features(250, 32, seed=2, spread=1.1, shift=0.05)
    extractor = torch.nn.Identity()
    extractor.num_features = 32
    theirs = FrechetInceptionDistance(feature=extractor).set_dtype(torch.float64)
    theirs.update(real, real=True)
    theirs.update(fake, real=False)
    assert distance(real, fake) == pytest.approx(theirs.compute().item(), rel=1e-6)


def no_variance_in_half(rows):
    return torch.cat([rows[:, ::2], torch.full_like(rows[:, ::2], 0.3)], dim=1)


@pytest.mark.parametrize(
    "rows",
    [
        features(300),
        features(10, 96),
        features(2, 96),
        features(10, 8).repeat(30, 1),
        features(300, 96, decay=3.0),
        features(5, 96).repeat(60, 1),
        no_variance_in_half(features(300, 96)),
        torch.cat([features(300, 48)] * 2, dim=1),
        torch.full((50, 8), 0.3, dtype=torch.float64),
        features(300, 96, shift=1e4),
        features(300, 96, shift=1e4).float(),
        features(300, 96, spread=1e-6),
        features(300, 96, spread=1e6),
    ],
    ids=lambda rows: "x".join(map(str, rows.shape)),
)
def test_a_set_is_at_zero_from_itself_and_never_below(rows):
    variance = rows.double().var(dim=0).sum().item()
    for batch in (1000, 7):
        assert 0 <= distance(rows, rows, batch) <= 1e-9 * variance + 1e-20


def test_no_pair_of_ranks_makes_it_negative():
    sets = [features(n, 40, seed=n, decay=decay, spread=1e-3) for n in (2, 20, 39, 40, 41, 300) for decay in (0, 2)]
    sets += [rows[:1].repeat(30, 1) for rows in sets[:1]] + [rows[:4].repeat(30, 1) for rows in sets[2:3]]
    for real in sets:
        for fake in sets:
            found, rounding = distance(real, fake), 1e-9 * real.var(dim=0).sum().item() + 1e-20
            assert found == pytest.approx(by_nuclear_norm(real, fake), rel=1e-6, abs=rounding)
            assert found >= 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("offset", [1e4, 1e6])
def test_nothing_cancels_far_from_zero(offset, dtype):
    real, fake = features(200, seed=1, shift=offset).to(dtype), features(150, seed=2, shift=offset + 0.2).to(dtype)
    expected = by_nuclear_norm(real.double() - offset, fake.double() - offset)
    assert distance(real, fake) == pytest.approx(expected, rel=1e-6)


def test_a_generator_far_from_the_data_is_measured():
    real, fake = features(200, seed=1), features(150, seed=2, shift=1e5)
    assert distance(real, fake) == pytest.approx(by_nuclear_norm(real, fake), rel=1e-12)


@pytest.mark.parametrize("batch", [1, 7, 64, 5000])
def test_the_batch_size_is_without_effect(batch):
    real, fake = features(100, seed=1), features(5000, seed=2, spread=1.3)
    assert distance(real, fake, batch) == pytest.approx(by_matrix_root(real, fake), rel=1e-9)


@pytest.mark.parametrize("cut", [30, 0])
def test_two_ranks_with_uneven_shards_make_the_whole(cut):
    real, fake = features(100, seed=1), features(131, seed=2, spread=1.3)

    def score(rank):
        metric = FrechetDistance(GaussianStatistics.of(real))
        for part in (fake[:cut], fake[cut:])[rank].split(17):
            metric.update(part)
        return metric.compute()

    first, second = on_two_ranks(score)
    assert first == second
    assert first.item() == pytest.approx(distance(real, fake), rel=1e-10)
    assert first.item() != pytest.approx(distance(real, fake[30:]), rel=1e-3)


def test_states_add():
    real, fake = features(100, seed=1), features(131, seed=2)
    parts = [FrechetDistance(GaussianStatistics.of(real)) for _ in range(2)]
    for metric, part in zip(parts, (fake[:100], fake[100:]), strict=True):
        metric.update(part)
    parts[0].merge_state(parts[1])
    assert parts[0].compute().item() == pytest.approx(distance(real, fake), rel=1e-10)


def test_a_second_score_starts_anew():
    real, fake = features(100, seed=1), features(131, seed=2)
    metric = FrechetDistance(GaussianStatistics.of(real))
    metric.update(fake * 3)
    metric.compute()
    metric.reset()
    metric.update(fake)
    assert metric.compute().item() == distance(real, fake)


def test_autocast_gradients_and_random_state_are_without_effect():
    real, fake = features(100, seed=1).float(), features(131, seed=2).float()
    expected, state = distance(real, fake), torch.get_rng_state()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert distance(real.requires_grad_(), fake.requires_grad_()) == expected
    assert torch.equal(torch.get_rng_state(), state)


def test_the_score_is_float64_and_brings_nothing_into_a_checkpoint():
    parent = torch.nn.Module()
    parent.metric = FrechetDistance(GaussianStatistics.of(features(100).float()))
    parent.half()
    parent.metric.update(features(100, seed=2).float())
    assert parent.metric.compute().dtype == torch.float64
    assert parent.metric.compute().item() == distance(features(100).float(), features(100, seed=2).float())
    assert parent.state_dict() == {} and list(parent.parameters()) == []


@pytest.mark.parametrize("rows", [features(5000), features(10), torch.cat([features(99, 12)] * 2, dim=1)])
def test_the_moments_of_the_reference(rows):
    found = GaussianStatistics.of(rows)
    torch.testing.assert_close(found.mean, rows.mean(0), rtol=0, atol=1e-14)
    torch.testing.assert_close(found.covariance, rows.T.cov(), rtol=0, atol=1e-14)
    torch.testing.assert_close(found.factor @ found.factor.T, rows.T.cov(), rtol=0, atol=1e-14)
    assert found.count == len(rows)
    assert found.factor.shape[1] == torch.linalg.matrix_rank(rows.T.cov(), hermitian=True)


def test_noise_in_moments_is_no_rank():
    """Moments that were kept in float32 have noise where ten samples have no variance."""
    rows = features(10, 96)
    found = GaussianStatistics.of_moments(rows.mean(0), rows.T.cov().float().double(), 10)
    assert found.factor.shape == (96, 9)


def test_what_is_not_finite_has_no_distance():
    real, fake = features(100), features(100, seed=1)
    fake[3, 4] = torch.inf
    assert np.isnan(distance(real, fake))
    with pytest.raises(ValueError, match="not finite"):
        GaussianStatistics.of(fake)


def test_programming_mistakes_have_a_line():
    reference = GaussianStatistics.of(features(100))
    with pytest.raises(ValueError, match="at least 2 samples, there are 1"):
        GaussianStatistics.of(features(1))
    with pytest.raises(ValueError, match="25 dimensions, those of the reference 24"):
        FrechetDistance(reference).update(features(10, 25))
    with pytest.raises(ValueError, match=r"not torch.uint8 \[4, 24\]"):
        FrechetDistance(reference).update(torch.zeros(4, 24, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"float32 \[4, 24, 1\]"):
        FrechetDistance(reference).update(torch.zeros(4, 24, 1))
    metric = FrechetDistance(reference)
    metric.update(features(1))
    with pytest.raises(ValueError, match="at least 2 generated samples, there are 1"):
        metric.compute()
