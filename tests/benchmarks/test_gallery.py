"""The gallery: what it trains, what it makes of several seeds, what it leaves alone."""

import importlib
import json
import sys

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from ganlab.config.paths import conf_folder
from loading import ROOT


@pytest.fixture
def gallery(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("gallery")


@pytest.fixture
def finished(gallery, tmp_path):
    """finished(name, {seed: value}): runs of a family as they lie there when they are done."""

    def written(name, values):
        for seed, value in values.items():
            folder = tmp_path / "keep" / name / f"seed_{seed}"
            (folder / ".hydra").mkdir(parents=True)
            (folder / "samples").mkdir()
            words = [*gallery.FAMILIES[name].words.split(), f"seed={seed}", *gallery.OWN]
            (folder / ".hydra" / "overrides.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(words)))
            scores = {
                f"metric/{key}": {"value": value * number, "better": "lower", "pca": 0.0245}
                for number, key in enumerate(("mse", "psnr"), start=1)
            }
            told = {"scores": scores, "iterations": 3000, "wall_seconds": 10.0 * (seed + 1), "version": "0.1.0"}
            (folder / "results.json").write_text(json.dumps(told))
            for iteration, shade in ((0, 0), (9, 90), (10, 200)):
                picture = Image.new("L", (30, 20), shade)
                picture.save(folder / "samples" / f"reconstructions_iteration_{iteration:06d}.png")
                picture.save(folder / "samples" / f"interpolations_iteration_{iteration + 1:06d}.png")
        return tmp_path / "keep"

    return written


def run(gallery, monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["gallery.py", *map(str, words)])
    gallery.main()


@pytest.mark.slow
def test_every_family_is_in_it_by_a_command_that_passes_the_check(gallery, settings):
    families = {path.stem for path in (conf_folder() / "model").glob("*.yaml")}
    assert set(gallery.FAMILIES) == families
    for name, shown in gallery.FAMILIES.items():
        assert settings(*shown.words.split(), *gallery.OWN)["model"]["name"] == name


def test_the_table_has_mean_and_deviation_of_the_seeds(gallery, finished, tmp_path, monkeypatch):
    keep = finished("ae", {0: 0.0141, 1: 0.0150, 2: 0.0153})
    run(gallery, monkeypatch, "families=ae", f"keep={keep}", f"docs={tmp_path}")
    entry = json.loads((tmp_path / "gallery.json").read_text())["ae"]
    assert entry["scores"]["mse"]["values"] == [0.0141, 0.0150, 0.0153]
    # mean 0.0148, deviations -0.0007, 0.0002, 0.0005: sd √(78e-8 / 2) = 0.000624
    page = (tmp_path / "gallery.md").read_text()
    assert "| [ae](#ae) | `mse` ↓ | 0.0148 ± 0.0006 (PCA 0.0245) | 3 | 3,000 |" in page
    assert "| `psnr` ↓ | 0.0296 ± 0.0012 | PCA 0.0245 |" in page
    assert "\n    python -m ganlab experiment=digits_ae\n" in page
    assert "Not made yet: gan, dcgan, cgan" in page and "families=gan,dcgan,cgan" in page
    shade = np.asarray(Image.open(tmp_path / "gallery" / "ae.png"))
    assert shade.shape == (20, 30, 3) and (shade == 200).all()  # the newest reconstructions


def test_a_part_leaves_the_rest_alone(gallery, finished, tmp_path, monkeypatch):
    keep = finished("deep_ae", {0: 0.02})
    run(gallery, monkeypatch, "families=deep_ae", "seeds=0", f"keep={keep}", f"docs={tmp_path}")
    keep = finished("ae", {0: 0.01})
    run(gallery, monkeypatch, "families=ae", "seeds=0", f"keep={keep}", f"docs={tmp_path}")
    assert list(json.loads((tmp_path / "gallery.json").read_text())) == ["ae", "deep_ae"]
    page = (tmp_path / "gallery.md").read_text()
    assert "| [deep_ae](#deep_ae) | `mse` ↓ | 0.0200 (PCA 0.0245) | 1 | 3,000 |" in page
    (tmp_path / "gallery.md").unlink()
    run(gallery, monkeypatch, "write", f"docs={tmp_path}")
    assert (tmp_path / "gallery.md").read_text() == page


def test_only_what_is_missing_is_trained(gallery, finished, tmp_path, monkeypatch):
    keep = finished("ae", {0: 0.01, 2: 0.03})
    trained = []

    def made(command, **_):
        trained.append(command[3:])
        finished("ae", {1: 0.02})

    monkeypatch.setattr("quality.subprocess.run", made)
    run(gallery, monkeypatch, "families=ae", f"keep={keep}", f"docs={tmp_path}", "jobs=1")
    words = [*gallery.FAMILIES["ae"].words.split(), "seed=1", *gallery.OWN, f"hydra.run.dir={keep / 'ae' / 'seed_1'}"]
    assert trained == [words]
    assert json.loads((tmp_path / "gallery.json").read_text())["ae"]["scores"]["mse"]["values"] == [0.01, 0.02, 0.03]


def test_a_heavy_picture_becomes_light(gallery, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (160, 400, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    gallery.save_small(tmp_path / "noise.png", tmp_path / "a" / "small.png")
    small = Image.open(tmp_path / "a" / "small.png")
    assert small.size == (400, 160) and (tmp_path / "a" / "small.png").stat().st_size < gallery.HEAVIEST


def test_other_words_need_a_folder_of_their_own(gallery, monkeypatch):
    with pytest.raises(SystemExit, match=r"^trainer.max_iterations=3: makes another gallery; give it a folder"):
        run(gallery, monkeypatch, "families=ae", "trainer.max_iterations=3")


def test_an_unknown_family_is_a_line(gallery, monkeypatch):
    with pytest.raises(SystemExit, match="families=gna: no such family; there are gan, dcgan"):
        run(gallery, monkeypatch, "families=gna")
