"""Run folders written by hand, in the format of real ones: for tests of what reads finished runs."""

import csv
import json
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from PIL import Image

PROTOCOL = {
    "metric": "fd",
    "extractor": {"extractor": "digits", "weights_sha256": "7" * 64},
    "data": "digits",
    "reference": "test",
    "reference_count": 898,
    "reference_sha256": "f" * 64,
    "count": 1000,
    "weights": "averaged",
    "iteration": 100,
    "seed": 0,
    "version": "0.1.0",
    "real": "samples of the train split",
}
MODELS = {"gan": {"loss": "non_saturating"}, "lsgan": {"a": 0, "b": 1, "targets": [0, 1, 1]}, "wgan": {"clip": 0.01}}
TAG = "metric/fd_digits"


def score(value: float, better: str = "lower", real: float | None = 0.05, **protocol: Any) -> dict[str, Any]:
    return {"value": value, "real": real, "better": better, "protocol": {**PROTOCOL, **protocol}}


def configuration(overrides: tuple[str, ...], seed: int) -> dict[str, Any]:
    """As Hydra would save it: interpolations are kept."""
    words = dict(override.lstrip("+").partition("=")[::2] for override in overrides)
    model = words.get("model", "gan")
    network = {"lr": "${recommended:adam,lr,2.0e-4}", "schedule": "constant"}
    config = OmegaConf.create(
        {
            "data": {
                "name": words.get("data", "digits"),
                "root": "data",
                "image_size": 16,
                "sample_shape": [1, "${..image_size}", "${..image_size}"],
                "cache_dir": "${oc.env:GANLAB_CACHE,'~/.cache'}",
            },
            "model": {"name": model, "latent_dim": 64, "codes": [10], "sample_shape": "${data.sample_shape}"}
            | MODELS[model]
            | {"recommended": {"adam": {"lr": 1e-3 if model == "wgan" else 2e-4}}},
            "optimizer": {"generator": dict(network), "discriminator": dict(network)},
            "trainer": {"max_iterations": 100, "threads": "auto", "progress": True, "ema": 0.999},
            "metrics": {"count": 1000},
            "logger": {"csv": True},
            "name": None,
            "seed": seed,
        }
    )
    for key, text in words.items():
        if "." in key:
            OmegaConf.update(config, key, OmegaConf.select(OmegaConf.from_dotlist([f"{key}={text}"]), key))
    return OmegaConf.to_container(config, resolve=False)  # type: ignore[return-value]


def write_run(
    folder: Path,
    *overrides: str,
    value: float = 1.0,
    seed: int = 0,
    scores: dict[str, Any] | None = None,
    monitored: str | None = TAG,
    history: dict[str, dict[int, float]] | None = None,
    picture: tuple[int, int] | None = None,
    **results: Any,
) -> Path:
    """A finished run with one score of that value, or with those given."""
    (folder / ".hydra").mkdir(parents=True)
    config = configuration(overrides, seed)
    (folder / ".hydra" / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(config)))
    typed = [*overrides, *([] if any("seed=" in word for word in overrides) else [f"seed={seed}"])]
    (folder / ".hydra" / "overrides.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(typed)))
    told = {
        "version": "0.1.0",
        "model": config["model"]["name"],
        "data": config["data"]["name"],
        "seed": seed,
        "iterations": config["trainer"]["max_iterations"],
        "monitored": monitored,
        "scores": {TAG: score(value)} if scores is None else scores,
        "last_values": {"loss/generator": value + 1},
        "wall_seconds": 60.0,
        "machine": {"accelerator": "cpu"},
    }
    (folder / "results.json").write_text(json.dumps(told | results))
    if history:
        write_history(folder, history)
    if picture:
        (folder / "samples").mkdir()
        for iteration, colour in ((50, "red"), (100, "blue")):
            Image.new("RGB", picture, colour).save(folder / "samples" / f"iteration_{iteration:06d}.png")
    return folder


def write_history(folder: Path, history: dict[str, dict[int, float]]) -> None:
    iterations = sorted({iteration for values in history.values() for iteration in values})
    with (folder / "metrics.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["iteration", *history])
        for iteration in iterations:
            writer.writerow([iteration, *(values.get(iteration, "") for values in history.values())])
