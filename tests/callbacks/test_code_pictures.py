from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ganlab.callbacks import code_pictures
from ganlab.callbacks.code_pictures import LevelPainter, TraversalPainter
from ganlab.pictures import image_grid, level_columns, plane_limits, shown_classes, to_bytes
from ganlab.pictures.grid import MARGIN

CELL = 66
"""An image of 64 pixels and the line beside it."""


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Coded(nn.Module):
    """A categorical code of `classes` values and two continuous ones, before three numbers of noise."""

    iteration = 1500

    def __init__(self, shape=(1, 8, 8), classes=4, condition_size=0):
        super().__init__()
        self.sample_shape, self.classes, self.condition_size = list(shape), classes, condition_size
        self.latent_dim = classes + 2 + 3
        self.mixing = nn.Parameter(torch.randn(self.latent_dim, int(np.prod(shape)), generator=seeded(9)))
        self.offsets = nn.Parameter(torch.randn(max(1, condition_size), int(np.prod(shape)), generator=seeded(8)))

    def latents(self, count, generator):
        return torch.randn(count, self.latent_dim, generator=generator)

    def decode(self, latents, condition=None):
        flat = latents[:, :, None].mul(self.mixing).sum(1)
        return (
            ((flat if condition is None else flat + self.offsets[condition]) / 3).tanh().unflatten(1, self.sample_shape)
        )

    def traversals(self, steps, generator) -> list[tuple[str, Tensor]]:
        base = self.latents(1, generator)
        classes = base.repeat(self.classes, 1)
        classes[:, : self.classes] = torch.eye(self.classes)
        walks = [("categorical_1", classes)]
        for code in range(2):
            walk = base.repeat(steps, 1)
            walk[:, self.classes + code] = torch.linspace(-1, 1, steps)
            walks.append((f"continuous_{code + 1}", walk))
        return walks


class Pyramid(nn.Module):
    """Images at 2×2, 4×4 and 8×8 pixels, each level the one before with details of its own."""

    iteration = 1500
    sample_shape = (1, 8, 8)

    def __init__(self, condition_size=0):
        super().__init__()
        self.condition_size = condition_size
        self.mixing = nn.Parameter(torch.randn(4, 4 + 16 + 64, generator=seeded(9)))
        self.offsets = nn.Parameter(torch.randn(max(1, condition_size), 4 + 16 + 64, generator=seeded(8)))
        self.asked: list[tuple[Tensor, Tensor | None]] = []

    def latents(self, count, generator):
        return torch.randn(count, 4, generator=generator)

    def stages(self, latents, condition=None):
        self.asked.append((latents.clone(), condition))
        details = latents[:, :, None].mul(self.mixing).sum(1)
        details = (details if condition is None else details + self.offsets[condition]) / 3
        image, images = 0, []
        for size, part in zip((2, 4, 8), details.split([4, 16, 64], dim=1), strict=True):
            image = image + part.unflatten(1, (1, size, size))
            images.append(image.tanh())
            image = image.repeat_interleave(2, -1).repeat_interleave(2, -2)
        return images

    def decode(self, latents, condition=None):
        return self.stages(latents, condition)[-1]


def draws(model, steps, noises, seed=0):
    generator = seeded(seed)
    return [model.traversals(steps, generator) for _ in range(noises)]


def cell(picture: np.ndarray, top: int, left: int, row: int, column: int) -> np.ndarray:
    return picture[top + row * CELL :, left + column * CELL :, 0][:64, :64]


