import copy
import errno
import logging
import os
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import lightning
import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from PIL import Image
from torch import Tensor, nn

from ganlab.callbacks.pictures import SamplePictures
from ganlab.pictures import class_columns, image_grid, shown_classes


class Batch(NamedTuple):
    samples: Tensor
    conditions: Tensor | None


class Stream:
    def __init__(self, batch):
        self.batch = batch

    def __iter__(self):
        while True:
            yield self.batch


class Data(lightning.LightningDataModule):
    """An endless stream of noise with the public face of the laboratory's data modules."""

    def __init__(self, shape=(1, 8, 8), num_classes=0, attributes=()):
        super().__init__()
        self.shape, self.num_classes = shape, num_classes
        self.condition_names = list(attributes) or [f"class {index}" for index in range(num_classes)]
        self.attributes = len(attributes)

    def examples(self, count, split="train"):
        generator = torch.Generator().manual_seed(5)
        samples = torch.randn(count, *self.shape, generator=generator)
        if self.num_classes:
            return Batch(samples, torch.arange(count) % self.num_classes)
        if self.attributes:
            return Batch(samples, (torch.rand(count, self.attributes, generator=generator) > 0.5).float())
        return Batch(samples, None)

    def train_dataloader(self):
        return Stream(self.examples(16))


class Model(lightning.LightningModule):
    """A model with all that a careless callback could disturb: batch norm, dropout, frozen weights, random states."""

    def __init__(self, shape=(1, 8, 8), condition_size=0):
        super().__init__()
        self.automatic_optimization = False
        self.sample_shape, self.condition_size, self.latent_dim = list(shape), condition_size, 4
        self.iteration, self.name = 0, "double"
        size = int(np.prod(shape))
        self.generator = nn.Sequential(
            nn.Linear(4 + condition_size, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, size)
        )
        self.discriminator = nn.Sequential(
            nn.Linear(size + condition_size, 16), nn.BatchNorm1d(16), nn.Dropout(0.5), nn.ReLU(), nn.Linear(16, 1)
        )
        self.discriminator[0].bias.requires_grad_(False)
        self.decoded: list[tuple[Tensor, Tensor | None]] = []

    def latents(self, count, generator=None):
        return torch.randn(count, self.latent_dim, generator=generator)

    def decode(self, latents, condition=None):
        self.decoded.append((latents.clone(), None if condition is None else condition.clone()))
        torch.rand(3)  # a model that draws while it makes pictures
        with torch.no_grad():
            network = copy.deepcopy(self.generator).eval()
            return network(self._join(latents, condition)).tanh().unflatten(1, self.sample_shape)

    def score(self, samples, condition=None):
        with torch.no_grad():
            return copy.deepcopy(self.discriminator).eval()(self._join(samples.flatten(1), condition)).squeeze(1)

    def _join(self, features, condition):
        if condition is None:
            return features
        if condition.ndim == 1:
            condition = nn.functional.one_hot(condition, self.condition_size)
        return torch.cat([features, condition.float()], 1)

    def configure_optimizers(self):
        return torch.optim.Adam([weight for weight in self.parameters() if weight.requires_grad], 1e-2)

    def training_step(self, batch, batch_idx):
        optimizer = self.optimizers()
        fake = self.generator(torch.randn(16, 4))
        real = batch.samples.flatten(1)
        loss = self.discriminator(fake).mean() - self.discriminator(real).mean() + (fake**2).mean()
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        self.iteration += 1


class Recorder:
    """A logger whose experiment takes images."""

    def __init__(self):
        self.images: list[tuple[str, np.ndarray, int, str]] = []
        self.experiment = self

    def add_image(self, tag, image, step, dataformats):
        self.images.append((tag, image, step, dataformats))


def trainer_for(data, *loggers, rank_zero=True):
    return SimpleNamespace(datamodule=data, loggers=list(loggers), is_global_zero=rank_zero)


def run_hooks(callback, model, data, iterations, *loggers, rank_zero=True):
    trainer = trainer_for(data, *loggers, rank_zero=rank_zero)
    callback.on_train_start(trainer, model)
    for _ in range(iterations):
        model.iteration += 1
        callback.on_train_batch_end(trainer, model, None, None, 0)
    callback.on_train_end(trainer, model)


def written(folder: Path) -> list[str]:
    return sorted(os.listdir(folder)) if folder.exists() else []


