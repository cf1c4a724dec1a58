import warnings

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from ganlab.metrics import probes
from ganlab.metrics.probes import (
    DEFAULT_PENALTY,
    PENALTIES,
    chosen_penalty,
    commonest_class,
    few_label_accuracy,
    few_rows,
    knn,
    linear_probe,
    principal_components,
    standard_error,
)


def clouds(count, dims=4, classes=3, apart=1.0, seed=0):
    """Rows around class centres on the first axes, unit noise, classes in turn."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    features = random.standard_normal((count, dims))
    features[np.arange(count), labels] += apart
    return features, labels


def two_sets(train=120, test=90, **options):
    return (*clouds(train, seed=1, **options), *clouds(test, seed=2, **options))


def brute_force_knn(train_x, train_y, test_x, k):
    said = []
    for row in test_x:
        squared = [float(sum((a - b) ** 2 for a, b in zip(row, other, strict=True))) for other in train_x]
        nearest = sorted(range(len(train_x)), key=lambda i: squared[i])[:k]
        votes = {}
        for i in nearest:
            votes[int(train_y[i])] = votes.get(int(train_y[i]), 0) + 1
        most = max(votes.values())
        said.append(min(label for label, count in votes.items() if count == most))
    return np.array(said)


@pytest.mark.parametrize("k", [1, 4, 5])
def test_knn_is_brute_force(k):
    train_x, train_y, test_x, test_y = two_sets(apart=1.5)
    train_x, test_x = train_x * [1, 5, 1, 1], test_x * [1, 5, 1, 1]  # standardising would change it
    expected = np.mean(brute_force_knn(train_x, train_y, test_x, k) == test_y)
    assert 0.3 < expected < 0.95
    assert knn(train_x, train_y, test_x, test_y, k) == pytest.approx(expected, abs=1e-12)
    assert knn(torch.tensor(train_x), torch.tensor(train_y), torch.tensor(test_x), torch.tensor(test_y), k) == expected


def test_knn_of_fewer_rows_than_neighbours_lets_all_vote():
    assert knn([[0.0], [1.0], [9.0]], [1, 1, 0], [[9.0], [0.0]], [0, 1]) == 0.5


def objective_minimised(train_x, train_y, penalty, classes):
    """Weights and offsets of the smallest mean cross-entropy + penalty/2 ‖w‖², by scipy and its own differences."""
    onehot = np.eye(classes)[train_y]

    def loss(flat):
        weights, offsets = flat[:-classes].reshape(-1, classes), flat[-classes:]
        logits = train_x @ weights + offsets
        log_sum = np.log(np.exp(logits).sum(1))
        return np.mean(log_sum - (onehot * logits).sum(1)) + penalty / 2 * (weights**2).sum()

    found = minimize(loss, np.zeros((train_x.shape[1] + 1) * classes), method="BFGS", options={"gtol": 1e-6}).x
    return found[:-classes].reshape(-1, classes), found[-classes:]


@pytest.mark.parametrize("penalty", [1.0, 1e-2])
def test_the_probe_minimises_the_penalised_cross_entropy_of_standardised_features(penalty, monkeypatch):
    monkeypatch.setattr(probes, "PENALTIES", (penalty,))
    train_x, train_y, test_x, test_y = two_sets(60, 300, apart=1.2)
    stretch = np.array([1, 30, 0.1, 1])
    train_x, test_x = train_x * stretch + 7, test_x * stretch + 7
    mean, deviation = train_x.mean(0), train_x.std(0)
    weights, offsets = objective_minimised((train_x - mean) / deviation, train_y, penalty, 3)
    said = (((test_x - mean) / deviation) @ weights + offsets).argmax(1)
    assert 0.4 < np.mean(said == test_y) < 0.95
    assert linear_probe(train_x, train_y, test_x, test_y) == pytest.approx(np.mean(said == test_y), abs=1 / 300 + 1e-9)


def test_separable_classes_are_read_and_random_labels_are_not():
    train_x, train_y, test_x, test_y = two_sets(apart=12.0)
    assert linear_probe(train_x, train_y, test_x, test_y) == 1.0
    assert knn(train_x, train_y, test_x, test_y) == 1.0
    random = np.random.default_rng(5)
    chance = [linear_probe(train_x, random.permutation(train_y), test_x, random.permutation(test_y)) for _ in range(6)]
    assert np.mean(chance) == pytest.approx(1 / 3, abs=3 * np.sqrt(2 / 9 / 540))


def test_a_feature_that_says_the_class_in_the_test_set_alone_is_of_no_use():
    """A probe that were fitted, or whose penalty were chosen, on test rows would read it."""
    train_x, train_y, test_x, test_y = two_sets(300, 300, dims=3, apart=0.0)
    random = np.random.default_rng(0)
    train_x, test_x = np.c_[train_x, random.permutation(train_y) * 1.0], np.c_[test_x, test_y * 1.0]
    assert linear_probe(train_x, train_y, test_x, test_y) < 0.45
    assert knn(train_x, train_y, test_x, test_y) < 0.45


def test_one_test_row_is_read_as_it_is_among_others():
    """Features are standardised by training rows alone: what else is tested, and how far off, changes nothing."""
    train_x, train_y, test_x, test_y = two_sets(apart=1.0)
    alone = [linear_probe(train_x, train_y, test_x[[i]], test_y[[i]]) for i in range(15)]
    assert np.mean(alone) == pytest.approx(linear_probe(train_x, train_y, test_x[:15], test_y[:15]))
    far = np.r_[test_x[:15], np.full((60, 4), 1e3)]
    right = linear_probe(train_x, train_y, far, np.r_[test_y[:15], np.full(60, 99)])
    assert right * 75 / 15 == pytest.approx(np.mean(alone)), "class 99 is never said"


def test_the_scale_of_features_and_those_that_do_not_vary_are_without_effect():
    train_x, train_y, test_x, test_y = two_sets(apart=1.0)
    plain = linear_probe(train_x, train_y, test_x, test_y)
    scaled = train_x * [1e-3, 1, 40, 1e4] - 3, test_x * [1e-3, 1, 40, 1e4] - 3
    assert linear_probe(scaled[0], train_y, scaled[1], test_y) == pytest.approx(plain, abs=0.012)
    constant = np.c_[train_x, np.full(len(train_x), 0.1)], np.c_[test_x, np.random.default_rng(0).random(len(test_x))]
    assert linear_probe(constant[0], train_y, constant[1], test_y) == plain


def test_more_features_than_rows_are_the_same_problem_in_their_span(monkeypatch):
    train_x, train_y, test_x, test_y = two_sets(60, 200, dims=400, apart=3.0)
    reduced = linear_probe(train_x, train_y, test_x, test_y)
    sizes = []
    monkeypatch.setattr(probes, "_in_span", lambda train, test: sizes.append(train.shape) or (train, test))
    assert linear_probe(train_x, train_y, test_x, test_y) == pytest.approx(reduced, abs=1 / 200 + 1e-9)
    monkeypatch.undo()
    smaller = probes._in_span(train_x, test_x)
    assert (sizes[-1], smaller[0].shape, smaller[1].shape) == ((60, 400), (60, 60), (200, 60))
    assert np.allclose(smaller[0] @ smaller[0].T, train_x @ train_x.T)
    assert np.allclose(smaller[1] @ smaller[0].T, test_x @ train_x.T)
    assert 0.5 < reduced < 0.95


def test_the_penalty_is_chosen_by_held_out_training_rows():
    noise = two_sets(90, 3, dims=60, apart=0.4)
    clear = two_sets(900, 3, dims=2, apart=1.0, classes=2)
    assert chosen_penalty(*noise[:2]) >= 0.1, "sixty features of noise and 90 rows"
    assert chosen_penalty(clear[0] * 100, clear[1]) in PENALTIES
    # Two features that almost cancel: their difference tells the class, and a strong penalty cannot reach it.
    random = np.random.default_rng(0)
    common, labels = random.standard_normal(600), np.arange(600) % 2
    tight = np.c_[common, common + 0.05 * (labels - 0.5)]
    assert chosen_penalty(tight, labels) == 1e-4
    assert chosen_penalty(*clouds(8, classes=4)) == DEFAULT_PENALTY, "two rows a class cannot be folded in three"


def test_of_many_training_rows_some_choose_the_penalty_and_all_are_fitted(monkeypatch):
    seen = []
    whole = probes._fitted_and_read
    monkeypatch.setattr(probes, "_fitted_and_read", lambda *given: seen.append(len(given[0])) or whole(*given))
    monkeypatch.setattr(probes, "CHOOSING", 90)
    linear_probe(*two_sets(300, 30))
    assert set(seen[:-1]) == {60} and len(seen) == 3 * len(PENALTIES) + 1 and seen[-1] == 300


def test_few_labels_are_drawn_from_every_class_by_the_seed():
    labels = np.repeat([3, 0, 7], [40, 25, 4])
    rows = few_rows(labels, 10, seed=2)
    assert np.unique(labels[rows], return_counts=True)[1].tolist() == [10, 10, 4], "all of a class that has fewer"
    assert len(set(rows.tolist())) == 24 and (np.diff(rows) > 0).all()
    assert few_rows(labels, 10, seed=2).tolist() == rows.tolist() != few_rows(labels, 10, seed=3).tolist()
    drawn = np.concatenate([few_rows(labels, 10, seed) for seed in range(300)])
    counts = np.bincount(drawn, minlength=69)[:40]
    # Each of the forty is in a draw with probability 1/4: 75 ± 7.5 times in 300.
    assert counts.min() > 75 - 5 * 7.5 and counts.max() < 75 + 5 * 7.5


def test_few_label_accuracy_is_the_probe_of_each_draw_alone():
    train_x, train_y, test_x, test_y = two_sets(300, 200, apart=1.5)
    found = few_label_accuracy(train_x, train_y, test_x, test_y, per_class=4, seeds=(0, 1, 9))
    own = [few_rows(train_y, 4, seed) for seed in (0, 1, 9)]
    assert found == [linear_probe(train_x[rows], train_y[rows], test_x, test_y) for rows in own]
    assert len(set(found)) > 1 and np.mean(found) < linear_probe(train_x, train_y, test_x, test_y)
    unseen = np.isin(np.arange(300), np.concatenate(own), invert=True)
    train_x[unseen] = np.nan  # not looked at
    assert found == few_label_accuracy(train_x, train_y, test_x, test_y, per_class=4, seeds=(0, 1, 9))


def test_principal_components_are_those_of_the_training_rows():
    random = np.random.default_rng(1)
    train, test = random.standard_normal((50, 6)) @ random.standard_normal((6, 6)) + 4, random.standard_normal((9, 6))
    found, of_test = principal_components(train, test, 2)
    _, vectors = np.linalg.eigh(np.cov(train.T))
    top = vectors[:, ::-1][:, :2]
    signs = np.sign((found * ((train - train.mean(0)) @ top)).sum(0))
    assert np.allclose(found, (train - train.mean(0)) @ top * signs)
    assert np.allclose(of_test, (test - train.mean(0)) @ top * signs)
    assert principal_components(train, test, 100)[0].shape == (50, 6)
    assert principal_components(train[:4].reshape(4, 2, 3), test.reshape(9, 2, 3), 100)[1].shape == (9, 4)


def test_what_chance_gives():
    assert commonest_class([1, 1, 0], [1, 0, 0, 0]) == 0.25
    assert linear_probe(np.zeros((3, 2)), [4, 4, 4], np.ones((4, 2)), [4, 4, 0, 4]) == 0.75
    assert standard_error(0.9, 900) == pytest.approx(0.01)
    draws = np.random.default_rng(0).binomial(50, 0.8, 200_000) / 50
    assert standard_error(0.8, 50) == pytest.approx(draws.std(), rel=0.01)


def test_nothing_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        linear_probe(*two_sets(apart=8.0))
        few_label_accuracy(*two_sets(apart=8.0), per_class=1)
