import errno
import os

import numpy as np
import pytest
import torch
from PIL import Image

from ganlab.callbacks.code_pictures import LevelPainter, TraversalPainter
from ganlab.errors import ConfigError, OutputError
from ganlab.pictures import image_grid, to_bytes
from ganlab.tasks.sampling import (
    condition_cycle,
    fresh_folder,
    write_generated,
    write_interpolation,
    write_samples,
    write_structure,
)


class Double:
    """Decodes a latent into an image (or point) that tells latent and condition apart."""

    iteration = 1500

    def __init__(self, shape=(1, 8, 8), condition_size=0):
        self.sample_shape, self.condition_size, self.latent_dim = list(shape), condition_size, 6
        size = int(np.prod(shape))
        self.weights = torch.randn(6, size, generator=torch.Generator().manual_seed(9))
        self.offsets = torch.randn(condition_size, size, generator=torch.Generator().manual_seed(10))
        self.chunks: list[int] = []

    def latents(self, count, generator):
        return torch.randn(count, self.latent_dim, generator=generator)

    def decode(self, latents, condition=None):
        self.chunks.append(len(latents))
        out = (latents[:, :, None] * self.weights).sum(1)
        if condition is not None:
            out = out + (self.offsets[condition] if condition.ndim == 1 else condition @ self.offsets)
        return (out / 3).tanh().unflatten(1, self.sample_shape)


class Structured(Double):
    """With two codes among its latents, and its images at half the size first."""

    def traversals(self, steps, generator):
        walks = [self.latents(1, generator).repeat(steps, 1) for _ in range(2)]
        for code, walk in enumerate(walks):
            walk[:, code] = torch.linspace(-1, 1, steps)
        return [("c1", walks[0]), ("c2", walks[1])]

    def stages(self, latents, condition=None):
        images = self.decode(latents, condition)
        return [torch.nn.functional.avg_pool2d(images, 2), images]