def fit(root: Path, callbacks: list, iterations=5, shape=(1, 8, 8), loggers=False):
    torch.manual_seed(1)
    model = Model(shape)
    quiet = {"enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    limits = {"accelerator": "cpu", "max_epochs": 1, "limit_train_batches": iterations}
    trainer = lightning.Trainer(logger=loggers, callbacks=callbacks, default_root_dir=root, **limits, **quiet)
    trainer.fit(model, datamodule=Data(shape))
    return model


@pytest.mark.parametrize("shape", [(1, 8, 8), (2,)])
def test_training_is_the_same_bit_for_bit(tmp_path, shape):
    bare = fit(tmp_path, [], shape=shape)
    state_without = torch.get_rng_state()
    watched = fit(tmp_path, [SamplePictures(tmp_path / "samples", every=2, points=50)], shape=shape)
    assert written(tmp_path / "samples") == [f"iteration_{index:06d}.png" for index in (0, 2, 4, 5)]
    assert torch.equal(state_without, torch.get_rng_state())
    weights, expected = watched.state_dict(), bare.state_dict()
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected), "weights and batch norm's statistics"
    assert [part.training for part in watched.modules()] == [part.training for part in bare.modules()]
    trainable = [weight.requires_grad for weight in watched.parameters()]
    assert trainable == [weight.requires_grad for weight in bare.parameters()] and not all(trainable)


