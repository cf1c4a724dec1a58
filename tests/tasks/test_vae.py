"""The variational autoencoder from the command line to its files."""

import csv
import json

import pytest

TINY = ["model.encoder.width=4", "data.batch_size=8", "trainer.log_every=2", "trainer.max_iterations=4"]
TINY += ["trainer.sample_every=4", "trainer.threads=1", "metrics.count=50", "metrics.reference_count=50"]
TINY += ["metrics.importance_samples=3", "hydra.run.dir=run"]
SCORES = {"elbo", "elbo_reconstruction", "elbo_kl", "iw_bound", "bits_per_dim", "active_units", "mse"}


@pytest.mark.parametrize(
    "words",
    [
        ["data=digits", "model.latent_dim=2", "model.binarise=sample", "model.beta_warmup=0.5"],
        ["data=digits", "model/coders=mlp", "model.objective=iwae", "model.condition_size=${data.condition_size}"],
        ["data=ring", "model.latent_dim=2", "data.test_count=50"],
    ],
)
def test_a_run_has_its_bounds_and_pictures(ganlab, tmp_path, words):
    fully_connected = "model/coders=mlp" in words or "data=ring" in words
    tiny = [word for word in TINY if not (fully_connected and "width" in word)]
    done = ganlab("model=vae", *words, *tiny, tiny=False)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "run/metrics.csv").open() as file:
        row = list(csv.DictReader(file))[-1]
    for tag in ("loss/autoencoder", "loss/reconstruction", "loss/kl", "elbo", "kl/beta", "latents/active"):
        assert row[tag], tag
    assert float(row["elbo"]) == pytest.approx(-float(row["loss/reconstruction"]) - float(row["loss/kl"]), rel=1e-5)
    for tag in ("elbo", "loss/kl", "loss/reconstruction", "reconstruction/mse"):
        assert row[f"{tag}_held_out"], tag
    results = json.loads((tmp_path / "run/results.json").read_text())
    scores = {kind.removeprefix("metric/") for kind in results["scores"]}
    assert scores >= SCORES and scores & {"fd_digits", "w1"}
    pictures = {path.name.removesuffix("iteration_000004.png") for path in (tmp_path / "run/samples").glob("*04.png")}
    assert pictures >= {"", "traversal_", "reconstructions_"}
    if "data=digits" in words:
        assert "interpolations_" in pictures and ("manifold_" in pictures) == ("model.latent_dim=2" in words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["model.reconstruction=squared"], "model.reconstruction=squared: the evidence lower bound needs a likelihood"),
        (["data=ring", "model.binarise=threshold"], "model.binarise=threshold: only images"),
        (["data=ring", "model.reconstruction=bernoulli"], "model.reconstruction=bernoulli: it is a likelihood of"),
        (["model.objective=iwae", "model.beta=2"], "model.beta=2: the importance-weighted objective has no KL term"),
        (["model.beta=-1"], "model.beta=-1: must be greater than or equal to 0"),
        (["model.beta_warmup=2"], "model.beta_warmup=2: must be less than or equal to 1"),
        (["model.importance_samples=0"], "model.importance_samples=0: must be greater than 0"),
        (["model.binarise=yes"], "model.binarise=yes: must be 'none', 'threshold' or 'sample'"),
        (["model.encoder.code_activation=relu"], "set model.encoder.code_activation=linear"),
        (["model.std=0"], "model.std=0"),
    ],
)
def test_bad_input_is_a_line(ganlab, tmp_path, words, said):
    done = ganlab("model=vae", *words, tiny=False)
    assert done.returncode == 2 and done.stdout == ""
    told = [line for line in done.stderr.splitlines() if line]
    assert len(told) == 1 and said in told[0], done.stderr
    assert not list(tmp_path.iterdir())
