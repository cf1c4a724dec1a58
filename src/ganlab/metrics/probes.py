"""What a representation is good for: how well simple classifiers read classes from it.

All are fitted on training rows alone and scored on test rows; features [n, d] and classes int [n] are arrays or
tensors, accuracies shares in [0, 1].
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Weights of ½‖w‖² beside the mean cross-entropy; a linear probe chooses. scikit-learn's C is 1 / (n · weight)."""
DEFAULT_PENALTY = 1e-2
"""Where a class is too small for a choice."""
FOLDS = 3
CHOOSING = 2000
"""Training rows by which the penalty is chosen at most."""
NEIGHBOURS = 5
FEW = 10
DRAWS = (0, 1, 2, 3, 4)


def linear_probe(train_x: Any, train_y: Any, test_x: Any, test_y: Any) -> float:
    """Accuracy of logistic regression with an L2 penalty.

    Features are standardised by the training rows' mean and deviation. The penalty is the best of `PENALTIES` by the
    accuracy of a stratified cross-validation with `FOLDS` folds on (at most `CHOOSING` of) the training rows, the
    strongest of equal ones.
    """
    train_x, train_y, test_x, test_y = _rows(train_x), _classes(train_y), _rows(test_x), _classes(test_y)
    if len(np.unique(train_y)) < 2:
        return share_right(np.full(len(test_y), train_y[0]), test_y)
    penalty = chosen_penalty(train_x, train_y)
    return share_right(_fitted_and_read(train_x, train_y, test_x, penalty), test_y)


def knn(train_x: Any, train_y: Any, test_x: Any, test_y: Any, k: int = NEIGHBOURS) -> float:
    """Accuracy of the majority among the k nearest training rows, by Euclidean distance of the features as they are.

    A tie goes to the smallest class. With fewer than k training rows all of them vote.
    """
    train_x, train_y = _rows(train_x), _classes(train_y)
    voting = KNeighborsClassifier(min(k, len(train_x)), algorithm="brute").fit(train_x, train_y)
    return share_right(voting.predict(_rows(test_x)), _classes(test_y))


def few_label_accuracy(
    train_x: Any, train_y: Any, test_x: Any, test_y: Any, per_class: int = FEW, seeds: Sequence[int] = DRAWS
) -> list[float]:
    """`linear_probe` of so many training rows a class, once for each seed's draw (`few_rows`)."""
    train_x, train_y = _rows(train_x), _classes(train_y)
    draws = [few_rows(train_y, per_class, seed) for seed in seeds]
    return [linear_probe(train_x[rows], train_y[rows], test_x, test_y) for rows in draws]


def few_rows(labels: Any, per_class: int, seed: int) -> np.ndarray:
    """Rows int64, `per_class` of each class (all of a smaller one), without repetition, ascending.

    A function of labels and seed alone: representations that are compared see the same rows.
    """
    labels, random = _classes(labels), np.random.default_rng(seed)
    drawn = [random.permutation(np.flatnonzero(labels == one))[:per_class] for one in np.unique(labels)]
    return np.sort(np.concatenate(drawn))


def principal_components(train_x: Any, test_x: Any, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Both sets by the training rows' first principal components: float64 [n, c], [m, c], c = `count` or all there are.

    The baseline of a code of that size: the best linear one by squared error.
    """
    train_x = _rows(train_x)
    components = PCA(min(count, *train_x.shape), random_state=0).fit(train_x)
    return components.transform(train_x), components.transform(_rows(test_x))


def commonest_class(train_y: Any, test_y: Any) -> float:
    """Accuracy of whoever always says the training rows' commonest class: what chance gives."""
    values, counts = np.unique(_classes(train_y), return_counts=True)
    test_y = _classes(test_y)
    return share_right(np.full(len(test_y), values[counts.argmax()]), test_y)


def standard_error(accuracy: float, count: int) -> float:
    """Of an accuracy over `count` independent test rows: √(p (1 - p) / n)."""
    return float(np.sqrt(accuracy * (1 - accuracy) / count))


def chosen_penalty(features: Any, labels: Any) -> float:
    """The penalty that `linear_probe` takes for these training rows."""
    features, labels = _rows(features), _classes(labels)
    if len(labels) > CHOOSING:
        rows = np.random.default_rng(0).permutation(len(labels))[:CHOOSING]
        features, labels = features[rows], labels[rows]
    if np.unique(labels, return_counts=True)[1].min() < FOLDS:
        return DEFAULT_PENALTY
    folds = list(StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(features, labels))

    def right(penalty: float) -> float:
        read = [_fitted_and_read(features[fit], labels[fit], features[held], penalty) for fit, held in folds]
        return sum(float((guess == labels[held]).sum()) for guess, (_, held) in zip(read, folds, strict=True))

    return max(sorted(PENALTIES, reverse=True), key=right)


def share_right(read: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean(read == labels))


def _fitted_and_read(train_x: np.ndarray, train_y: np.ndarray, test_x: np.ndarray, penalty: float) -> np.ndarray:
    """Classes of the test rows by a probe of the training rows."""
    mean, deviation = train_x.mean(0), train_x.std(0)
    # A feature that does not vary stays at zero in training; rounding must not blow it up in testing.
    deviation[deviation <= 1e-9 * np.abs(train_x).max(0, initial=1e-300)] = 1.0
    train_x, test_x = _in_span((train_x - mean) / deviation, (test_x - mean) / deviation)
    classifier = LogisticRegression(C=1 / (penalty * len(train_x)), max_iter=2000)
    return classifier.fit(train_x, train_y).predict(test_x)


def _in_span(train_x: np.ndarray, test_x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same problem in fewer dimensions, where features outnumber rows.

    The best weights lie in the span of the training rows and the penalty knows no direction, so coordinates in an
    orthonormal basis of that span give the same classifier: of 100 rows the 28,672 features of a discriminator cost as
    much as 100.
    """
    if train_x.shape[1] <= 4 * len(train_x):  # below, finding the basis costs more than it saves
        return train_x, test_x
    basis, _ = np.linalg.qr(train_x.T)
    return train_x @ basis, test_x @ basis


def _rows(features: Any) -> np.ndarray:
    """float64 [n, d], images and the like flattened."""
    array = _array(features).astype(np.float64)
    return array.reshape(len(array), -1)


def _classes(labels: Any) -> np.ndarray:
    return _array(labels).astype(np.int64)


def _array(values: Any) -> np.ndarray:
    return values.detach().cpu().numpy() if hasattr(values, "detach") else np.asarray(values)
