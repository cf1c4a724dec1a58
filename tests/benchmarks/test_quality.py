"""The table that measures the presets: its rows, what it reads of a run, what it prints."""

import json

import pytest
from omegaconf import OmegaConf

from ganlab.config.paths import conf_folder
from ganlab.config.scores import generic
from loading import loaded_file

PRESETS = [preset.stem for preset in (conf_folder() / "experiment").glob("*.yaml")]
NEED_FILES = {"dcgan_paper", "hinton_2006", "vincent_2010", "rifai_2011"}


@pytest.fixture(scope="module")
def quality():
    return loaded_file("benchmarks/quality.py")


@pytest.mark.slow
def test_every_row_is_a_command_that_passes_the_check(settings, quality):
    for row in quality.ROWS.values():
        settings(*row.words.split(), "seed=0")
        assert all(generic(name) for name in row.scores.split() if "(" not in name)


def test_every_preset_that_needs_no_files_is_measured(quality):
    measured = {word for row in quality.ROWS.values() for word in row.words.split() if word.startswith("experiment=")}
    assert measured == {f"experiment={preset}" for preset in PRESETS if preset not in NEED_FILES}


def test_rank_correlation_is_over_iterations_where_both_are_logged(quality, tmp_path):
    table = tmp_path / "metrics.csv"
    rows = [(1, 9, ""), (2, 1, 10), (3, "", 99), (4, 2, 40), (5, 3, 20), (6, 4, 30)]
    table.write_text("iteration,a,b\n" + "".join(f"{i},{a},{b}\n" for i, a, b in rows))
    # Ranks of b are 1, 4, 2, 3: 1 - 6 (0 + 4 + 1 + 1) / (4 * 15).
    assert quality.rank_correlation(table, "a", "b") == pytest.approx(1 - 6 * 6 / 60)


def test_what_was_logged_last_and_shares_of_what_stands_beside_are_read(quality, tmp_path):
    (tmp_path / "metrics.csv").write_text("iteration,a,b\n1,0.5,7\n2,0.25,\n")
    score = {"value": 0.3, "better": "lower", "pca": 0.4}
    result = {"folder": tmp_path, "scores": {"metric/mse": score}}
    assert quality.score_of(result, "last(a)")["value"] == 0.25
    assert quality.score_of(result, "last(b)")["value"] == 7
    assert quality.score_of(result, "share(mse,pca)") == {"value": pytest.approx(0.75), "better": "lower"}


@pytest.fixture
def finished_run(tmp_path):
    """finished_run(seed, words, fd, recall): a folder as a run leaves it."""

    def written(seed, words, fd, recall):
        folder = tmp_path / f"seed_{seed}"
        (folder / ".hydra").mkdir(parents=True)
        (folder / ".hydra" / "overrides.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(words)))
        scores = {
            "metric/fd_digits": {"value": fd, "better": "lower", "real": 0.05},
            "metric/recall": {"value": recall, "better": "higher", "real": 0.9},
        }
        (folder / "results.json").write_text(json.dumps({"wall_seconds": 10.0 * seed, "scores": scores}))
        return folder

    return written


def test_the_worst_is_on_the_side_that_is_worse(quality, finished_run, capsys):
    words = [["seed=1"], ["seed=2"], ["seed=3"]]
    given = [(1, 0.4, 0.7), (2, 0.1, 0.8), (3, 0.2, 0.6)]
    folders = [finished_run(seed, word, fd, recall) for word, (seed, fd, recall) in zip(words, given, strict=True)]
    row = quality.Row("model=dcgan", "fd_digits recall", "published: 0.3")
    quality.tell("name", row, [1, 2, 3], [quality.run(*pair) for pair in zip(folders, words, strict=True)])
    lines = [line.strip() for line in capsys.readouterr().out.strip().splitlines()]
    assert lines == [
        "name: python -m ganlab model=dcgan",
        "seeds [1, 2, 3], 20 s a run",
        "published: 0.3",
        "fd_digits        median 0.2, worst 0.4 (real samples 0.05)",
        "recall           median 0.7, worst 0.6 (real samples 0.9)",
    ]


def test_a_kept_run_serves_the_same_words_only(quality, finished_run, tmp_path):
    folder = finished_run(1, ["seed=1", "trainer.threads=1"], 0.1, 0.5)
    assert quality.finished(folder, ["seed=1", "trainer.threads=1"])
    assert not quality.finished(folder, ["seed=1"])
    before = sorted(folder.rglob("*"))
    with pytest.raises(SystemExit, match="holds a finished run of other words; choose another keep"):
        quality.run(folder, ["seed=1"])
    assert sorted(folder.rglob("*")) == before
    (folder / "results.json").unlink()
    assert not quality.finished(folder, ["seed=1", "trainer.threads=1"])
    assert not quality.finished(tmp_path / "none", ["seed=1"])
