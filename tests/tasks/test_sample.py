"""`python -m ganlab.sample` on a run that was really trained."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganlab.tasks import sample


@pytest.fixture
def sampled(ganlab, tmp_path, monkeypatch, capsys):
    """Train a tiny conditional GAN, take its data away, and run the sampling command."""
    words = ["model=cgan", "trainer.max_iterations=4", "model.generator.width=4", "model.discriminator.width=4"]
    done = ganlab(*words, "hydra.run.dir=run")
    assert done.returncode == 0, done.stderr
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)  # importing it would fail: the data is not needed

    def run(*words: str) -> Path:
        monkeypatch.setattr(sys, "argv", ["ganlab-sample", *words])
        sample.main()
        return tmp_path / capsys.readouterr().out.strip().rpartition(" ")[2]

    return run


def test_grid_single_images_and_arrays_without_the_data_set(sampled):
    folder = sampled("run=run", "count=20", "seed=3")
    assert Image.open(folder / "grid.png").mode in ("L", "RGB")
    images = sorted((folder / "images").iterdir())
    assert [path.name for path in images] == [f"{index:06d}.png" for index in range(20)]
    with np.load(folder / "samples.npz", allow_pickle=False) as arrays:
        assert arrays["samples"].shape == (20, 1, 8, 8)
        assert arrays["conditions"].tolist() == [*range(10), *range(10)]
        assert int(arrays["seed"]) == 3 and int(arrays["iteration"]) == 4
        pixels = np.rint(arrays["samples"][7, 0] * 127.5 + 127.5).clip(0, 255)
        assert np.abs(np.asarray(Image.open(images[7]).convert("L")).astype(int) - pixels).max() <= 1


def test_the_seed_decides_and_the_chunk_size_does_not(sampled):
    samples = [
        np.load(sampled("run=run/checkpoints/last.ckpt", "count=12", *words) / "samples.npz")["samples"]
        for words in (["seed=1"], ["seed=1", "batch=5"], ["seed=2"])
    ]
    assert np.allclose(samples[0], samples[1], atol=1e-6)
    assert not np.allclose(samples[0], samples[2], atol=1e-2)


def test_a_condition_and_an_interpolation(sampled):
    folder = sampled("run=run", "count=6", "condition=3", "interpolate=5")
    with np.load(folder / "samples.npz") as arrays:
        assert arrays["conditions"].tolist() == [3] * 6
    animation = Image.open(folder / "interpolation.gif")
    assert animation.n_frames > 5 and animation.info["loop"] == 0
    assert (folder / "interpolation.png").is_file()


def test_a_condition_that_there_is_not_is_refused_in_a_line(sampled, capsys):
    with pytest.raises(SystemExit) as refused:
        sampled("run=run", "condition=10")
    assert refused.value.code == 2
    assert capsys.readouterr().err.strip() == "condition=10: there is no class 10; they go from 0 to 9"
    assert not Path("run/generated").exists()


def test_a_strangers_checkpoint_that_names_a_command_is_refused_before_it_is_built(tmp_path, monkeypatch, capsys):
    config = {"model": {"_target_": "os.system", "command": f"touch {tmp_path}/was_here"}, "data": {"num_classes": 0}}
    path = tmp_path / "last.ckpt"
    torch.save({"state_dict": {}, "iteration": 1, "ganlab": {"config": config, "version": "0"}}, path)
    monkeypatch.setattr(sys, "argv", ["ganlab-sample", f"run={path}"])
    with pytest.raises(SystemExit) as refused:
        sample.main()
    assert refused.value.code == 2
    assert "its configuration names os.system, which is no component of ganlab's" in capsys.readouterr().err
    assert not (tmp_path / "was_here").exists()
