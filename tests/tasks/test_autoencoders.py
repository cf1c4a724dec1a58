"""The plain, sparse, denoising and contractive autoencoders from the command line to their files."""

import csv
import json

import pytest

from ganlab.errors import CheckpointError, DataError
from ganlab.tasks.encode import EncodeOptions, encode
from ganlab.tasks.evaluate import EvaluateOptions, evaluate
from ganlab.tasks.sample import SampleOptions, sample

TINY = ["data.batch_size=8", "trainer.log_every=2", "trainer.max_iterations=4", "trainer.sample_every=4"]
TINY += ["trainer.threads=1", "hydra.run.dir=run"]
SCORED = "metrics.scores=[mse,psnr]"


def run(ganlab, tmp_path, *words):
    done = ganlab(*words, *TINY, tiny=False)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "run/metrics.csv").open() as file:
        row = list(csv.DictReader(file))[-1]
    scores = json.loads((tmp_path / "run/results.json").read_text())["scores"]
    pictures = {path.name.partition("_")[0] for path in (tmp_path / "run/samples").glob("*04.png")}
    return done, row, scores, pictures


@pytest.mark.parametrize(
    ("words", "pictures"),
    [
        (["data=digits", "model.encoder.width=4"], {"reconstructions", "interpolations"}),
        pytest.param(
            ["data=digits", "data.channels=3", "data.image_size=32", "model.encoder.width=2"],
            {"reconstructions"},
            marks=pytest.mark.slow,
        ),
        (["data=digits", "model/coders=mlp", "model.encoder.widths=[8]", "model.tied=true"], {"filters"}),
        (["data=digits", "model/coders=linear", "model.latent_dim=2", "trainer.accumulate=2"], {"codes", "filters"}),
        (["data=digits", "data.image_size=13", "model.encoder.widths=[8]"], {"reconstructions"}),
        (["data=swiss_roll", "model.latent_dim=1", "model.reconstruction=absolute"], {"reconstructions"}),
    ],
)
def test_ae(ganlab, tmp_path, words, pictures):
    of_points = "data=swiss_roll" in words
    done, row, scores, drawn = run(
        ganlab, tmp_path, "model=ae", *words, "metrics.scores=[mse]" if of_points else SCORED
    )
    assert drawn >= pictures and "iteration" not in drawn, "samples are of models that generate"
    assert float(row["reconstruction/mse_held_out"]) > 0 and float(row["loss/autoencoder"]) > 0
    # Of 3×32×32 pixels principal components would take long, and of points drawn without end there are none.
    assert ("pca" in scores["metric/mse"]) == (not of_points and "data.channels=3" not in words)
    assert "ganlab.encode run=" in done.stdout and "ganlab.sample" not in done.stdout


def test_sparse_ae(ganlab, tmp_path):
    _, row, _, drawn = run(ganlab, tmp_path, "model=sparse_ae", "model.latent_dim=20", SCORED)
    assert "filters" in drawn
    assert float(row["loss/sparsity"]) > 0 and 0 < float(row["sparsity/mean_activation"]) < 1
    assert 0 <= float(row["sparsity/dead_units"]) <= 1


@pytest.mark.parametrize(
    "corruption", ["masking", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("gaussian", "salt_and_pepper"))]
)
def test_denoising_ae(ganlab, tmp_path, corruption):
    words = [f"model.corruption={corruption}", "model.encoder.width=4", "metrics.scores=[restored_psnr]"]
    _, row, scores, drawn = run(ganlab, tmp_path, "model=denoising_ae", *words)
    assert "reconstructions" in drawn and float(row["reconstruction/restored_mse_held_out"]) > 0
    assert 0 < scores["metric/restored_psnr"]["corrupted_psnr"] < 30


CONVOLUTIONAL = ["model/coders=convolutional", "model.encoder.width=4", "model.latent_dim=5"]


@pytest.mark.parametrize("words", [[], pytest.param(CONVOLUTIONAL, marks=pytest.mark.slow)])
def test_contractive_ae(ganlab, tmp_path, words):
    _, row, _, _ = run(ganlab, tmp_path, "model=contractive_ae", *words, SCORED)
    assert float(row["penalty/contraction"]) > 0 and float(row["jacobian/squared_norm_held_out"]) > 0


def test_a_resumed_run_is_the_one_that_never_stopped(ganlab, tmp_path):
    words = ["model=denoising_ae", "model/coders=mlp", "model.encoder.widths=[8]", "metrics.scores=[]", *TINY]
    done = ganlab(*words, "trainer.checkpoint_every=2", tiny=False)
    assert done.returncode == 0, done.stderr
    whole = (tmp_path / "run/metrics.csv").read_text()
    half = tmp_path / "run/checkpoints/iteration_000002.ckpt"
    done = ganlab(f"resume={half}", tiny=False)
    assert done.returncode == 0, done.stderr
    assert without_speed(tmp_path / "run/metrics.csv") == without_speed(whole)


