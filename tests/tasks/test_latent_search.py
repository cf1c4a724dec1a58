"""The search on generators whose best latents are known in closed form."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import lsq_linear
from torch import nn

from ganlab.errors import ConfigError, TrainingError
from ganlab.tasks.latent_search import Search, search, starts_of

RANDOM = torch.Generator().manual_seed(0)
SHAPE = (1, 3, 4)
SETTINGS = Search(400, 0.1, "squared", 1, 0.0, 0.0, 64)
HIDDEN = torch.zeros(5, *SHAPE, dtype=torch.bool)
HIDDEN[:, :, 1:, 1:3] = True
GIVEN = torch.randn(5, *SHAPE, generator=RANDOM, dtype=torch.float64) / 2


class Linear(nn.Module):
    """Images A z + b, plus the condition at every pixel; what looks real is small along w."""

    device, iteration, judges = torch.device("cpu"), 3, True

    def __init__(self, parts=(("normal", 3),)):
        super().__init__()
        self.latent_parts = list(parts)
        size = sum(count for _, count in parts)
        self.a = torch.randn(12, size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        self.b = torch.linspace(-0.2, 0.2, 12, dtype=torch.float64)
        self.w = torch.linspace(1, 2, 12, dtype=torch.float64)

    def decode_with_graph(self, latents, condition=None):
        images = (latents @ self.a.T + self.b).unflatten(1, SHAPE)
        return images if condition is None else images + condition.view(-1, 1, 1, 1)

    def realism_losses(self, samples, condition=None):
        return samples.flatten(1) @ self.w

    def latents(self, count, generator):
        size = sum(count for _, count in self.latent_parts)
        return torch.randn(count, size, generator=generator, dtype=torch.float64)


def found_by(model, settings=SETTINGS, given=GIVEN, hidden=HIDDEN, restarts=1, conditions=None):
    return search(model, given, hidden, starts_of(model, len(given), restarts, 1, 0), conditions, settings)


def seen(model, image, hidden):
    """A, b and the visible pixels, of which the loss is a mean."""
    visible = ~hidden.flatten().numpy()
    return model.a.numpy()[visible], model.b.numpy()[visible], image.flatten().numpy()[visible]


@pytest.mark.parametrize(("latent_weight", "prior_weight"), [(0.0, 0.0), (0.3, 0.0), (0.3, 0.05)])
def test_a_linear_generator_has_the_ridge_solution(latent_weight, prior_weight):
    model = Linear()
    found = found_by(model, replace(SETTINGS, latent_weight=latent_weight, prior_weight=prior_weight))
    for row in range(5):
        a, b, y = seen(model, GIVEN[row], HIDDEN[row])
        left = 2 / len(y) * a.T @ a + latent_weight * np.eye(3)
        right = 2 / len(y) * a.T @ (y - b) - prior_weight * model.a.numpy().T @ model.w.numpy()
        expected = np.linalg.solve(left, right)
        np.testing.assert_allclose(found.latents[row].numpy(), expected, atol=1e-5)
        loss = np.mean((a @ expected + b - y) ** 2) + latent_weight * expected @ expected / 2
        loss += prior_weight * model.w.numpy() @ (model.a.numpy() @ expected + model.b.numpy())
        assert found.losses[row].item() == pytest.approx(loss, abs=1e-8)
    made = model.decode_with_graph(found.latents)
    assert torch.equal(found.samples, made.float())


def test_absolute_differences_near_the_hole_find_an_image_that_can_be_made():
    model = Linear()
    latents = model.latents(5, RANDOM)
    given = model.decode_with_graph(latents)
    found = found_by(model, replace(SETTINGS, context="absolute", window=3), given)
    torch.testing.assert_close(found.latents, latents, atol=1e-3, rtol=0)


def test_uniform_latents_stay_in_their_range():
    model = Linear((("uniform", 3),))
    found = found_by(model, given=3 * GIVEN)
    assert found.latents.abs().max() == 1
    for row in range(5):
        a, b, y = seen(model, 3 * GIVEN[row], HIDDEN[row])
        np.testing.assert_allclose(found.latents[row].numpy(), lsq_linear(a, y - b, (-1, 1)).x, atol=1e-5)


def test_one_hot_codes_stay_as_they_are_and_all_are_tried():
    model = Linear((("normal", 2), ("one_hot", 4), ("one_hot", 2)))
    starts = starts_of(model, 3, 8, 2, 0)
    assert starts.shape == (2, 3, 8, 8)
    assert torch.equal(starts[1, 1, :, 2:6], torch.eye(4).double().repeat(2, 1))
    truth = starts[0, :, 2].clone()
    truth[:, :2] = torch.tensor([0.3, -0.4])
    found = search(model, model.decode_with_graph(truth), HIDDEN[:3], starts, None, SETTINGS)
    torch.testing.assert_close(found.latents, truth, atol=1e-4, rtol=0)
    assert torch.equal(found.latents[:, 2:], truth[:, 2:])


def test_fewer_starts_than_a_code_has_values_are_refused():
    model = Linear((("normal", 2), ("one_hot", 4)))
    with pytest.raises(
        ConfigError, match=r"^restarts=3: the starts are to take 4 values of a code in turn; set restarts=4 "
    ):
        starts_of(model, 3, 3, 2, 0)
    assert starts_of(model, 3, 4, 2, 0)[0, 0, :, 2:].argmax(1).tolist() == [0, 1, 2, 3]


class Wells(Linear):
    """A latent z makes the gray value sin(3 z) + z / 5 everywhere: many minima."""

    judges = False

    def decode_with_graph(self, latents, condition=None):
        return ((3 * latents).sin() + latents / 5).view(-1, 1, 1, 1).expand(-1, *SHAPE)


def test_the_start_with_the_least_loss_is_kept():
    model, settings = Wells((("normal", 1),)), replace(SETTINGS, steps=100, latent_weight=0.05)
    starts = starts_of(model, 5, 6, 1, 0)
    together = search(model, GIVEN, HIDDEN, starts, None, settings)
    alone = [search(model, GIVEN, HIDDEN, starts[:, :, [start]], None, settings) for start in range(6)]
    losses = torch.stack([one.losses for one in alone])
    assert losses.std(0).min() > 1e-3, "the starts come to different minima"
    torch.testing.assert_close(together.losses, losses.min(0).values)
    assert torch.equal(together.starts, losses.argmin(0))
    in_small_batches = search(model, GIVEN, HIDDEN, starts, None, replace(settings, batch=7))
    torch.testing.assert_close(in_small_batches.latents, together.latents)


def test_each_start_begins_at_its_best_draw():
    model, settings = Wells((("normal", 1),)), replace(SETTINGS, steps=1, step_size=1e-9)
    starts = starts_of(model, 5, 3, 20, 0)
    made = (3 * starts).sin() + starts / 5
    visible = [float(GIVEN[row][~HIDDEN[row]].mean()) for row in range(5)]
    found = [search(model, GIVEN, HIDDEN, starts[:, :, [start]], None, settings) for start in range(3)]
    for row in range(5):
        for start in range(3):
            # Of a constant image the squared error depends on its distance to the mean alone.
            nearest = (made[:, row, start, 0] - visible[row]).abs().argmin()
            assert found[start].latents[row].item() == pytest.approx(starts[nearest, row, start].item(), abs=1e-8)


def test_each_start_has_its_condition():
    model = Linear()
    model.latents = lambda count, generator: torch.zeros(count, 3, dtype=torch.float64)
    conditions = torch.tensor([[-2.0, 0.5, 1.0]] * 5, dtype=torch.float64)
    given = torch.full_like(GIVEN, 0.5) + model.b.unflatten(0, SHAPE)
    found = found_by(model, replace(SETTINGS, latent_weight=50.0), given, restarts=3, conditions=conditions)
    assert found.starts.tolist() == [1] * 5 and found.conditions.tolist() == [0.5] * 5


def test_the_hidden_part_is_not_looked_at():
    model, settings = Linear(), replace(SETTINGS, steps=20, window=3, context="absolute", prior_weight=0.01)
    other = torch.where(HIDDEN, torch.full_like(GIVEN, float("nan")), GIVEN)
    first, second = (found_by(model, settings, given, restarts=3) for given in (GIVEN, other))
    assert torch.equal(first.latents, second.latents) and torch.equal(first.samples, second.samples)


class Broken(Linear):
    def decode_with_graph(self, latents, condition=None):
        return super().decode_with_graph(latents) * float("nan")


def test_what_makes_no_numbers_is_told():
    with pytest.raises(TrainingError, match="no search came to finite numbers: iteration 3"):
        found_by(Broken(), replace(SETTINGS, steps=2))


def test_one_start_that_fails_is_left_behind():
    class Fragile(Linear):
        def decode_with_graph(self, latents, condition=None):
            return super().decode_with_graph(latents) + (condition / condition - 1).view(-1, 1, 1, 1)

    conditions = torch.tensor([[0.0, 1.0]] * 5, dtype=torch.float64)
    found = found_by(Fragile(), replace(SETTINGS, steps=5), restarts=2, conditions=conditions)
    assert found.starts.tolist() == [1] * 5