def test_tensorboard_shows_the_file_at_the_same_step(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = TensorBoardLogger(tmp_path, name="", version="")
    fit(tmp_path, [SamplePictures(tmp_path / "samples", every=2)], 4, loggers=[CSVLogger(tmp_path), board])
    board.experiment.flush()
    events = EventAccumulator(board.log_dir, size_guidance={"images": 0}).Reload()
    images = events.Images("samples")
    assert [image.step for image in images] == [0, 2, 4]
    (tmp_path / "shown.png").write_bytes(images[-1].encoded_image_string)
    with Image.open(tmp_path / "shown.png") as shown, Image.open(tmp_path / "samples/iteration_000004.png") as file:
        assert np.array_equal(np.asarray(shown.convert("RGB")), np.asarray(file))


def test_pictures_show_what_the_model_makes_of_one_noise(tmp_path):
    model, recorder = Model(), Recorder()
    state = torch.get_rng_state()
    run_hooks(SamplePictures(tmp_path, every=3, rows=4), model, Data(), 7, recorder)
    assert torch.equal(state, torch.get_rng_state())
    assert [step for _, _, step, _ in recorder.images] == [0, 3, 6, 7]
    noises = [latents for latents, _ in model.decoded]
    assert all(torch.equal(noise, noises[0]) for noise in noises)
    expected = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(noises[0], expected)
    with Image.open(tmp_path / "iteration_000006.png") as file:
        assert np.array_equal(np.asarray(file), np.asarray(image_grid(model.decode(expected), 4)))
        assert np.array_equal(np.asarray(file), recorder.images[2][1])


def test_a_count_that_is_no_square(tmp_path):
    model = Model()
    run_hooks(SamplePictures(tmp_path, every=1, count=10), model, Data(), 0)
    assert len(model.decoded[0][0]) == 10
    with Image.open(tmp_path / "iteration_000000.png") as file:
        assert file.size == image_grid(torch.zeros(10, 1, 8, 8), 4).size


def test_one_column_a_class_with_the_same_noise_along_a_row(tmp_path):
    model, data = Model(condition_size=3), Data(num_classes=3)
    run_hooks(SamplePictures(tmp_path, every=10, rows=4), model, data, 0)
    (latents, classes), = model.decoded  # fmt: skip
    assert classes.dtype == torch.int64 and classes.tolist() == [0, 1, 2] * 4
    assert all(len(row.unique(dim=0)) == 1 for row in latents.view(4, 3, -1))
    assert len(latents.unique(dim=0)) == 4
    images = model.decode(latents, classes).unflatten(0, (4, 3))
    with Image.open(tmp_path / "iteration_000000.png") as file:
        assert np.array_equal(np.asarray(file), np.asarray(class_columns(images, data.condition_names)))


def test_many_classes_show_twelve_of_them(tmp_path):
    model = Model(condition_size=30)
    run_hooks(SamplePictures(tmp_path, every=10, count=30), model, Data(num_classes=30), 0)
    (_, classes), = model.decoded  # fmt: skip
    assert classes.tolist() == shown_classes(30) * 2


def test_attributes_come_from_the_first_examples_and_are_named(tmp_path):
    names = ["Smiling", "Wearing_Hat", "Young"]
    model, data = Model(condition_size=3), Data(attributes=names)
    run_hooks(SamplePictures(tmp_path, every=10, rows=2), model, data, 0)
    (_, vectors), = model.decoded  # fmt: skip
    assert torch.equal(vectors, data.examples(8).conditions.repeat(2, 1))
    with Image.open(tmp_path / "iteration_000000.png") as file:
        bare = class_columns(torch.zeros(2, 8, 1, 8, 8), [str(index) for index in range(8)])
        assert file.width == bare.width and file.height > bare.height + 8 * 10, "a line of names for each column"


@pytest.mark.parametrize("classes", [0, 4])
def test_points_are_drawn_in_fixed_limits(tmp_path, classes):
    model, data, recorder = Model((2,), classes), Data((2,), classes), Recorder()
    run_hooks(SamplePictures(tmp_path, every=1, points=60), model, data, 1, recorder)
    (first, conditions), (second, _) = model.decoded
    assert torch.equal(first, second) and len(first) == 60
    assert conditions is None if not classes else conditions.tolist() == [0, 1, 2, 3] * 15
    pictures = [image for _, image, _, _ in recorder.images]
    assert pictures[0].shape == (560, 600, 3)
    assert np.array_equal(pictures[0][500:510], pictures[1][500:510]), "the ticks did not move"
    assert not np.array_equal(pictures[0], pictures[1]), "the title did"


def test_a_conditional_field_is_the_highest_over_the_classes(tmp_path, monkeypatch):
    model, data = Model((2,), 4), Data((2,), 4)
    seen = {}
    monkeypatch.setattr("ganlab.callbacks.pictures.plane", lambda *a, **k: seen.update(k) or Image.new("RGB", (1, 1)))
    run_hooks(SamplePictures(tmp_path, every=1, points=8), model, data, 0)
    from ganlab.pictures import plane_lattice

    places = plane_lattice(seen["limits"], len(seen["field"]))
    scores = [model.score(places, torch.full((len(places),), index)) for index in range(4)]
    torch.testing.assert_close(seen["field"].flatten(), torch.stack(scores).amax(0).sigmoid())
    assert seen["field_kind"] == "probability" and "highest" in seen["field_label"]
    model.score_is_logit = False
    run_hooks(SamplePictures(tmp_path, every=1, points=8), model, data, 0)
    torch.testing.assert_close(seen["field"].flatten(), torch.stack(scores).amax(0))
    assert seen["field_kind"] == "raw"


def test_other_ranks_neither_draw_nor_write(tmp_path):
    model, recorder = Model(), Recorder()
    run_hooks(SamplePictures(tmp_path / "samples", every=1), model, Data(), 3, recorder, rank_zero=False)
    assert not model.decoded and not recorder.images and not (tmp_path / "samples").exists()


def test_a_resumed_run_leaves_the_picture_that_is_there(tmp_path):
    (tmp_path / "iteration_000004.png").write_bytes(b"drawn before")
    model, recorder = Model(), Recorder()
    model.iteration = 4
    run_hooks(SamplePictures(tmp_path, every=2), model, Data(), 3, recorder)
    assert [step for _, _, step, _ in recorder.images] == [6, 7]
    assert (tmp_path / "iteration_000004.png").read_bytes() == b"drawn before"


def test_a_resumed_run_draws_on_its_iterations_only(tmp_path):
    model, recorder = Model(), Recorder()
    model.iteration = 5
    run_hooks(SamplePictures(tmp_path, every=4), model, Data(), 3, recorder)
    assert [step for _, _, step, _ in recorder.images] == [8]


def test_each_iteration_is_drawn_once(tmp_path):
    model, recorder = Model(), Recorder()
    callback, trainer = SamplePictures(tmp_path, every=2), trainer_for(Data(), recorder)
    model.iteration = 2
    for _ in range(3):  # batches that do not finish an iteration
        callback.on_train_batch_end(trainer, model, None, None, 0)
    assert len(recorder.images) == 1


def test_a_full_disk_is_one_warning_and_no_end(tmp_path, monkeypatch, caplog):
    def full(self, file, format):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    model, recorder = Model(), Recorder()
    with caplog.at_level(logging.WARNING):
        run_hooks(SamplePictures(tmp_path / "samples", every=1), model, Data(), 3, recorder)
    (record,) = caplog.records
    said = record.getMessage()
    assert said.startswith(f"{tmp_path / 'samples/iteration_000000.png'}: cannot be written (No space left on device)")
    assert said.endswith("training goes on") and "\n" not in said
    assert written(tmp_path / "samples") == [] and len(recorder.images) == 4


def test_a_folder_that_cannot_be_made_is_one_warning(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING):
        run_hooks(SamplePictures(tmp_path / "file" / "samples", every=1), Model(), Data(), 2)
    assert len(caplog.records) == 1 and "\n" not in caplog.records[0].getMessage()
