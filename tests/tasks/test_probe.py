"""`python -m ganlab.probe`: what is read from codes, beside raw values, PCA and untrained networks."""

import json
import statistics
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ganlab.data.source import PointSet
from ganlab.errors import DataError
from ganlab.metrics import probes
from ganlab.tasks import encode, probe
from ganlab.tasks.command import parse
from ganlab.tasks.probe import ProbeOptions, runs_of
from ganlab.tasks.probing import Half, baselines, protocol_of, read_half, score, table_of

SMALL = ["model.generator.width=4", "model.discriminator.width=2", "trainer.max_iterations=4"]
QUICK = ["count=150", "draws=2", "per_class=3"]


@pytest.fixture
def probed(commanded):
    return partial(commanded, probe.main)


def halves_of(train=60, test=40, dims=6, classes=3):
    random = np.random.default_rng(0)

    def half(count):
        labels = np.arange(count) % classes
        samples = random.standard_normal((count, dims)) + 1.5 * np.eye(dims)[labels]
        return Half(torch.tensor(samples), torch.tensor(labels), "0" * 64)

    return {"train": half(train), "test": half(test)}


def test_a_row_is_fitted_on_train_and_scored_on_test():
    halves, options = halves_of(), parse(ProbeOptions, ["run=x", "neighbours=3", "per_class=4", "draws=3"])
    train, test = (half.samples.numpy() for half in halves.values())
    given = (train, halves["train"].labels, test, halves["test"].labels)
    row = score("raw", train, test, halves, options)
    linear, few = probes.linear_probe(*given), probes.few_label_accuracy(*given, 4, [0, 1, 2])
    assert row["linear_probe"] == {"value": linear, "standard_error": np.sqrt(linear * (1 - linear) / 40)}
    assert row["knn"]["value"] == probes.knn(*given, 3) != probes.knn(*given, 1)
    assert row["few_labels"] == {"value": statistics.fmean(few), "sd": statistics.stdev(few), "values": few}


def test_baselines_are_raw_values_and_as_many_components_as_the_codes_have():
    halves, options = halves_of(), parse(ProbeOptions, ["run=x", "draws=1"])
    rows = baselines(halves, [2, 100, 3, 2, 6], options)
    assert [(row["features"], row["dims"]) for row in rows] == [("raw values", 6), ("PCA (2)", 2), ("PCA (3)", 3)]
    train, test = probes.principal_components(halves["train"].samples, halves["test"].samples, 2)
    expected = probes.linear_probe(train, halves["train"].labels, test, halves["test"].labels)
    assert rows[1]["linear_probe"]["value"] == expected
    assert rows[1]["few_labels"]["sd"] is None, "one draw has no deviation"


def test_the_table_says_what_its_numbers_are():
    halves, options = halves_of(), parse(ProbeOptions, ["run=x", "draws=2", "per_class=4"])
    row = {
        "features": "vae",
        "dims": 1234,
        "linear_probe": {"value": 0.9, "standard_error": 0.0123},
        "knn": {"value": 0.5, "standard_error": 0.02},
        "few_labels": {"value": 0.7, "sd": 0.0345, "values": []},
    }
    told = [row, {**row, "features": "cgan", "run": {"trained_with_labels": True}}]
    lines = table_of("digits", told, protocol_of(halves, options)).splitlines()
    assert "5-NN" in lines[2] and "4 labels a class" in lines[2]
    assert lines[4].split() == ["vae", "1,234", "0.900", "±", "0.012", "0.500", "±", "0.020", "0.700", "±", "0.035"]
    assert lines[5].split()[:2] == ["cgan", "†"]
    assert "accuracy on 40 of test, fitted on 60 of train; always the commonest class: 0.350" in lines
    assert lines[-1].startswith("† trained with labels")
    assert "†" not in table_of("digits", told[:1], protocol_of(halves, options))


def test_data_without_classes_are_refused():
    def run(conditions):
        points = PointSet(torch.rand(4, 2), conditions)
        data = SimpleNamespace(train=points, test=points, name="mine", condition_names=[])
        return SimpleNamespace(data=data, folder="outputs/a")

    with pytest.raises(DataError, match="run=outputs/a: a probe reads classes, and data=mine of this run has no class"):
        read_half(run(None), "train", None)
    with pytest.raises(DataError, match="has attributes, which are no classes"):
        read_half(run(torch.eye(4)), "train", None)


