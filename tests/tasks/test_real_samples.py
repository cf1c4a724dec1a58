"""Real samples for scores: their bytes, their classes, their conditions in turn."""

from types import SimpleNamespace

import pytest
import torch

from ganlab.data.digits import DigitsData
from ganlab.data.image_source import MemoryImages
from ganlab.metrics.extractors.random_conv import RandomConv
from ganlab.metrics.references import fingerprint_of
from ganlab.tasks.real_samples import RealSamples


@pytest.fixture(scope="module")
def digits():
    data = DigitsData(
        name="digits", batch_size=8, channels=1, image_size=8, sample_shape=[1, 8, 8], num_classes=10, condition_size=10
    )
    data.setup()
    return data


@pytest.fixture
def real(tmp_path):
    def make(data, extractor=None, **options):
        options = {"reference_count": 10_000, "batch_size": 32, "cache_dir": str(tmp_path), **options}
        return RealSamples(data, options, extractor)

    return make


def test_a_reference_is_of_the_bytes_that_the_data_hold(digits, real):
    samples = real(digits, RandomConv(), reference_count=50)
    reference = samples.reference("test")
    assert reference.fingerprint == fingerprint_of(digits.test.images[:50])
    assert reference.observation.samples.equal(digits.test.images[:50])
    assert reference.observation.labels.equal(digits.test.conditions[:50])
    assert len(reference) == 50 and samples.reference("test") is reference
    assert len(samples.reference("train", 20)) == 20 and samples.size("train") == 50
    assert real(digits, RandomConv()).reference("train", 10, labelled=False).observation.labels is None


def test_chunks_change_nothing(digits, real, monkeypatch):
    whole = real(digits, RandomConv()).reference("train", 60)
    monkeypatch.setattr("ganlab.tasks.real_samples.CHUNK", 7)
    assert real(digits, RandomConv()).reference("train", 60).fingerprint == whole.fingerprint


def test_conditions_come_in_turn_and_without_the_images(digits, real, monkeypatch):
    samples = real(digits, reference_count=6)
    monkeypatch.setattr(MemoryImages, "gather", None)
    assert samples.conditions("test", 14).equal(digits.test.conditions[[0, 1, 2, 3, 4, 5] * 3][:14])


@pytest.mark.parametrize(
    ("conditions", "num_classes", "expected"),
    [
        (None, 10, False),
        (torch.arange(3), 10, True),
        (torch.arange(3), 1000, False),
        (torch.rand(3, 40), 0, False),
    ],
    ids=["none", "classes", "very many classes", "attributes"],
)
def test_only_some_conditions_are_classes_to_compare_within(real, conditions, num_classes, expected):
    found = real(SimpleNamespace(num_classes=num_classes)).classes(conditions)
    assert found is (conditions if expected else None)
