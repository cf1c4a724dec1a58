import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score
from sklearn.svm import SVC

from ganlab.metrics.label_agreement import LabelAgreement


@pytest.fixture(scope="module")
def digits():
    """Real digits, float32 [n, 1, 8, 8] in [-1, 1], and labels: 600 to fit on, the rest to be judged."""
    data = load_digits()
    images = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1) / 8 - 1
    labels = torch.tensor(data.target)
    return images[:600], labels[:600], images[600:], labels[600:]


@pytest.fixture
def metric(digits):
    return LabelAgreement(digits[0], digits[1])


def oracle(digits, images, labels):
    classifier = SVC().fit(digits[0].flatten(1).numpy(), digits[1].numpy())
    return accuracy_score(labels.numpy(), classifier.predict(images.flatten(1).numpy()))


def test_it_is_sklearns_accuracy(digits, metric):
    _, _, images, labels = digits
    noisy = images + 0.8 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    metric.update(noisy, labels)
    expected = oracle(digits, noisy, labels)
    assert 0.3 < expected < 0.95
    assert metric.compute().item() == pytest.approx(expected, abs=1e-7)


def test_it_says_what_it_should_of_good_and_of_wrong_labels(digits, metric):
    _, _, images, labels = digits
    metric.update(images, labels)
    assert metric.compute() > 0.9
    metric.reset()
    metric.update(images, (labels + 1) % 10)
    assert metric.compute() < 0.05


def test_pieces_make_the_whole(digits, metric):
    _, _, images, labels = digits
    metric.update(images, labels.roll(3))
    whole = metric.compute()
    metric.reset()
    for part in (slice(0, 7), slice(7, 500), slice(500, None)):
        metric.update(images[part], labels.roll(3)[part])
    assert metric.compute() == whole
    assert metric.seen == len(labels)


def test_states_add_over_processes(digits, metric):
    _, _, images, labels = digits
    asked = labels.clone()
    asked[::3] = 0
    metric.update(images, asked)
    first, second = LabelAgreement(digits[0], digits[1]), LabelAgreement(digits[0], digits[1])
    first.update(images[:100], asked[:100])
    second.update(images[100:], asked[100:])
    first.merge_state(second)
    assert first.compute() == metric.compute()
    assert (first.agreed, first.seen) == (metric.agreed, metric.seen)
    assert second.compute() != metric.compute()


def test_it_is_deterministic_and_leaves_the_random_state_alone(digits):
    _, _, images, labels = digits
    state, values = torch.get_rng_state(), []
    for _ in range(2):
        metric = LabelAgreement(digits[0], digits[1])
        metric.update(images[:50].requires_grad_(), labels[:50].roll(1))
        values.append(metric.compute().item())
    assert values[0] == values[1]
    assert torch.equal(torch.get_rng_state(), state)


def test_it_brings_no_weights_into_a_model(metric):
    assert list(metric.parameters()) == []
    assert metric.state_dict() == {}