def without_speed(table):
    lines = (table if isinstance(table, str) else table.read_text()).splitlines()
    rows = list(csv.DictReader(lines))
    return [{tag: value for tag, value in row.items() if not tag.startswith("throughput")} for row in rows]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["model=ae", "data=ring"], "model.latent_dim=16: a code at least as wide as a sample's 2 values may copy it"),
        (["model=denoising_ae", "model.corruption_level=1"], "model.corruption_level=1: a share of the values"),
        (["model=denoising_ae", "model.corruption_level=-1"], "model.corruption_level=-1: must be greater than or"),
        (["model=denoising_ae", "model.corruption=snow"], "model.corruption=snow: must be 'masking', 'gaussian' or"),
        (["model=sparse_ae", "model.rho=0"], "model.rho=0: must be greater than 0"),
        (["model=sparse_ae", "model.rho=1"], "model.rho=1: must be less than 1"),
        (["model=ae", "data=ring", "model.latent_dim=1", "model.reconstruction=bernoulli"], "likelihood of values in"),
        (["model=ae", "data=ring", "model.latent_dim=1", "model/coders=convolutional"], "choose model/coders=mlp"),
        (["model=stacked_ae", "model.layer=rbn"], "model.layer=rbn: must be 'ae', 'sparse_ae'"),
        (["model=deep_ae", "model.latent_dim=300"], "model.latent_dim=300: a code at least as wide as a sample's 256"),
        (["model=stacked_ae", "model.layer=ae", "model.latent_dim=300"], "model.latent_dim=300: a code at least"),
        (["model=ae", "model.tied=true"], "model.tied=true: a convolutional decoder does not"),
        (["model=ae", "data.labels_per_class=2"], "labels_per_class is for model=semi_supervised_gan, and stacked_ae"),
    ],
)
def test_bad_input_is_a_line(ganlab, tmp_path, words, said):
    done = ganlab(*words, tiny=False)
    assert done.returncode == 2 and done.stdout == ""
    assert said in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert not list(tmp_path.glob("outputs/*/*"))


def test_a_run_is_evaluated_by_its_own_protocol_or_as_asked(ganlab, tmp_path):
    words = ["model.encoder.width=4", "model.binarise=threshold", "metrics.scores=[iw_bound]"]
    run(ganlab, tmp_path, "model=vae", *words, "metrics.importance_samples=7", "data.image_size=8")
    told = []
    for asked in ({}, {"importance_samples": 30}):
        evaluate(EvaluateOptions(run=str(tmp_path / "run"), metrics=["iw_bound"], seeds=1, reference="test", **asked))
        results = json.loads((tmp_path / "run/results.json").read_text())["evaluations"][-1]
        told.append(results["scores"]["test"]["metric/iw_bound"])
    assert [score["protocol"]["importance_samples"] for score in told] == [7, 30]
    assert told[0]["value"] < told[1]["value"], "more draws make the bound tighter"
    assert "above 1/2: 1" in told[0]["protocol"]["likelihood"]


def test_an_empty_split_has_no_codes(ganlab, tmp_path):
    run(ganlab, tmp_path, "model=ae", "model.encoder.width=4", "data.test_fraction=0", "metrics.scores=[]")
    with pytest.raises(DataError, match=r"split=test: there are no samples in it .*; use split=train"):
        encode(EncodeOptions(run=str(tmp_path / "run"), split="test"))


def test_what_does_not_generate_is_not_sampled(ganlab, tmp_path):
    run(ganlab, tmp_path, "model=ae", "model.encoder.width=4", SCORED)
    with pytest.raises(CheckpointError, match=r"draws none from a prior; its codes: python -m ganlab.encode run="):
        sample(SampleOptions(run=str(tmp_path / "run")))
    assert not (tmp_path / "run/generated").exists()


@pytest.mark.parametrize(
    ("preset", "words", "scored"),
    [
        ("hinton_2006", ["model.encoder.widths=[8,6,4]", "model.latent_dim=3"], "metric/mse"),
        ("vincent_2010", ["model.encoder.widths=[8,6]", "model.latent_dim=4"], "metric/accuracy"),
        ("rifai_2011", ["model.latent_dim=8"], "metric/accuracy"),
    ],
)
def test_presets_of_mnist_run_on_its_files(ganlab, mnist_files, tmp_path, preset, words, scored):
    root = mnist_files()[0]
    tiny = ["model.pretrain_iterations=2", "trainer.max_iterations=10", "data.batch_size=2", "trainer.log_every=2"]
    done = ganlab(f"experiment={preset}", *words, *tiny, f"data.root={root}", "hydra.run.dir=run", tiny=False)
    assert done.returncode == 0, done.stderr
    assert scored in json.loads((tmp_path / "run/results.json").read_text())["scores"]
