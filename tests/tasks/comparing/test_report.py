"""A comparison in text, Markdown and CSV, and what it says of chance."""

import csv
import io
import math

import numpy as np
import pytest
from run_folders import TAG, score, write_run
from scipy import stats

from ganlab.tasks.comparing.groups import Summary, tables_of
from ganlab.tasks.comparing.report import groups_csv, markdown, notes, runs_csv, screen, verdict, welch
from ganlab.tasks.comparing.runs import read_runs


@pytest.fixture
def table_of(tmp_path):
    """table_of({"gan": [1.0, 1.1]}): one table, a group a model, seeds in order."""

    def of(values, **options):
        for model, of_model in values.items():
            for seed, value in enumerate(of_model):
                write_run(tmp_path / f"{model}{seed}", f"model={model}", value=value, seed=seed, **options)
        (table,), _ = tables_of(read_runs([str(tmp_path)]).runs)
        return table

    return of


VALUES = {"gan": [0.9, 1.3, 1.1], "lsgan": [0.52, 0.48], "wgan": [2.0]}


def test_the_table_on_the_screen(table_of):
    lines = screen(table_of(VALUES), [TAG, "loss/generator"]).splitlines()
    assert lines[0].split() == ["n", "fd_digits", "↓", "loss/generator", "iterations", "time"]
    assert [line.split() for line in lines[2:]] == [
        ["model=lsgan", "2", "0.500", "±", "0.028", "1.50", "±", "0.03", "100", "60.0", "s"],
        ["model=gan", "3", "1.10", "±", "0.20", "2.10", "±", "0.20", "100", "60.0", "s"],
        ["model=wgan", "1", "2", "3", "100", "60.0", "s"],
    ]


def test_brackets_of_lists_are_no_colours(tmp_path):
    write_run(tmp_path / "a", "model.codes=[red]")
    write_run(tmp_path / "b", "model.codes=[10,uniform]", value=2.0)
    (table,), _ = tables_of(read_runs([str(tmp_path)]).runs)
    assert "codes=[red] " in screen(table, [TAG]) and "codes=[10,uniform] " in screen(table, [TAG])
    assert r"| codes=\[10,uniform\] |" in markdown(table, [TAG])


def test_a_value_that_some_seeds_lack_says_of_how_many_it_is(tmp_path):
    recall = {"metric/recall": score(0.5, "higher", metric="recall")}
    write_run(tmp_path / "a", seed=0, scores={TAG: score(1.0), **recall})
    write_run(tmp_path / "b", seed=1)
    (table,), _ = tables_of(read_runs([str(tmp_path)]).runs)
    assert "0.500 (1)" in screen(table, [TAG, "metric/recall"])


def test_markdown_has_the_same_cells(table_of):
    lines = markdown(table_of(VALUES), [TAG]).splitlines()
    assert lines[:3] == [
        "|  | n | fd_digits ↓ | iterations | time |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| model=lsgan | 2 | 0.500 ± 0.028 | 100 | 60.0 s |",
    ]


def test_csv_has_every_number_unrounded(table_of):
    table = table_of(VALUES)
    groups = list(csv.DictReader(io.StringIO(groups_csv([table]).decode())))
    assert [(line["rank"], line["group"], line["n"], line["seeds"]) for line in groups] == [
        ("1", "model=lsgan", "2", "0 1"),
        ("2", "model=gan", "3", "0 1 2"),
        ("3", "model=wgan", "1", "0"),
    ]
    assert float(groups[1][TAG]) == pytest.approx(np.mean(VALUES["gan"]), rel=1e-12)
    assert float(groups[1][f"{TAG}:sd"]) == pytest.approx(np.std(VALUES["gan"], ddof=1), rel=1e-12)
    assert groups[2][f"{TAG}:sd"] == "" and float(groups[2]["wall_seconds"]) == 60
    runs = list(csv.DictReader(io.StringIO(runs_csv([table]).decode())))
    assert [(line["group"], line["seed"], float(line[TAG])) for line in runs] == [
        (f"model={model}", str(seed), value)
        for model in ("lsgan", "gan", "wgan")
        for seed, value in enumerate(VALUES[model])
    ]


@pytest.mark.parametrize(("one", "other"), [((1.0, 2.0, 4.0), (3.0, 5.5)), ((0.1, 0.1001), (0.2, 0.3, 0.1, 0.25))])
def test_welch_is_scipys(one, other):
    expected = stats.ttest_ind(one, other, equal_var=False)
    interval = expected.confidence_interval(0.95)
    low, high, p = welch(Summary(one), Summary(other))
    assert (low, high, p) == pytest.approx((interval.low, interval.high, expected.pvalue), rel=1e-9)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"gan": [1.0, 1.01, 0.99], "lsgan": [2.0, 2.01, 1.99]}, ": told apart by 3 seeds"),
        ({"gan": [1.0, 2.0, 3.0], "lsgan": [1.5, 2.5]}, ": not told apart by 3 and 2 seeds"),
        ({"gan": [1.0, 2.0], "lsgan": [3.0]}, "; one seed says nothing of chance: give each at least two"),
        ({"gan": [8.0, 8.0], "lsgan": [8.0, 8.0]}, ", the same; no spread over seeds to judge it by"),
        ({"gan": [1.0, 2.0], "lsgan": [math.nan, 2.0]}, "; some values are no finite numbers"),
        (VALUES, "not corrected for choosing among 3): told apart by 2 and 3 seeds"),
    ],
)
def test_the_verdict_claims_no_more_than_the_seeds_show(table_of, values, said):
    assert verdict(table_of(values)).endswith(said)


def test_notes_name_what_was_left_out_of_the_numbers(tmp_path):
    write_run(tmp_path / "2026-01-01_00-00-00", value=1.0)
    write_run(tmp_path / "2026-01-02_00-00-00", value=2.0, machine={"accelerator": "cuda"})
    write_run(tmp_path / "other", seed=1)
    (table,), _ = tables_of(read_runs([str(tmp_path)]).runs)
    told = notes(table)
    assert told[0] == "real samples in the generator's place: 0.0500"
    assert told[1].startswith("the same configuration and seed once more, the newest is counted and not: ")
    assert told[1].endswith("2026-01-01_00-00-00")
    assert told[2] == "times are of different machines, devices or versions"
