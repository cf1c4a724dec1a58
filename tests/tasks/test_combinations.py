"""Each model on each data set that it fits, from the command line's own composition."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

EMBEDDED = ["digits", "stacked_digits"]
ON_DISK = ["mnist", "fashion_mnist", "cifar10", "celeba", "image_folder"]
LABELLED_POINTS = ["ring", "grid"]
POINTS = [*LABELLED_POINTS, "uniform", "swiss_roll"]
IMAGES = [*EMBEDDED, *ON_DISK]

COMBINATIONS = [
    *(("gan", data) for data in [*IMAGES, *POINTS]),
    *(("dcgan", data) for data in IMAGES),
    *(("cgan", data) for data in [*IMAGES, *LABELLED_POINTS]),
    *((model, data) for model in ("lsgan", "wgan", "wgan_gp") for data in ("ring", *EMBEDDED)),
]

CONDITIONS = {
    "celeba": ["data.attributes=[Smiling,Male]"],
    "image_folder": ["data.num_classes=2"],
    "stacked_digits": [],
}


@pytest.fixture
def files(tmp_path: Path, mnist_files, cifar_files, celeba_files) -> Path:
    """A root with tiny data sets in the formats in which the true ones are distributed."""
    mnist_files("MNIST")
    mnist_files("FashionMNIST", compressed=True)
    random = np.random.default_rng(0)
    for index in range(12):
        pixels = random.integers(0, 256, (20 + index, 24, 3), dtype=np.uint8)
        path = celeba_files / "images" / f"class{index % 2}" / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return celeba_files


@pytest.mark.parametrize(("model", "data"), COMBINATIONS)
def test_twenty_iterations(ganlab, files, tmp_path, model, data):
    words = [f"model={model}", f"data={data}", "data.batch_size=4", "model.generator.width=4"]
    words += ["model.discriminator.width=4", "trainer.max_iterations=20", "trainer.log_every=10", "trainer.threads=1"]
    words += ["trainer.sample_every=20", "hydra.run.dir=run", "callbacks.sample_rows=2"]
    words += ["metrics.scores=[]"]
    if data in IMAGES:
        words.append("data.image_size=16")
    if data in ON_DISK:
        words.append(f"data.root={files / 'images' if data == 'image_folder' else files}")
    if data in ("celeba", "image_folder"):
        words.append("data.cache_dir=cache")
    if model == "cgan":
        words += CONDITIONS.get(data, [])
    done = ganlab(*words, tiny=False)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "run"
    with (folder / "metrics.csv").open() as file:
        logged = list(csv.DictReader(file))
    assert [row["iteration"] for row in logged] == ["10", "20"]
    assert (folder / "samples" / "iteration_000020.png").is_file()
    saved = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["iteration"] == 20
    conditional = saved["ganlab"]["config"]["model"].get("condition_size", 0)
    assert (conditional > 0) == (model == "cgan")


@pytest.mark.slow
def test_two_processes_train_a_dcgan_on_celeba_as_the_readme_says(ganlab, files, tmp_path):
    words = ["model=dcgan", "data=celeba", "trainer.devices=2", "trainer.accelerator=cpu", "trainer.max_iterations=20"]
    small = ["data.batch_size=2", "model.generator.width=4", "model.discriminator.width=4"]
    small += ["data.cache_dir=cache", f"data.root={files}"]
    done = ganlab(*words, *small, "trainer.log_every=10", "hydra.run.dir=run", tiny=False)
    assert done.returncode == 0, done.stderr
    assert torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["iteration"] == 20
    picture = Image.open(tmp_path / "run/samples/iteration_000020.png")
    assert picture.mode == "RGB" and min(picture.size) > 500
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "files", "run"]