def load(folder):
    with np.load(folder / "samples.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def mistake(error, function, *arguments, **options) -> str:
    with pytest.raises(error) as caught:
        function(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("channels", [1, 3])
def test_npz_pngs_and_grid_show_the_same_samples(tmp_path, channels):
    model = Double((channels, 8, 8))
    write_samples(model, tmp_path, 10, seed=3)
    assert sorted(os.listdir(tmp_path)) == ["grid.png", "images", "samples.npz"]
    assert sorted(os.listdir(tmp_path / "images")) == [f"{index:06d}.png" for index in range(10)]
    arrays = load(tmp_path)
    assert sorted(arrays) == ["iteration", "latents", "samples", "seed"]
    assert arrays["samples"].dtype == np.float32 and arrays["samples"].shape == (10, channels, 8, 8)
    assert arrays["seed"] == 3 and arrays["iteration"] == 1500
    latents = torch.randn(10, 6, generator=torch.Generator().manual_seed(3))
    assert np.array_equal(arrays["latents"], latents)
    assert np.array_equal(arrays["samples"], model.decode(latents))
    for index, image in enumerate(to_bytes(torch.from_numpy(arrays["samples"])).numpy()):
        with Image.open(tmp_path / "images" / f"{index:06d}.png") as png:
            assert png.mode == ("L" if channels == 1 else "RGB")
            assert np.array_equal(np.asarray(png), image[0] if channels == 1 else np.moveaxis(image, 0, -1))
    with Image.open(tmp_path / "grid.png") as grid:
        assert np.array_equal(np.asarray(grid), np.asarray(image_grid(torch.from_numpy(arrays["samples"]), 4)))


def test_chunks_make_no_difference_and_the_random_state_is_left_alone(tmp_path):
    model, state = Double(condition_size=4), torch.get_rng_state()
    write_samples(model, tmp_path / "whole", 10, batch=100)
    write_samples(model, tmp_path / "parts", 10, batch=4)
    assert model.chunks == [10, 4, 4, 2]
    whole, parts = load(tmp_path / "whole"), load(tmp_path / "parts")
    assert all(np.array_equal(whole[name], parts[name]) for name in whole)
    assert (tmp_path / "whole/grid.png").read_bytes() == (tmp_path / "parts/grid.png").read_bytes()
    assert torch.equal(state, torch.get_rng_state())


def test_classes_cycle_so_that_each_has_a_column(tmp_path):
    model = Double(condition_size=4)
    write_samples(model, tmp_path, 10, names=["ant", "bee", "cat", "dog"])
    arrays = load(tmp_path)
    assert arrays["conditions"].tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
    expected = image_grid(torch.from_numpy(arrays["samples"]), 4, captions=["ant", "bee", "cat", "dog"])
    with Image.open(tmp_path / "grid.png") as grid:
        assert np.array_equal(np.asarray(grid), np.asarray(expected))


def test_of_many_classes_the_grid_shows_twelve(tmp_path):
    write_samples(Double(condition_size=30), tmp_path, 75)
    arrays = load(tmp_path)
    shown = [0, 3, 5, 8, 11, 13, 16, 18, 21, 24, 26, 29]
    rows = [row * 30 + column for row in range(3) for column in shown if row * 30 + column < 75]
    expected = image_grid(torch.from_numpy(arrays["samples"])[rows], 12, captions=[str(index) for index in shown])
    with Image.open(tmp_path / "grid.png") as grid:
        assert np.array_equal(np.asarray(grid), np.asarray(expected))


@pytest.mark.parametrize(("condition", "expected"), [(3, [3] * 5), ([2, 0], [2, 0, 2, 0, 2])])
def test_asked_classes(tmp_path, condition, expected):
    write_samples(Double(condition_size=4), tmp_path, 5, condition=condition)
    assert load(tmp_path)["conditions"].tolist() == expected


def test_a_vector_is_everyones_condition(tmp_path):
    model = Double(condition_size=3)
    write_samples(model, tmp_path, 2, condition=[0.5, 0.0, 1.0])
    arrays = load(tmp_path)
    assert arrays["conditions"].dtype == np.float32 and arrays["conditions"].tolist() == [[0.5, 0.0, 1.0]] * 2


def test_attributes_are_shown_one_by_one():
    model = Double(condition_size=3)
    assert torch.equal(condition_cycle(model, None, num_classes=0), torch.eye(3))
    assert torch.equal(condition_cycle(model, 1, num_classes=0), torch.eye(3)[1:2])
    assert condition_cycle(model, [1, 0, 1], num_classes=0).tolist() == [[1.0, 0.0, 1.0]]
    assert condition_cycle(model, [1, 0, 1], num_classes=3).tolist() == [1, 0, 1]
    assert condition_cycle(Double(), None) is None


def test_points_are_an_array_and_a_scatter(tmp_path):
    write_samples(Double((2,)), tmp_path / "plain", 50)
    write_samples(Double((2,), 8), tmp_path / "classes", 50)
    for folder in (tmp_path / "plain", tmp_path / "classes"):
        assert sorted(os.listdir(folder)) == ["points.png", "samples.npz"]
        assert load(folder)["samples"].shape == (50, 2)
        with Image.open(folder / "points.png") as picture:
            assert picture.size == (600, 560)
    write_samples(Double((5,)), tmp_path / "five", 50)
    assert os.listdir(tmp_path / "five") == ["samples.npz"]


def test_interpolation_starts_and_ends_where_it_should(tmp_path):
    model = Double()
    ends = torch.randn(2, 3, 6, generator=torch.Generator().manual_seed(1))
    write_interpolation(model, tmp_path, 5, ends=ends)
    with Image.open(tmp_path / "interpolation.png") as strip:
        pixels = np.asarray(strip)
        assert strip.size == image_grid(torch.zeros(15, 1, 8, 8), 5).size
    corners = pixels[10::66, 10::66, 0][:3, :5]
    for column, side in ((0, 0), (4, 1)):
        assert (
            np.abs(corners[:, column].astype(int) - to_bytes(model.decode(ends[side]))[:, 0, 0, 0].numpy()).max() <= 1
        )
    with Image.open(tmp_path / "interpolation.gif") as gif:
        assert gif.n_frames == 2 * (4 * 4 + 1) - 2 and gif.info["loop"] == 0 and gif.info["duration"] == 60


def test_interpolation_walks_once_for_each_class(tmp_path):
    model = Double(condition_size=4)
    write_interpolation(model, tmp_path / "a", 3, seed=2, names=list("abcd"))
    write_interpolation(model, tmp_path / "b", 3, seed=2, names=list("abcd"), batch=5)
    with Image.open(tmp_path / "a/interpolation.png") as strip:
        bare = image_grid(torch.zeros(12, 1, 8, 8), 3)
        assert strip.height == bare.height and strip.width > bare.width, "names beside the rows"
    for name in ("interpolation.png", "interpolation.gif"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    write_interpolation(model, tmp_path / "c", 3, condition=1)
    with Image.open(tmp_path / "c/interpolation.png") as strip:
        assert strip.size == image_grid(torch.zeros(18, 1, 8, 8), 3).size


def test_uniform_priors_walk_straight(tmp_path):
    class Recording(Double):
        def decode(self, latents, condition=None):
            self.seen = latents.clone()
            return super().decode(latents, condition)

    model, ends = Recording(), torch.rand(2, 2, 6, generator=torch.Generator().manual_seed(0))
    write_interpolation(model, tmp_path, 3, ends=ends, prior="uniform")
    walk = model.seen.unflatten(0, (2, -1))
    torch.testing.assert_close(walk[:, 4], ends.mean(0))
    assert walk.abs().max() <= 1


def test_a_models_structure_is_drawn_with_the_noise_of_the_seed(tmp_path):
    model = Structured()
    folder = write_generated(model, tmp_path, count=4, seed=3)
    assert sorted(os.listdir(folder)) == ["grid.png", "images", "levels.png", "samples.npz", "traversal.png"]
    for name, painter in (("traversal.png", TraversalPainter), ("levels.png", LevelPainter)):
        expected = painter(model, torch.Generator().manual_seed(3)).paint(model)
        with Image.open(folder / name) as picture:
            assert np.array_equal(np.asarray(picture), np.asarray(expected))
    assert "traversal.png is there already" in mistake(OutputError, write_structure, model, folder)


@pytest.mark.parametrize(
    ("condition", "shown", "legend"), [(None, [0, 1, 2], []), ([2, 0], [2, 0], []), (1, [1], ["all: bee fly"])]
)
def test_structure_takes_the_conditions_that_were_asked_for(tmp_path, condition, shown, legend):
    model, names = Structured(condition_size=3), ["ant", "bee_fly", "cat"]
    write_structure(model, tmp_path, condition=condition, names=names)
    given = torch.tensor(shown), [names[index] for index in shown], legend
    for name, painter in (("traversal.png", TraversalPainter), ("levels.png", LevelPainter)):
        expected = painter(model, torch.Generator().manual_seed(0), *given).paint(model)
        with Image.open(tmp_path / name) as picture:
            assert np.array_equal(np.asarray(picture), np.asarray(expected))


def test_codes_of_points_are_panels_and_points_have_no_levels(tmp_path):
    folder = write_generated(Structured((2,)), tmp_path, count=20)
    assert sorted(os.listdir(folder)) == ["points.png", "samples.npz", "traversal.png"]
    with Image.open(folder / "traversal.png") as picture:
        assert picture.size == (800, 395), "a panel for each code"


def test_everything_in_one_fresh_folder(tmp_path):
    first = write_generated(Double(), tmp_path / "generated", count=4, interpolate=3)
    second = write_generated(Double(), tmp_path / "generated", count=4)
    assert (first.name, second.name) == ("001", "002")
    assert sorted(os.listdir(first)) == ["grid.png", "images", "interpolation.gif", "interpolation.png", "samples.npz"]
    assert sorted(os.listdir(second)) == ["grid.png", "images", "samples.npz"]


def test_fresh_folders_go_on_after_the_highest(tmp_path):
    assert fresh_folder(tmp_path / "a" / "b").name == "001"
    for name in ("007", "notes", "grid_009"):
        (tmp_path / name).mkdir()
    assert fresh_folder(tmp_path).name == "008"
    assert fresh_folder(tmp_path, "grid").name == "grid_010"
    (tmp_path / "file").write_text("")
    assert "no folder can be made" in mistake(OutputError, fresh_folder, tmp_path / "file")


@pytest.mark.parametrize(
    ("size", "options", "said"),
    [
        (0, {"condition": 3}, "condition=3: this model is unconditional; leave condition out"),
        (4, {"condition": 4}, "condition=4: there is no class 4; they go from 0 to 3"),
        (4, {"condition": [0, -1]}, "condition=[0, -1]: there is no class -1; they go from 0 to 3"),
        (4, {"condition": 9, "num_classes": 0}, "condition=9: there is no attribute 9; they go from 0 to 3"),
        (4, {"condition": [0.5, 1.0]}, "condition=[0.5, 1.0]: a vector has 4 numbers for this model, not 2"),
        (4, {"condition": [1, 0], "num_classes": 0}, "condition=[1, 0]: a vector has 4 numbers for this model, not 2"),
        (4, {"condition": []}, "condition=[]: give a class from 0 to 3, a list of them, or 4 numbers"),
        (4, {"condition": "cat"}, "condition=cat: give a class from 0 to 3, a list of them, or 4 numbers"),
        (4, {"condition": True}, "condition=True: give a class from 0 to 3, a list of them, or 4 numbers"),
        (0, {"count": 0}, "count=0: ask for at least 1 sample"),
        (0, {"batch": 0}, "batch=0: at least 1 sample must be decoded at once"),
        (0, {"interpolate": 1}, "interpolate=1: a walk has at least 2 steps, its two ends"),
        (0, {"interpolate": -3}, "interpolate=-3: a walk has at least 2 steps, its two ends"),
    ],
)
def test_mistakes_are_one_line_and_leave_no_folder(tmp_path, size, options, said):
    parent = tmp_path / "generated"
    assert mistake(ConfigError, write_generated, Double(condition_size=size), parent, **options) == said
    assert not parent.exists()


def test_walks_between_points_are_refused(tmp_path):
    said = mistake(ConfigError, write_generated, Double((2,)), tmp_path / "generated", interpolate=8)
    assert "makes points" in said and not (tmp_path / "generated").exists()


def test_nothing_is_overwritten(tmp_path):
    write_samples(Double(), tmp_path, 2)
    write_interpolation(Double(), tmp_path, 2)
    before = (tmp_path / "samples.npz").read_bytes()
    assert "samples.npz is there already" in mistake(OutputError, write_samples, Double(), tmp_path, 3)
    assert "interpolation.png is there already" in mistake(OutputError, write_interpolation, Double(), tmp_path, 3)
    assert (tmp_path / "samples.npz").read_bytes() == before


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    def full(self, file, format):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    said = mistake(OutputError, write_samples, Double(), tmp_path / "out", 2)
    assert said == f"{tmp_path / 'out/images'}: cannot be written (No space left on device)"
    assert not (tmp_path / "out/samples.npz").exists(), "what is incomplete has no array file"
