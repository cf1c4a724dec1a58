"""What a search may change, read as Hydra's users write it."""

from itertools import product

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from ganlab.config.search_space import read_search_space
from ganlab.errors import ConfigError


def read(*words, params=None):
    return read_search_space(OverridesParser.create(), params or {}, words)


@pytest.mark.parametrize(
    ("written", "distribution"),
    [
        ("a,b,c", CategoricalDistribution(["a", "b", "c"])),
        ("choice(minimax,non_saturating)", CategoricalDistribution(["minimax", "non_saturating"])),
        ("null,0.5", CategoricalDistribution(["null", "0.5"])),
        ("[1,2],[3]", CategoricalDistribution(["[1,2]", "[3]"])),
        ("interval(0.5,2)", FloatDistribution(0.5, 2.0)),
        ("tag(log, interval(1e-5, 1e-3))", FloatDistribution(1e-5, 1e-3, log=True)),
        ("interval(1, 5)", IntDistribution(1, 5)),
        ("interval(start=-3, end=9)", IntDistribution(-3, 9)),
        ("tag(log,interval(1,64))", IntDistribution(1, 64, log=True)),
        ("int(interval(1.0,4))", IntDistribution(1, 4)),
        ("float(interval(1,4))", FloatDistribution(1.0, 4.0)),
        ("range(1, 5)", IntDistribution(1, 4)),
        ("range(6,0,-2)", IntDistribution(2, 6, step=2)),
        ("tag(log,range(1,9))", IntDistribution(1, 8, log=True)),
        ("range(0,1,0.25)", FloatDistribution(0.0, 0.75, step=0.25)),
    ],
)
def test_each_way_to_write_values_is_a_distribution(written, distribution):
    assert read(f"key={written}").searched == {"key": distribution}


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("lr=tag(lgo, interval(1, 2))", "there is no tag lgo; nearest: log"),
        ("lr=interval(2,1)", "2 is not below 1"),
        ("lr=interval(1.0,1.0)", "1.0 is not below 1.0"),
        ("lr=tag(log,interval(0.0,1.0))", "a logarithmic scale begins above 0, not at 0.0"),
        ("k=range(1,1)", "this range is empty"),
        ("k=tag(log,range(1,9,2))", "a range in steps has no logarithmic scale; use an interval"),
        ("k=tag(log,choice(1,2))", "a list has no logarithmic scale; leave the tag out"),
        ("seed=4,5", "a search would find a lucky seed; for the mean over seeds: hydra.sweeper.seeds=[4,5]"),
        ("metrics.count=10,20", "trials are compared by their scores, and those of different settings cannot be"),
        ("metrics/extractor=a,b", "trials are compared by their scores, and those of different settings cannot be"),
    ],
)
def test_what_cannot_be_searched_is_a_line(word, reason):
    with pytest.raises(ConfigError) as refused:
        read("other=1,2", word)
    assert str(refused.value) == f"{word}: {reason}"


def test_all_problems_are_told_at_once():
    with pytest.raises(ConfigError) as refused:
        read("a=interval(2,1)", "b=range(1,1)")
    assert len(str(refused.value).splitlines()) == 2


def test_nothing_to_search_is_a_line():
    with pytest.raises(ConfigError, match="nothing to search"):
        read("a=1")


def test_single_values_are_handed_on_as_they_were_typed():
    space = read("x.y='a b'", "~q", "+z=[1,2]", "k=1,2")
    assert space.overrides({"k": "2"}) == ["x.y='a b'", "~q", "+z=[1,2]", "k=2"]


def test_the_command_line_wins_over_the_file():
    space = read("k=3", "m=4,5", params={"k": "1,2", "m": "range(0,9)", "lr": "interval(0.0,1.0)", "n": None})
    assert set(space.searched) == {"lr", "m"} and space.searched["m"] == CategoricalDistribution(["4", "5"])
    assert sorted(space.fixed) == ["k=3", "n=null"]


def test_a_grid_has_every_value():
    space = read("a=x,y", "k=range(1,4)", "f=range(0,1,0.25)")
    places = [(place["a"], place["k"], place["f"]) for place in map(space.place, range(24))]
    assert places == list(product(["x", "y"], [1, 2, 3], [0.0, 0.25, 0.5, 0.75])) and space.size == 24
    endless = read("a=x,y", "lr=interval(0.0,1.0)")
    assert endless.size is None
    with pytest.raises(ConfigError, match="lr: an interval has no grid"):
        endless.place(0)
