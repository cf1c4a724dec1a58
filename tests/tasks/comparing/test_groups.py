"""Which runs share a table, which a row, and in which order."""

import os

import numpy as np
import pytest
from run_folders import TAG, score, write_run

from ganlab.errors import ConfigError
from ganlab.tasks.comparing.groups import tables_of, why_apart
from ganlab.tasks.comparing.runs import read_runs


def tables(folder, by=None):
    return tables_of(read_runs([str(folder)]).runs, by)


def rows(folder, by=None):
    return [(group.label, group.seeds) for group in tables(folder, by)[0][0].groups]


def test_rows_are_configurations_and_their_numbers_are_over_seeds(tmp_path):
    values = {"gan": [0.9, 1.3, 1.1], "lsgan": [0.5, 0.2, 0.8], "wgan": [2.0]}
    for model, of_model in values.items():
        for seed, value in enumerate(of_model):
            threads = f"trainer.threads={seed + 1}"
            write_run(tmp_path / f"{model}_{seed}", f"model={model}", threads, value=value, seed=seed)
    (table,), lacking = tables(tmp_path)
    assert lacking == [] and (table.tag, table.better, table.real) == (TAG, "lower", 0.05)
    assert [(group.label, group.seeds) for group in table.groups] == [
        ("model=lsgan", [0, 1, 2]),
        ("model=gan", [0, 1, 2]),
        ("model=wgan", [0]),
    ]
    for group, model in zip(table.groups, ("lsgan", "gan", "wgan"), strict=True):
        summary = group.summary(TAG)
        assert summary.mean == pytest.approx(np.mean(values[model]), rel=1e-12)
        assert group.summary("loss/generator").mean == pytest.approx(np.mean(values[model]) + 1, rel=1e-12)
        expected = np.std(values[model], ddof=1) if len(values[model]) > 1 else None
        assert summary.sd == (None if expected is None else pytest.approx(expected, rel=1e-12))


def test_where_higher_is_better_the_highest_is_first_and_no_number_last(tmp_path):
    for model, value in (("gan", float("nan")), ("lsgan", 0.1), ("wgan", 0.7)):
        scores = {"metric/recall": score(value, "higher", metric="recall")}
        write_run(tmp_path / model, f"model={model}", scores=scores, monitored="metric/recall")
    assert [label for label, _ in rows(tmp_path)] == ["model=wgan", "model=lsgan", "model=gan"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"count": 500}, "count 500, not 1000"),
        ({"weights": "last"}, "weights last, not averaged"),
        ({"reference": "train"}, "reference train, not test"),
        ({"version": "0.2.0"}, "version 0.2.0, not 0.1.0"),
        ({"extractor": {"extractor": "digits", "weights_sha256": "8" * 64}}, f"weights_sha256 {'8' * 12}, not"),
        ({"data": "ring", "count": 3}, "data ring, not digits"),
    ],
)
def test_scores_of_other_protocols_have_a_table_of_their_own_that_says_why(tmp_path, changed, words):
    for seed in range(2):
        write_run(tmp_path / f"a{seed}", seed=seed)
    write_run(tmp_path / "b", scores={TAG: score(0.1, **changed)})
    found, _ = tables(tmp_path)
    assert [len(table.runs) for table in found] == [2, 1]
    assert words in why_apart(found[1], found[:1]) and "against table 1" in why_apart(found[1], found[:1])


def test_the_draw_and_the_length_of_training_part_no_tables(tmp_path):
    write_run(tmp_path / "a", scores={TAG: score(1.0, seed=3, iteration=50, real="other words")})
    write_run(tmp_path / "b", "trainer.max_iterations=200")
    (table,), _ = tables(tmp_path)
    assert {group.label for group in table.groups} == {"max_iterations=100", "max_iterations=200"}


def test_another_score_of_mixed_protocols_is_not_compared_though_the_ranking_one_is(tmp_path):
    for seed, k in ((0, 3), (1, 5)):
        scores = {TAG: score(1.0), "metric/recall": score(0.5, "higher", metric="recall", k=k)}
        write_run(tmp_path / str(seed), seed=seed, scores=scores)
    (table,), _ = tables(tmp_path)
    assert table.mixed == {"metric/recall": ["k"]}
    assert table.tags == [TAG, "loss/generator"]


def test_the_ranking_score_can_be_chosen_and_runs_without_it_are_told(tmp_path):
    recall = {"metric/recall": score(0.5, "higher", metric="recall")}
    write_run(tmp_path / "both", scores={TAG: score(1.0), **recall})
    write_run(tmp_path / "one")
    for name in ("recall", "metric/recall"):
        (table,), lacking = tables(tmp_path, name)
        assert (table.tag, table.better, [run.folder.name for run in lacking]) == ("metric/recall", "higher", ["one"])
    assert tables(tmp_path, "fd")[0][0].tag == TAG
    with pytest.raises(ConfigError, match="by=recal: no run has this score; nearest: recall"):
        tables(tmp_path, "recal")
    with pytest.raises(ConfigError, match="by=loss/generator: it has no protocol"):
        tables(tmp_path, "loss/generator")


def test_the_same_configuration_and_seed_count_once_the_newest(tmp_path):
    write_run(tmp_path / "2026-01-02_00-00-00", value=2.0)
    write_run(tmp_path / "2026-01-03_00-00-00", value=3.0)
    # Copied folders have no dates in their times, but in their names.
    os.utime(tmp_path / "2026-01-03_00-00-00" / ".hydra" / "config.yaml", (0, 0))
    write_run(tmp_path / "2026-01-01_00-00-00", value=1.0)
    (table,), _ = tables(tmp_path)
    assert table.groups[0].summary(TAG).values == (3.0,)
    assert sorted(run.scores[TAG].value for run in table.duplicates) == [1.0, 2.0]
    undated = write_run(tmp_path / "undated", value=4.0)
    os.utime(undated / ".hydra" / "config.yaml", (2e9, 2e9))
    assert tables(tmp_path)[0][0].groups[0].summary(TAG).values == (4.0,)


def test_moved_data_are_the_same_where_the_protocol_has_their_hash(tmp_path):
    write_run(tmp_path / "a", "data.root=here", seed=0)
    write_run(tmp_path / "b", "data.root=there", seed=1)
    assert [seeds for _, seeds in rows(tmp_path)] == [[0, 1]]
    unscored = tmp_path / "unscored"
    write_run(unscored / "a", "data.root=here", seed=0, scores={}, monitored=None)
    write_run(unscored / "b", "data.root=there", seed=1, scores={}, monitored=None)
    assert rows(unscored) == [("root=here", [0]), ("root=there", [1])]


def test_runs_without_a_score_are_the_last_table(tmp_path):
    write_run(tmp_path / "scored")
    for seed in range(2):
        write_run(tmp_path / str(seed), seed=seed, scores={}, monitored=None)
    found, _ = tables(tmp_path)
    assert [table.tag for table in found] == [TAG, None]
    assert why_apart(found[1], found[:1]) == "it has no score"
