"""What is a check, and when it holds."""

import math

import numpy as np
import pytest
from matplotlib.figure import Figure

from ganlab.claims.finding import Check, Finding, listed
from ganlab.errors import ConfigError


@pytest.mark.parametrize(
    ("bounds", "values", "held"),
    [
        ({"at_least": 1.0}, [1.0, 2.0], [True, True]),
        ({"at_least": 1.0}, [0.999, 2.0], [False, True]),
        ({"at_most": 1.0}, [1.0, 1.001], [True, False]),
        ({"at_least": 1.0, "at_most": 2.0}, [0.5, 1.5, 2.5], [False, True, False]),
        ({"at_least": 0.0}, [math.nan, math.inf], [False, True]),
        ({"at_most": 0.0}, [math.nan, -math.inf], [False, True]),
    ],
)
def test_a_check_holds_where_every_seed_is_within_its_bounds(bounds, values, held):
    check = Check("something", values, **bounds)
    assert check.held == held
    assert check.holds is all(held)


def test_a_check_of_nothing_does_not_hold():
    assert not Check("something", [], at_least=0).holds


def test_what_cannot_fail_is_no_check():
    with pytest.raises(ConfigError, match=r"^check something: has no bound$"):
        Check("something", [1.0])


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (Check("", [0], at_least=0.5), "≥ 0.5"),
        (Check("", [0], at_most=5, unit="°"), "≤ 5 °"),
        (Check("", [0], at_least=0.9, at_most=1.1), "0.9 to 1.1"),
    ],
)
def test_bounds_in_words(check, words):
    assert check.expected == words


def test_mean_and_deviation_are_those_of_numpy():
    values = [1.0, 2.5, -3.0, 0.25]
    check = Check("something", values, at_least=0)
    assert check.mean == pytest.approx(np.mean(values))
    assert check.sd == pytest.approx(np.std(values, ddof=1))
    assert Check("something", [1.0], at_least=0).sd is None


def test_a_finding_holds_if_all_its_checks_do():
    good, bad = Check("a", [1.0], at_least=0), Check("b", [1.0], at_most=0)
    assert Finding([good, good], Figure()).holds
    assert not Finding([good, bad], Figure()).holds
    assert not Finding([], Figure()).holds


def test_values_of_the_seeds_are_listed_in_one_form():
    assert listed([0.5, 0.256, 1], ".0%") == "50%, 26%, 100%"
    assert listed([64.2, 0.973], ".2g") == "64, 0.97"