def test_a_trained_run(ganlab, probed, tmp_path, commanded):
    done = ganlab("model=cgan", *SMALL, "hydra.run.dir=run")
    assert done.returncode == 0, done.stderr
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    code, out, err = probed("run=run", *QUICK)
    assert code == 0, err
    rows = {line.strip().rpartition("  ")[0].split("  ")[0]: line for line in out.splitlines()}
    assert {"raw pixels", "PCA (32)", "cgan, untrained", "cgan †"} <= set(rows)
    assert out.endswith("written: run/probes/001/probes.json\n")
    told = json.loads((tmp_path / "run/probes/001/probes.json").read_text())
    assert [row["dims"] for row in told["rows"]] == [64, 32, 32, 32]
    assert told["rows"][2]["run"]["iteration"] == 0 and told["rows"][3]["run"]["iteration"] == 4
    assert told["protocol"]["classes"] == [str(digit) for digit in range(10)]

    assert commanded(encode.main, "run=run", "split=both", "count=150")[0] == 0
    described = json.loads((tmp_path / "run/codes/001/codes.json").read_text())
    arrays = [np.load(tmp_path / f"run/codes/001/{split}.npz") for split in ("train", "test")]
    given = [array[name] for array in arrays for name in ("codes", "labels")]
    assert told["rows"][3]["linear_probe"]["value"] == probes.linear_probe(*given) > 0.5
    assert told["rows"][3]["knn"]["value"] == probes.knn(*given)
    assert told["rows"][3]["few_labels"]["values"] == probes.few_label_accuracy(*given, 3, [0, 1])
    assert told["rows"][3]["few_labels"]["values"] != told["rows"][2]["few_labels"]["values"], "trained, and not"
    for side, split in (("fitted_on", "train"), ("scored_on", "test")):
        assert told["protocol"][side]["count"] == 150
        assert told["protocol"][side]["samples_sha256"] == described["splits"][split]["samples_sha256"]
    assert all(path.read_bytes() == content for path, content in before.items()), "what the run wrote is as it was"


@pytest.mark.slow
def test_several_runs_in_one_table_and_runs_on_other_data_in_none(ganlab, probed, tmp_path):
    for name, words in (("a", []), ("b", ["seed=1"]), ("other", ["data.split_seed=1"])):
        assert ganlab("model=dcgan", *SMALL, *words, f"hydra.run.dir=out/{name}").returncode == 0
    code, out, err = probed("runs=out/[ab]", *QUICK, "untrained=false")
    assert code == 0, err
    told = json.loads((tmp_path / "out/a/probes/001/probes.json").read_text())
    assert [row["features"] for row in told["rows"]] == ["raw pixels", "PCA (32)", "dcgan (a)", "dcgan (b)"]
    assert "†" not in out and "dcgan (b)" in out
    code, out, err = probed("runs=[out/b,out/other]", *QUICK, "untrained=false")
    assert (code, out) == (2, "") and len(err.splitlines()) == 1
    assert err.startswith(
        "runs: out/other and out/b are of other train samples: a table compares runs on the same data"
    )
    assert not (tmp_path / "out/b/probes").exists()


def test_points_and_their_classes(ganlab, probed, tmp_path):
    words = ["model=gan", "data.test_count=60", "trainer.max_iterations=3"]
    assert ganlab(*words, "data=ring", "hydra.run.dir=ring", tiny=False).returncode == 0
    code, out, err = probed("run=ring", "draws=2", "count=200", "untrained=false")
    assert code == 0, err
    told = json.loads((tmp_path / "ring/probes/001/probes.json").read_text())
    assert [told["protocol"][side]["count"] for side in ("fitted_on", "scored_on")] == [200, 60]
    assert told["rows"][0]["features"] == "raw values" and told["rows"][0]["knn"]["value"] == 1.0
    assert ganlab(*words, "data=uniform", "hydra.run.dir=uniform", tiny=False).returncode == 0
    code, out, err = probed("run=uniform")
    assert (code, out) == (2, "")
    assert err == "run=uniform: a probe reads classes, and data=uniform of this run has no class labels\n"
    assert not (tmp_path / "uniform/probes").exists()


def test_which_runs_are_meant(refused_by, tmp_path):
    refused = partial(refused_by, probe.main)
    assert refused("count=100") == ["give run=… (a trained run) or runs=… (several), one of them"]
    assert refused("run=a", "runs=[b]") == ["give run=… (a trained run) or runs=… (several), one of them"]
    assert refused("runs=[]") == ["runs=[]: name at least one run"]
    (line,) = refused("runs=out/*")
    assert line == "runs=out/*: no run matches; a run folder holds checkpoints/last.ckpt"
    assert refused("run=x", "count=1", "draws=0", "neighbours=few") == [
        "count=1: must be greater than or equal to 2",
        "neighbours=few: must be an integer",
        "draws=0: must be greater than 0",
    ]
    for name in ("out/b", "out/a", "out/unfinished"):
        (tmp_path / name / "checkpoints").mkdir(parents=True)
    for name in ("out/b", "out/a"):
        (tmp_path / name / "checkpoints" / "last.ckpt").write_bytes(b"")
    assert runs_of(ProbeOptions(runs="out/*")) == ["out/a", "out/b"]
    assert runs_of(ProbeOptions(runs=f"{tmp_path}/*/b")) == [f"{tmp_path}/out/b"]
    assert runs_of(ProbeOptions(runs=["x", "y"])) == ["x", "y"] and runs_of(ProbeOptions(run="z")) == ["z"]
    for key in probe.ProbeOptions.model_fields:
        assert f"\n  {key} " in probe.USAGE
