"""The table of codes: its commands, and what it makes of several seeds."""

import sys

import pytest

from loading import ROOT, loaded_file


@pytest.fixture(scope="module")
def codes():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    yield loaded_file("benchmarks/codes.py")
    sys.path.remove(str(ROOT / "benchmarks"))


def test_all_families_are_of_the_same_digits(settings, codes):
    runs = [settings(*words.split(), "seed=0") for words in codes.FAMILIES.values()]
    assert len({tuple(run["data"]["sample_shape"]) for run in runs}) == 1
    assert {run["data"]["margin"] for run in runs} == {0}
    assert {run["model"]["name"] for run in runs} >= {"ae", "vae", "sparse_ae", "denoising_ae", "contractive_ae"}


def test_a_line_has_the_median_and_the_range(codes):
    rows = [
        {"dims": 8, "linear_probe": {"value": value}, "knn": {"value": 0.5}, "few_labels": {"value": value / 2}}
        for value in (0.9, 0.7, 0.8)
    ]
    assert codes.told(rows).split() == ["8", "0.800", "0.700–0.900", "0.500", "0.400", "0.350–0.450"]
