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

from ganlab.callbacks.autoencoder_pictures import (
    CodePainter,
    FilterPainter,
    InterpolationPainter,
    ManifoldPainter,
    ReconstructionPainter,
)
from ganlab.callbacks.code_pictures import LevelPainter, TraversalPainter
from ganlab.callbacks.pictures import PlanePainter, SamplePictures
from ganlab.pictures import class_columns, image_grid, plane_lattice, plane_limits, shown_classes
from ganlab.tasks.building import build_data, build_model

OF_A_VAE = ["codes_", "filters_", "interpolations_", "", "manifold_", "reconstructions_", "traversal_"]


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
        self.iteration, self.name, self.generates = 0, "double", True
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


class Structured(Model):
    """Two codes within its latents, and its images at half the size first."""

    def traversals(self, steps, generator):
        base = self.latents(1, generator)
        torch.rand(2)  # draws that a picture must not take from training
        walks = []
        for code in range(2):
            walk = base.repeat(steps, 1)
            walk[:, code] = torch.linspace(-1, 1, steps)
            walks.append((f"c{code + 1}", walk))
        return walks

    def stages(self, latents, condition=None):
        images = self.decode(latents, condition)
        return [nn.functional.avg_pool2d(images, 2), images]


class Autoencoding(Model):
    """Its discriminator's place is an encoder into two numbers; it corrupts, and it has no prior to draw from."""

    def __init__(self, shape=(1, 8, 8), condition_size=0):
        super().__init__(shape, condition_size)
        self.generates, self.encodes, self.reconstructs, self.corrupts = False, True, True, True
        self.latent_dim = 2
        self.encoder = nn.Linear(int(np.prod(shape)), 2)

    def encode(self, samples, condition=None):
        torch.rand(3)
        with torch.no_grad():
            return self.encoder(samples.flatten(1))

    def decode(self, latents, condition=None):
        return super().decode(torch.cat([latents, latents], 1), condition)

    def reconstruct(self, samples, condition=None):
        return self.decode(self.encode(samples, condition), condition)

    def corrupt(self, samples, generator):
        torch.rand(3)
        return samples * torch.rand(samples.shape, generator=generator)

    def filters(self):
        torch.rand(3)
        return self.encoder.weight.unflatten(1, self.sample_shape) if len(self.sample_shape) == 3 else None


class Variational(Autoencoding):
    """One that generates too, with numbers to walk along."""

    def __init__(self, shape=(1, 8, 8), condition_size=0):
        super().__init__(shape, condition_size)
        self.generates = True

    def traversals(self, steps, generator):
        walks = self.latents(1, generator).repeat(2, steps, 1)
        walks[0, :, 0] = walks[1, :, 1] = torch.linspace(-3, 3, steps)
        return list(zip(["latent_1", "latent_2"], walks, strict=True))


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


