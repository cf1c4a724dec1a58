"""The same seed gives the same run to the last bit, and who watches a run does not change it."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

SPEED = "throughput/images_per_second"
DIGITS = ["data=digits", "data.image_size=8"]
NARROW = ["model.latent_dim=4", "model.generator.width=8", "model.discriminator.width=8"]
FAMILIES = {
    "points": ["model=gan", "data=ring", *NARROW],
    "dcgan": ["model=dcgan", *DIGITS, *NARROW],
    "averaged": ["model=cgan", "model/networks=mlp", "model.ema_decay=0.9", *DIGITS, *NARROW],
    "critic": ["model=wgan_gp", "data=ring", "model.discriminator_updates=2", *NARROW],
    "vae": ["model=vae", "model/coders=mlp", "model.encoder.widths=[16]", "model.latent_dim=2", *DIGITS],
    "in turn": [
        *("model=stacked_ae", "model.encoder.widths=[8]", "model.latent_dim=4", "model.pretrain_iterations=3"),
        *DIGITS,
    ],
}
FEW = [
    "data.batch_size=8",
    "trainer.max_iterations=10",
    "trainer.threads=1",
    "trainer.accelerator=cpu",
    "metrics.count=20",
    "metrics.reference_count=50",
    "metrics.importance_samples=3",
]
SLOW = dict.fromkeys(["points", "vae", "critic", "in turn"], pytest.mark.slow)
"""Pictures of the plane, a VAE's many kinds of pictures, and updates in turn take long."""
UNWATCHED = [
    "trainer.log_every=1000",
    "trainer.sample_every=null",
    "trainer.evaluate_every=null",
    "trainer.checkpoint_every=null",
    "trainer.progress=false",
    "callbacks.guards=false",
    "metrics.scores=[]",
    "logger=none",
]
WATCHED = {
    "always": [
        "trainer.log_every=1",
        "trainer.sample_every=4",
        "trainer.evaluate_every=5",
        "trainer.checkpoint_every=1",
        "trainer.keep_checkpoints=1",
        "trainer.progress=true",
        "metrics.scores=auto",
        "logger=tensorboard",
    ],
    "otherwise": [
        "trainer.log_every=3",
        "trainer.sample_every=5",
        "trainer.evaluate_every=4",
        "trainer.checkpoint_every=7",
        "trainer.keep_checkpoints=3",
        "callbacks.sample_rows=3",
        "callbacks.not_finite=roll_back",
        "metrics.scores=auto",
        "metrics.reference=train",
        "metrics.extractor.seed=1",
        "metrics.count=30",
        "metrics.seed=3",
        "metrics.batch_size=7",
        "logger=csv",
    ],
}


def bits(tree: Any) -> Any:
    """Tensors as their type and bytes: 0 differs from -0, and a NaN is itself."""
    if isinstance(tree, torch.Tensor):
        return str(tree.dtype), tuple(tree.shape), tree.contiguous().flatten().view(torch.uint8).numpy().tobytes()
    if isinstance(tree, dict):
        return {key: bits(child) for key, child in tree.items()}
    return [bits(child) for child in tree] if isinstance(tree, list | tuple) else tree


def trained(run: Path) -> dict[str, Any]:
    """What training has made: weights, averages, statistics, the optimizers' states."""
    saved = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    return bits({key: saved[key] for key in ("state_dict", "optimizer_states", "iteration")})


def told(run: Path) -> dict[str, Any]:
    """What a run shows: pictures, scores, logged values; without what depends on the clock."""
    results = json.loads((run / "results.json").read_text())
    with (run / "metrics.csv").open(newline="") as file:
        logged = [{tag: cell for tag, cell in row.items() if tag != SPEED} for row in csv.DictReader(file)]
    pictures = {path.name: path.read_bytes() for path in (run / "samples").iterdir()}
    assert len(pictures) > 1 and results["scores"] and logged
    return {"scores": results["scores"], "objective": results["objective"], "logged": logged, "pictures": pictures}


def assert_same(first: Path, second: Path) -> None:
    for look in (trained, told):
        one, other = look(first), look(second)
        assert one.keys() == other.keys()
        assert not [key for key in one if one[key] != other[key]]


# -- what watches a run ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", [pytest.param(name, marks=SLOW.get(name, ())) for name in FAMILIES])
def test_logging_pictures_scores_checkpoints_guards_and_bar_change_no_weight(ganlab, tmp_path, family):
    words = [*FAMILIES[family], *FEW]
    extractor = [] if "data=ring" in words else ["metrics/extractor=random_conv", "metrics.extractor.width=2"]
    done = ganlab(*words, *UNWATCHED, "hydra.run.dir=plain", tiny=False)
    assert done.returncode == 0, done.stderr
    plain = trained(tmp_path / "plain")
    assert plain["iteration"] == 10
    for name, watching in WATCHED.items():
        used = [word for word in watching if extractor or not word.startswith("metrics.extractor")]
        done = ganlab(*words, *extractor, *used, f"hydra.run.dir={name}", tiny=False)
        assert done.returncode == 0, done.stderr
        watched = trained(tmp_path / name)
        different = [key for part in plain for key in unequal(plain[part], watched[part], part)]
        assert not different, f"{name}: {different}"
    assert len(list((tmp_path / "always" / "samples").iterdir())) >= 4


def unequal(first: Any, second: Any, name: str) -> list[str]:
    if isinstance(first, dict) and first.keys() == second.keys():
        return [key for key in first if first[key] != second[key]]
    return [] if first == second else [name]


# -- the same again, in sweeps too ----------------------------------------------------------------------------------

SHOWN = [*FAMILIES["averaged"], *FEW, "metrics.scores=[fd]", "trainer.sample_every=5", "trainer.log_every=2"]


@pytest.mark.slow
def test_the_same_seed_makes_the_same_run_alone_and_in_a_sweep_in_any_order(ganlab, tmp_path):
    assert ganlab(*SHOWN, "seed=3", "hydra.run.dir=alone", tiny=False).returncode == 0
    for order in ("3,4", "4,3"):
        place = [f"hydra.sweep.dir={order.replace(',', '')}", "hydra.sweep.subdir=${seed}"]
        done = ganlab(*SHOWN, "hydra.mode=MULTIRUN", "sweep=same_process", f"seed={order}", *place, tiny=False)
        assert done.returncode == 0, done.stderr
    assert_same(tmp_path / "alone", tmp_path / "34" / "3")
    assert_same(tmp_path / "alone", tmp_path / "43" / "3")
    assert_same(tmp_path / "34" / "4", tmp_path / "43" / "4")
    assert trained(tmp_path / "34" / "3") != trained(tmp_path / "34" / "4")


@pytest.mark.slow
def test_a_sweep_in_parallel_makes_the_runs_of_one_after_the_other(tmp_path):
    for name, sweep, seeds in (("one", "process", "0,1"), ("two", "joblib", "1,0")):
        words = [*SHOWN, f"sweep={sweep}", f"seed={seeds}", f"hydra.sweep.dir={name}", "hydra.sweep.subdir=${seed}"]
        words += ["hydra.launcher.n_jobs=2"] if sweep == "joblib" else []
        done = subprocess.run(
            [sys.executable, "-m", "ganlab", "-m", *words],
            cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=290,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    for seed in "01":
        assert_same(tmp_path / "one" / seed, tmp_path / "two" / seed)
