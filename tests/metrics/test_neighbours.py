import joblib
import numpy as np
import pytest
import torch
from prdc import compute_prdc
from sklearn.neighbors import KNeighborsClassifier

from ganlab.metrics.distances import Distances
from ganlab.metrics.neighbours import Authenticity, ManifoldMetrics, NearestNeighbourTest
from two_processes import on_two_ranks

METRICS = [ManifoldMetrics, Authenticity, NearestNeighbourTest]


def features(count, dimension=5, seed=0, shift=0.0):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(count, dimension, generator=random, dtype=torch.float64) + shift


def lattice(count, dimension=3, seed=0, reach=1000):
    """Whole numbers: differences and squares are exact in every way to compute them."""
    random = torch.Generator().manual_seed(seed)
    return torch.randint(-reach, reach + 1, (count, dimension), generator=random).double()


def plain(found):
    return {name: value.item() for name, value in found.items()} if isinstance(found, dict) else found.item()


def score(metric, fake, batch=1000):
    for part in fake.split(batch):
        metric.update(part)
    return plain(metric.compute())


def prdc(real, fake, precision_neighbours, density_neighbours):
    real, fake = real.double().numpy(), fake.double().numpy()
    with joblib.parallel_config(backend="sequential"):  # prdc asks for eight threads, which share one warnings filter
        first, second = (compute_prdc(real, fake, k) for k in (precision_neighbours, density_neighbours))
    return {name: float(first[name]) for name in ("precision", "recall")} | {
        name: float(second[name]) for name in ("density", "coverage")
    }