def fit(root: Path, callbacks: list, iterations=5, shape=(1, 8, 8), loggers=False, kind=Model):
    torch.manual_seed(1)
    model = kind(shape)
    quiet = {"enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    limits = {"accelerator": "cpu", "max_epochs": 1, "limit_train_batches": iterations}
    trainer = lightning.Trainer(logger=loggers, callbacks=callbacks, default_root_dir=root, **limits, **quiet)
    trainer.fit(model, datamodule=Data(shape))
    return model


@pytest.mark.parametrize(
    ("kind", "shape", "kinds"),
    [
        (Model, (1, 8, 8), [""]),
        (Model, (2,), [""]),
        (Structured, (1, 8, 8), ["", "levels_", "traversal_"]),
        (Structured, (2,), ["", "traversal_"]),
        (Autoencoding, (1, 8, 8), ["codes_", "filters_", "interpolations_", "reconstructions_"]),
        (Autoencoding, (2,), ["codes_", "reconstructions_"]),
        (Variational, (1, 8, 8), OF_A_VAE),
        (Variational, (2,), ["codes_", "", "reconstructions_", "traversal_"]),
    ],
)
def test_training_is_the_same_bit_for_bit(tmp_path, kind, shape, kinds):
    bare = fit(tmp_path, [], shape=shape, kind=kind)
    state_without = torch.get_rng_state()
    watched = fit(tmp_path, [SamplePictures(tmp_path / "samples", every=2, points=50)], shape=shape, kind=kind)
    names = [f"{prefix}iteration_{index:06d}.png" for prefix in kinds for index in (0, 2, 4, 5)]
    assert written(tmp_path / "samples") == names
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


def test_a_models_structure_is_drawn_beside_its_samples(tmp_path):
    model, recorder = Structured(), Recorder()
    run_hooks(SamplePictures(tmp_path, every=3), model, Data(), 4, recorder)
    shown = [(tag, step) for tag, _, step, _ in recorder.images]
    assert sorted(shown) == [(tag, step) for tag in ("levels", "samples", "traversal") for step in (0, 3, 4)]
    painters = {
        "traversal": TraversalPainter(model, torch.Generator().manual_seed(0)),
        "levels": LevelPainter(model, torch.Generator().manual_seed(0)),
    }
    for tag, image, step, _ in recorder.images:
        if tag in painters:
            with Image.open(tmp_path / f"{tag}_iteration_{step:06d}.png") as file:
                assert np.array_equal(np.asarray(file), image)
            assert np.array_equal(image, np.asarray(painters[tag].paint(model))), "the same noise each time"


def test_samples_are_the_same_whatever_is_drawn_beside_them(tmp_path):
    plain, structured = Recorder(), Recorder()
    for kind, recorder in ((Model, plain), (Structured, structured)):
        torch.manual_seed(2)
        run_hooks(SamplePictures(tmp_path / kind.__name__, every=1), kind(), Data(), 0, recorder)
    (_, expected, _, _), = plain.images  # fmt: skip
    (image,) = [image for tag, image, _, _ in structured.images if tag == "samples"]
    assert np.array_equal(image, expected)


def test_the_structure_of_a_conditional_model_has_its_conditions(tmp_path):
    data = Data(num_classes=3)
    model = Structured(condition_size=3)
    run_hooks(SamplePictures(tmp_path, every=1), model, data, 0)
    conditions = torch.arange(3), data.condition_names
    for name, painter in (("traversal", TraversalPainter), ("levels", LevelPainter)):
        expected = painter(model, torch.Generator().manual_seed(0), *conditions).paint(model)
        with Image.open(tmp_path / f"{name}_iteration_000000.png") as file:
            assert np.array_equal(np.asarray(file), np.asarray(expected))


def test_codes_of_points_are_drawn_in_the_limits_of_the_real_ones(tmp_path):
    model, data = Structured((2,)), Data((2,))
    run_hooks(SamplePictures(tmp_path, every=1, points=60), model, data, 0)
    real = data.examples(60).samples
    expected = TraversalPainter(model, torch.Generator().manual_seed(0), real=real).paint(model)
    with Image.open(tmp_path / "traversal_iteration_000000.png") as file:
        assert np.array_equal(np.asarray(file), np.asarray(expected))
    assert written(tmp_path) == ["iteration_000000.png", "traversal_iteration_000000.png"]


def test_what_a_model_cannot_do_is_not_drawn(tmp_path):
    def kinds(model, **told):
        for name, value in told.items():
            setattr(model, name, value)
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        run_hooks(SamplePictures(folder, every=1, points=20), model, Data(model.sample_shape), 0)
        return [name.removesuffix("iteration_000000.png") for name in written(folder)]

    assert kinds(Model(), generates=False) == []
    assert kinds(Autoencoding(), filters=lambda: None) == ["codes_", "interpolations_", "reconstructions_"]
    wide = Variational()
    wide.encoder = nn.Linear(64, 3)
    wide.generator[0] = nn.Linear(6, 16)
    without = [kind for kind in OF_A_VAE if kind not in ("codes_", "manifold_")]
    assert kinds(wide, latent_dim=3) == without, "more numbers than a plane has"
    assert kinds(Variational(), encodes=False) == ["filters_", "", "reconstructions_", "traversal_"]


def test_pictures_of_an_autoencoder_are_its_painters(tmp_path):
    model, data, recorder = Variational(), Data(), Recorder()
    run_hooks(SamplePictures(tmp_path, every=1, seed=6, points=40), model, data, 1, recorder)
    painters = {
        "reconstructions": ReconstructionPainter(model, data, 6),
        "filters": FilterPainter(),
        "interpolations": InterpolationPainter(model, data),
        "manifold": ManifoldPainter(model, None, [], []),
        "codes": CodePainter(model, data, 40),
    }
    for kind, painter in painters.items():
        ((drawn, step),) = [(image, step) for tag, image, step, _ in recorder.images if tag == kind and step]
        assert step == 1 and np.array_equal(drawn, np.asarray(painter.paint(model))), kind
        with Image.open(tmp_path / f"{kind}_iteration_000001.png") as file:
            assert np.array_equal(np.asarray(file), drawn)


def test_a_conditional_autoencoder_is_drawn_with_its_classes(tmp_path):
    model, data = Variational(condition_size=3), Data(num_classes=3)
    run_hooks(SamplePictures(tmp_path, every=1), model, data, 0)
    expected = ManifoldPainter(model, torch.arange(3), data.condition_names, []).paint(model)
    with Image.open(tmp_path / "manifold_iteration_000000.png") as file:
        assert np.array_equal(np.asarray(file), np.asarray(expected))


@pytest.mark.parametrize("shape", [(1, 8, 8), (2,)])
def test_the_last_picture_is_the_sign_where_there_are_no_samples(tmp_path, monkeypatch, shape):
    order, last = [], "codes_iteration_000004.png"
    monkeypatch.setattr("ganlab.callbacks.pictures.save_atomically", lambda picture, path: order.append(path.name))
    model = Autoencoding(shape)
    model.iteration = 4
    (tmp_path / "reconstructions_iteration_000004.png").write_bytes(b"drawn before")
    run_hooks(SamplePictures(tmp_path, every=4), model, Data(shape), 0)
    drawn = len(order)
    assert drawn >= 2 and order[-1] == last
    (tmp_path / last).write_bytes(b"drawn before")
    state = torch.get_rng_state()
    run_hooks(SamplePictures(tmp_path, every=4), model, Data(shape), 0)
    assert len(order) == drawn and torch.equal(state, torch.get_rng_state())


def test_a_model_without_pictures_is_resumed_without_a_word(tmp_path):
    model = Model()
    model.generates, model.iteration = False, 4
    run_hooks(SamplePictures(tmp_path, every=2), model, Data(), 2)
    assert written(tmp_path) == []


def test_a_picture_that_was_cut_short_is_drawn_with_all_beside_it_on_resuming(tmp_path, monkeypatch):
    order = []
    monkeypatch.setattr("ganlab.callbacks.pictures.save_atomically", lambda picture, path: order.append(path.name))
    model = Structured()
    model.iteration = 4
    (tmp_path / "traversal_iteration_000004.png").write_bytes(b"drawn before")
    run_hooks(SamplePictures(tmp_path, every=4), model, Data(), 0)
    assert len(order) == 3 and order[-1] == "iteration_000004.png", "the sign that all are there comes last"
    (tmp_path / "iteration_000004.png").write_bytes(b"drawn before")
    run_hooks(SamplePictures(tmp_path, every=4), model, Data(), 0)
    assert len(order) == 3


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


def test_a_full_disk_is_one_warning_and_no_end(tmp_path, monkeypatch, caplog, capsys):
    def full(self, file, format):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    model, recorder = Model(), Recorder()
    with caplog.at_level(logging.WARNING):
        run_hooks(SamplePictures(tmp_path / "samples", every=1), model, Data(), 3, recorder)
    said, last = [record.getMessage() for record in caplog.records]
    assert said.startswith(f"{tmp_path / 'samples/iteration_000000.png'}: cannot be written (No space left on device)")
    assert said.endswith("training goes on, and tries again with the next one") and "\n" not in said
    assert last == "4 pictures could not be written"
    assert capsys.readouterr().err.splitlines() == [f"warning: {said}", f"warning: {last}"]
    assert written(tmp_path / "samples") == [] and len(recorder.images) == 4


def test_pictures_come_again_when_there_is_room(tmp_path, monkeypatch, capsys):
    save, calls = Image.Image.save, []

    def full_twice(self, file, format):
        calls.append(1)
        if len(calls) <= 2:
            raise OSError(errno.EDQUOT, "Disk quota exceeded")
        save(self, file, format=format)

    monkeypatch.setattr(Image.Image, "save", full_twice)
    run_hooks(SamplePictures(tmp_path / "samples", every=1), Model(), Data(), 3)
    assert written(tmp_path / "samples") == ["iteration_000002.png", "iteration_000003.png"]
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_a_folder_that_cannot_be_made_is_one_warning(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING):
        run_hooks(SamplePictures(tmp_path / "file" / "samples", every=1), Model(), Data(), 2)
    said, last = [record.getMessage() for record in caplog.records]
    assert "\n" not in said and last == "3 pictures could not be written"


@pytest.mark.parametrize(
    ("words", "kind", "label"),
    [
        (["model=gan"], "probability", "discriminator: probability of real"),
        (["model=gan", "model.loss=hinge"], "raw", "discriminator's score"),
        (["model=gan", "model.relativistic=paired"], "raw", "discriminator's score"),
        (["model=lsgan"], "raw", "discriminator's score"),
        (["model=wgan"], "raw", "critic's score"),
        (["model=wgan_gp"], "raw", "critic's score"),
        (["model=fgan", "model.divergence=gan"], "probability", "discriminator: probability of real"),
        (["model=fgan", "model.divergence=jensen_shannon"], "probability", "discriminator: probability of real"),
        (["model=fgan", "model.divergence=kl"], "raw", "discriminator's score"),
        (["model=cgan"], "probability", "discriminator: probability of real, highest over conditions"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_only_a_logit_is_drawn_as_a_probability(settings, monkeypatch, words, kind, label):
    """A sigmoid of anything else would be no probability: a critic's scores have no zero, LSGAN's lie about 0 and 1."""
    drawn = {}
    monkeypatch.setattr("ganlab.callbacks.pictures.plane", lambda *points, **told: drawn.update(told))
    config = settings(*words, "data=ring", "model.generator.width=8", "model.discriminator.width=8")
    model = build_model(config)
    data = build_data(config, model)
    PlanePainter(model, data, 20, torch.Generator().manual_seed(0)).paint(model)
    assert (drawn["field_kind"], drawn["field_label"]) == (kind, label)
    corner = plane_lattice(plane_limits(data.examples(20).samples), 96)[:1]
    asked = [torch.tensor([label]) for label in range(8)] if model.condition_size else [None]
    score = torch.stack([model.score(corner, condition) for condition in asked]).max()
    expected = score.sigmoid() if kind == "probability" else score
    torch.testing.assert_close(drawn["field"][0, 0], expected)
