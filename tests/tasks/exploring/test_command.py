"""From a run to what its page shows; with and without the run's data set."""

import shutil

import pytest
import torch

from ganlab.errors import DataError
from ganlab.tasks.exploring.command import subject_of
from ganlab.tasks.exploring.places import Place


def test_a_run_and_its_data(trained, tmp_path):
    subject = subject_of(trained("model=cgan", "model.generator.width=8", "model.latent_dim=5"))
    assert subject.title == "cgan on digits"
    assert subject.told.startswith("iteration 2 · averaged weights · ")
    checkpoint = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    averaged = {name: value for name, value in checkpoint["state_dict"].items() if name.startswith("generator_ema")}
    restored = subject.explorer.model.state_dict()
    assert averaged and all(torch.equal(restored[name], value) for name, value in averaged.items())
    assert len(subject.explorer.train) == 899 and len(subject.explorer.test) == 898
    assert subject.views.nearest.count == 899 and subject.explorer.condition_names == list("0123456789")


@pytest.fixture
def folder(tmp_path):
    from PIL import Image

    (tmp_path / "images").mkdir()
    for number in range(20):
        Image.effect_noise((8, 8), 50 + number).save(tmp_path / "images" / f"{number}.png")
    return tmp_path / "images"


IMAGES = ["data=image_folder", "data.channels=1", "data.batch_size=4"]


def test_a_data_set_that_is_gone(trained, folder, capsys):
    options = trained("model=gan", *IMAGES, f"data.root={folder}", "model.generator.width=8", "model.latent_dim=5")
    assert subject_of(options).views.nearest is not None
    shutil.move(folder, folder.with_name("moved"))
    moved = options.model_copy(update={"root": str(folder.with_name("moved"))})
    assert subject_of(moved).views.nearest is not None
    capsys.readouterr()
    subject = subject_of(options)
    assert subject.views.nearest is None and not subject.explorer.starts_from_samples
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: no training samples to compare with: ") and str(folder) in line
    assert str(folder) in subject.views.near(Place()) and subject.views.shown(Place())


def test_an_autoencoder_cannot_do_without(trained, folder):
    options = trained("model=ae", *IMAGES, f"data.root={folder}", "model.latent_dim=3")
    assert subject_of(options).explorer.first() == Place(row=0)
    shutil.rmtree(folder)
    with pytest.raises(DataError, match=f"^run={options.run}: model=ae starts from real samples, and there are none: "):
        subject_of(options)