@pytest.mark.parametrize(("first", "second"), [(3, 5), (1, 1), (5, 3), (10, 2)])
@pytest.mark.parametrize(("reals", "fakes", "dimension"), [(100, 150, 2), (150, 60, 5), (90, 90, 64), (20, 300, 1)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_manifolds_are_prdcs(first, second, reals, fakes, dimension, dtype):
    real = features(reals, dimension, seed=1).to(dtype)
    fake = features(fakes, dimension, seed=2, shift=0.5 / dimension).mul(0.9).to(dtype)
    expected = prdc(real, fake, first, second)
    assert len(set(expected.values()) - {0.0, 1.0}) >= 2
    assert score(ManifoldMetrics(real, first, second, chunk=64), fake) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("neighbours", [1, 3, 5])
def test_manifolds_are_prdcs_with_duplicated_rows(neighbours):
    """Duplicates in each set, more of some than k, and rows that both have: balls of no size, rows on the rim."""
    real = torch.cat([lattice(80, seed=1), lattice(80, seed=1)[:30], lattice(1, seed=1).repeat(6, 1)])
    fake = torch.cat([lattice(70, seed=2), real[20:40], lattice(70, seed=2)[:20], lattice(70, seed=2)[:1].repeat(7, 1)])
    expected = prdc(real, fake, neighbours, neighbours)
    assert score(ManifoldMetrics(real, neighbours, neighbours), fake) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("chunk", [25, 150, 1000])
@pytest.mark.parametrize("dimension", [2, 64])
def test_a_copied_set_scores_the_same_whatever_the_rounding(dimension, chunk):
    """The k-th neighbour's copy is on the rim, so outside, though rounding varies with the rows in a block."""
    real = features(151, dimension)
    fake = real[torch.randperm(151, generator=torch.Generator().manual_seed(1))]
    found = score(ManifoldMetrics(real, chunk=chunk), fake)
    assert found == {"precision": 1, "recall": 1, "density": 1, "coverage": 1}


def test_sets_that_lie_apart_score_nothing():
    found = score(ManifoldMetrics(features(50)), features(60, seed=1, shift=100))
    assert found == {"precision": 0, "recall": 0, "density": 0, "coverage": 0}


def authenticity(training, fake):
    across = np.linalg.norm(fake[:, None] - training[None], axis=2)
    within = np.linalg.norm(training[:, None] - training[None], axis=2)
    np.fill_diagonal(within, np.inf)
    nearest = across.argmin(axis=1)
    return 100 * np.mean(across.min(axis=1) > within[nearest].min(axis=1))


@pytest.mark.parametrize(("trainings", "fakes", "dimension"), [(100, 70, 2), (60, 200, 5), (2, 1, 3)])
@pytest.mark.parametrize("chunk", [7, 1000])
def test_authenticity_is_brute_force(trainings, fakes, dimension, chunk):
    training, fake = features(trainings, dimension, seed=1), features(fakes, dimension, seed=2) * 0.7
    expected = authenticity(training.numpy(), fake.numpy())
    assert score(Authenticity(training, chunk=chunk), fake) == pytest.approx(expected, abs=1e-10)


def test_copies_are_not_authentic():
    training = features(120)
    copies = training[torch.randint(120, (90,), generator=torch.Generator().manual_seed(3))]
    assert score(Authenticity(training), copies) == 0
    assert score(Authenticity(training), copies + 1e-3 * features(90, seed=1)) < 5
    assert score(Authenticity(training), features(90, shift=50)) == 100
    assert score(Authenticity(training), torch.cat([copies[:30], features(60, shift=50)])) == pytest.approx(200 / 3)


@pytest.mark.parametrize("dimension", [2, 64])
def test_a_copy_of_what_is_twice_in_the_training_data_is_a_copy(dimension):
    """Its nearest training sample is at 0 and has another one at 0: rounding must not make one of them the nearer."""
    training = features(40, dimension, shift=3).repeat(2, 1)
    assert score(Authenticity(training, chunk=16), training[:33]) == 0


def test_unseen_samples_of_the_data_are_authentic_by_half():
    found = [score(Authenticity(features(400, 8, seed=i)), features(400, 8, seed=i + 100)) for i in range(5)]
    assert 45 < np.mean(found) < 60


@pytest.mark.parametrize(("count", "dimension", "shift"), [(60, 2, 0.5), (90, 20, 0.1), (2, 1, 0.0), (150, 3, 0.0)])
@pytest.mark.parametrize("chunk", [7, 1000])
def test_the_two_sample_test_is_sklearns_leave_one_out(count, dimension, shift, chunk):
    real, fake = features(count, dimension, seed=1), features(count, dimension, seed=2, shift=shift)
    rows, labels = torch.cat([real, fake]).numpy(), np.repeat([0, 1], count)
    others = ~np.eye(len(rows), dtype=bool)
    right = np.array(
        [
            KNeighborsClassifier(1).fit(rows[rest], labels[rest]).predict(rows[[i]])[0] == labels[i]
            for i, rest in enumerate(others)
        ]
    )
    found = score(NearestNeighbourTest(real, chunk=chunk), fake)
    assert found["on_reference"] == pytest.approx(right[:count].mean(), abs=1e-12)
    assert found["on_generated"] == pytest.approx(right[count:].mean(), abs=1e-12)
    assert found["accuracy"] == pytest.approx(right.mean(), abs=1e-12)


def test_the_two_sample_test_at_its_ends():
    real = features(150, 6, seed=1)
    same = [score(NearestNeighbourTest(real), features(150, 6, seed=i))["accuracy"] for i in range(2, 8)]
    assert 0.45 < np.mean(same) < 0.55
    assert score(NearestNeighbourTest(real), features(150, 6, shift=50))["accuracy"] == 1
    assert score(NearestNeighbourTest(real, chunk=16), real.flip(0)) == pytest.approx(
        {"accuracy": 0, "on_reference": 0, "on_generated": 0}
    )
    collapsed = score(NearestNeighbourTest(real), features(1, 6, seed=2) + 1e-3 * features(150, 6, seed=3))
    assert collapsed["on_generated"] == 1 and collapsed["accuracy"] > 0.9


@pytest.mark.parametrize("dimension", [2, 64])
def test_of_two_neighbours_at_no_distance_the_other_set_is_nearer(dimension):
    real = features(40, dimension, shift=3).repeat(2, 1)
    assert score(NearestNeighbourTest(real, chunk=16), real.flip(0))["accuracy"] == 0


@pytest.mark.parametrize("metric", METRICS)
def test_nothing_cancels_far_from_zero(metric):
    """Small spread, far from zero: |x|² + |y|² - 2xy would have no digit left."""
    real, fake = features(80, seed=1), features(80, seed=2) * 0.9
    expected = score(metric(real), fake)
    scale = 2.0**-20
    far = score(metric(real * scale + 1e4), fake * scale + 1e4)
    assert far == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("chunk", [5, 13, 100])
def test_chunk_batch_and_order_are_without_effect(metric, chunk):
    real, fake = features(80, seed=1), features(80, seed=2)
    whole = score(metric(real), fake)
    assert score(metric(real, chunk=chunk), fake.flip(0), batch=9) == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_two_ranks_with_uneven_shards_make_the_whole(metric):
    real, fake = features(80, seed=1).float(), features(80, seed=2).float()

    def on_rank(rank, cut=23):
        own = metric(real)
        for part in (fake[:cut], fake[cut:])[rank].split(11):
            own.update(part)
        return plain(own.compute())

    first, second = on_two_ranks(on_rank)
    assert first == second == pytest.approx(score(metric(real), fake), abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_a_second_score_starts_anew_and_again_the_same(metric):
    real, fake = features(80, seed=1), features(80, seed=2)
    state, again = torch.get_rng_state(), metric(real)
    score(again, fake.flip(1) * 2)
    again.reset()
    found = score(again, fake)
    assert found == plain(again.compute()) == score(metric(real), fake)
    assert torch.equal(torch.get_rng_state(), state)
    assert again.state_dict() == {}


@pytest.mark.parametrize("metric", [ManifoldMetrics, NearestNeighbourTest])
def test_distances_within_the_reference_are_computed_once(metric, monkeypatch):
    real, fake = features(80, seed=1), features(80, seed=2)
    own, whose, within = metric(real), [], Distances.within
    monkeypatch.setattr(Distances, "within", lambda self, rows, k: whose.append(rows[0, 0]) or within(self, rows, k))
    for _ in range(3):
        score(own, fake)
        own.reset()
    assert sorted(whose) == sorted([real[0, 0]] + [fake[0, 0]] * 3)


@pytest.mark.parametrize("metric", METRICS)
def test_autocast_is_without_effect(metric):
    real, fake = features(80, seed=1).float(), features(80, seed=2).float()
    expected = score(metric(real), fake)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert score(metric(real), fake.requires_grad_()) == expected


def test_programming_mistakes_have_a_line():
    with pytest.raises(ValueError, match="at least 6 reference samples, there are 5"):
        ManifoldMetrics(features(5))
    with pytest.raises(ValueError, match="at least 2 reference samples, there are 1"):
        Authenticity(features(1))
    with pytest.raises(ValueError, match="number of neighbours must be positive"):
        ManifoldMetrics(features(50), 0)
    with pytest.raises(ValueError, match="at least 4 generated samples, there are 3"):
        score(ManifoldMetrics(features(50)), features(3))
    with pytest.raises(ValueError, match="of one size, not 50 and 49 samples"):
        score(NearestNeighbourTest(features(50)), features(49))