def enlarged(image: Tensor) -> np.ndarray:
    pixels = to_bytes(image[None])[0, 0].numpy()
    return pixels.repeat(64 // len(pixels), 0).repeat(64 // len(pixels), 1)


def test_each_cell_is_the_image_of_its_own_latents():
    model = Coded()
    picture = np.asarray(TraversalPainter(model, seeded(7)).paint(model))
    titled = (picture.shape[0] - 3 * (3 * CELL - 2 + 2 * MARGIN)) / 3
    assert titled > 20, "room for names, values and the legend"
    # The first image of each block is searched for by its rows alone: captions may take what room they like.
    drawn = draws(model, code_pictures.STEPS, 3, seed=7)
    below = 0
    for code in range(3):
        images = [model.decode(draw[code][1]) for draw in drawn]
        first = enlarged(images[0][0])
        top = next(
            row for row in range(below, len(picture)) if np.array_equal(picture[row:, MARGIN:, 0][:64, :64], first)
        )
        assert top - below > 20, "a name and its values above"
        for row, line in enumerate(images):
            for column, image in enumerate(line):
                assert np.array_equal(cell(picture, top, MARGIN, row, column), enlarged(image)), (code, row, column)
        below = top + 3 * CELL - 2
    assert picture.shape[0] - below > MARGIN + 10, "the legend"
    assert picture.shape[1] == 9 * CELL - 2 + 2 * MARGIN


def test_the_noise_is_the_same_at_every_painting_and_another_in_each_row():
    model = Coded()
    painter = TraversalPainter(model, seeded())
    (_, _, rows), *_ = painter.codes
    assert rows.shape == (3, 4, model.latent_dim)
    noise = rows[:, :, model.classes :]
    assert torch.equal(noise, noise[:, :1].expand_as(noise)) and len(noise[:, 0].unique(dim=0)) == 3
    assert np.array_equal(np.asarray(painter.paint(model)), np.asarray(painter.paint(model)))


def test_of_many_classes_twelve_are_shown_by_their_own_numbers():
    model = Coded(classes=30)
    (_, values, rows), *_ = TraversalPainter(model, seeded()).codes
    assert values.numbers == shown_classes(30) and rows.shape[1] == 12
    assert rows[0, :, :30].argmax(1).tolist() == shown_classes(30)


@pytest.mark.parametrize(("codes", "noises"), [(1, 3), (4, 3), (5, 2), (7, 1), (40, 1)])
def test_many_codes_leave_room_for_fewer_noises(codes, noises):
    model = Coded()
    walk = torch.randn(5, model.latent_dim)
    model.traversals = lambda steps, generator: [(str(code), walk) for code in range(codes)]
    assert {len(rows) for _, _, rows in TraversalPainter(model, seeded()).codes} == {noises}


class Deep(Coded):
    """Numbers from -3 to 3 alone, of which some do nothing."""

    def __init__(self, codes, idle=(), condition_size=0):
        super().__init__(classes=codes - 5, condition_size=condition_size)
        with torch.no_grad():
            self.mixing[list(idle)] = 0.0

    def traversals(self, steps, generator):
        base, walks = self.latents(1, generator), []
        for code in range(self.latent_dim):
            walk = base.repeat(steps, 1)
            walk[:, code] = torch.linspace(-3, 3, steps)
            walks.append((f"latent_{code + 1}", walk))
        return walks


def test_many_numbers_have_a_row_each_of_one_draw():
    model = Deep(8)
    picture = np.asarray(TraversalPainter(model, seeded(7)).paint(model))
    (drawn,) = draws(model, code_pictures.STEPS, 1, seed=7)
    images = torch.cat([model.decode(latents) for _, latents in drawn])
    names = [f"latent {code + 1}" for code in range(8)]
    captions = ["-3", "-2.25", "-1.5", "-0.75", "0", "0.75", "1.5", "2.25", "3"]
    expected = image_grid(images, 9, captions, names, legend=[code_pictures.ROW_A_CODE])
    assert np.array_equal(picture, np.asarray(expected))


def test_of_more_than_twelve_those_are_shown_that_do_most(monkeypatch):
    idle = [0, 3, 7, 8, 11, 15, 16, 19]
    model, seen = Deep(20, idle), []
    monkeypatch.setattr(code_pictures, "traversal_block", lambda *given: seen.append(given))
    painter = TraversalPainter(model, seeded())
    painter.paint(model)
    ((traversals, legend),) = seen
    assert [traversal.name for traversal in traversals] == [f"latent_{i + 1}" for i in range(20) if i not in idle]
    assert legend == [code_pictures.ROW_A_CODE, "Shown are the 12 of 20 that change the image most."]
    with torch.no_grad():
        model.mixing[1], model.mixing[7] = 0.0, 1.0
    painter.paint(model)
    assert [traversal.name for traversal in seen[1][0]][:3] == ["latent_3", "latent_5", "latent_6"], "as they are now"
    assert "latent_8" in [traversal.name for traversal in seen[1][0]]


def test_rows_of_one_condition_say_so(monkeypatch):
    model, seen = Deep(9, condition_size=2), []
    monkeypatch.setattr(code_pictures, "traversal_block", lambda *given: seen.append(given))
    TraversalPainter(model, seeded(), torch.tensor([1, 0]), ["honey_bee", "ant"]).paint(model)
    ((traversals, legend),) = seen
    assert legend == ["all: honey bee", code_pictures.ROW_A_CODE]
    (drawn,) = draws(model, code_pictures.STEPS, 1)
    expected = model.decode(drawn[4][1], torch.ones(9, dtype=torch.int64))
    torch.testing.assert_close(traversals[4].samples[0], expected)


def test_noises_take_the_conditions_in_turn(monkeypatch):
    model, seen = Coded(condition_size=2), []
    monkeypatch.setattr(code_pictures, "traversal_rows", lambda *given: seen.append(given))
    TraversalPainter(model, seeded(), torch.tensor([1, 0]), ["bee", "ant"], ["a legend"]).paint(model)
    ((traversals, captions, legend),) = seen
    assert captions == ["bee", "ant", "bee"] and legend[0] == "a legend" and len(legend) == 2
    for row, condition in enumerate([1, 0, 1]):
        latents = draws(model, code_pictures.STEPS, 3)[row][1][1]
        expected = model.decode(latents, torch.full((len(latents),), condition))
        torch.testing.assert_close(traversals[1].samples[row], expected)


def test_points_are_panels_in_the_limits_of_the_real_ones(monkeypatch):
    model, seen = Coded((2,)), {}
    real = torch.randn(50, 2, generator=seeded(3))

    def panels(traversals, real, *, limits, title):
        seen.update(traversals=traversals, real=real, limits=limits, title=title)

    painter = TraversalPainter(model, seeded(), real=real)
    assert painter.paint(model).size == (1200, 395)
    monkeypatch.setattr(code_pictures, "traversal_panels", panels)
    painter.paint(model)
    assert seen["limits"] == plane_limits(real) and seen["title"] == "iteration 1,500"
    assert [traversal.name for traversal in seen["traversals"]] == ["categorical_1", "continuous_1", "continuous_2"]
    for code, traversal in enumerate(seen["traversals"]):
        latents = torch.stack([draw[code][1] for draw in draws(model, code_pictures.STEPS, code_pictures.POINT_NOISES)])
        torch.testing.assert_close(traversal.samples, model.decode(latents.flatten(0, 1)).view(*latents.shape[:2], 2))


def test_points_of_many_codes_are_twelve_panels():
    model = Deep(30)
    model.sample_shape, model.mixing = [2], nn.Parameter(model.mixing[:, :2].detach())
    assert TraversalPainter(model, seeded(), real=torch.randn(9, 2)).paint(model).size == (1200, 4 * 360 + 35)


def test_points_of_more_dimensions_are_drawn_by_their_first_two():
    model = Coded((5,))
    assert TraversalPainter(model, seeded(), real=torch.randn(9, 5)).paint(model).size == (1200, 395)


def test_levels_of_an_unconditional_model():
    model = Pyramid()
    picture = np.asarray(LevelPainter(model, seeded(7)).paint(model))
    latents = torch.randn(30, 4, generator=seeded(7))
    stages = [stage.unflatten(0, (3, 10)) for stage in model.stages(latents)]
    assert np.array_equal(picture, np.asarray(level_columns(stages)))
    finest = np.asarray(image_grid(model.decode(latents[-10:]), 10))[MARGIN:-MARGIN, MARGIN:-MARGIN]
    assert np.array_equal(picture[-MARGIN - 64 : -MARGIN, -MARGIN - finest.shape[1] : -MARGIN], finest)


def test_one_column_a_condition_with_the_same_noise_all_along():
    model = Pyramid(condition_size=3)
    painter = LevelPainter(model, seeded(), torch.tensor([2, 0, 1]), ["cat", "ant", "bee"])
    picture = painter.paint(model)
    (latents, classes), = model.asked  # fmt: skip
    assert classes.tolist() == [2, 0, 1] * 3 and len(latents.unique(dim=0)) == 3
    assert torch.equal(latents.view(3, 3, 4), latents.view(3, 3, 4)[:, :1].expand(3, 3, 4))
    stages = [stage.unflatten(0, (3, 3)) for stage in model.stages(latents, classes)]
    assert np.array_equal(np.asarray(picture), np.asarray(level_columns(stages, ["cat", "ant", "bee"])))


def test_a_single_condition_is_every_columns_and_the_noise_differs():
    model = Pyramid(condition_size=3)
    LevelPainter(model, seeded(), torch.tensor([2]), ["cat"], ["all: cat"]).paint(model)
    (latents, classes), = model.asked  # fmt: skip
    assert classes.tolist() == [2] * 30 and len(latents.unique(dim=0)) == 30


def test_the_global_random_state_is_not_drawn_from():
    state = torch.get_rng_state()
    for painter, model in ((TraversalPainter, Coded()), (TraversalPainter, Coded((2,))), (LevelPainter, Pyramid())):
        painter(model, seeded()).paint(model)
    assert torch.equal(state, torch.get_rng_state())


def test_it_needs_no_more_of_a_model_than_it_says():
    coded = Coded()
    bare = SimpleNamespace(sample_shape=[1, 8, 8], traversals=coded.traversals, decode=coded.decode)
    assert TraversalPainter(bare, seeded()).paint(bare).size[0] == 9 * CELL - 2 + 2 * MARGIN
