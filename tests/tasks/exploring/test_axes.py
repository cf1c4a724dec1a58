"""Directions by which a latent is moved, against linear algebra on maps whose answer is known."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from ganlab.tasks.exploring.axes import Axes, Cloud, own_axes, principal_axes


def linear(matrix):
    return lambda latents, numbers: latents @ torch.tensor(matrix, dtype=latents.dtype).T


def same_up_to_sign(found, wanted):
    return np.allclose(np.abs(np.sum(found * wanted, axis=1)), 1, atol=1e-5)


def test_of_a_linear_map_they_are_its_right_singular_vectors():
    matrix = np.random.default_rng(0).normal(size=(12, 5))
    _, values, rows = np.linalg.svd(matrix)
    axes = principal_axes(Cloud.of_prior("normal", 5, 5), linear(matrix), torch.randn(6, 5), 3)
    assert axes.steps.shape == (3, 5) and same_up_to_sign(axes.steps.numpy(), rows[:3])
    shares = values**2 / np.sum(values**2)
    assert axes.names == [f"direction {index + 1} ({100 * shares[index]:.0f} %)" for index in range(3)]


def test_of_a_linear_decoder_and_its_codes_they_are_the_principal_components_of_what_it_makes():
    random = np.random.default_rng(1)
    codes = random.normal(size=(400, 4)) @ random.normal(size=(4, 4))
    decoder = random.normal(size=(9, 4))
    axes = principal_axes(Cloud.of_codes(torch.tensor(codes)), linear(decoder), torch.tensor(codes[:5]).float(), 4)
    fitted = PCA(4).fit(codes @ decoder.T)
    ways = axes.steps.numpy() @ decoder.T  # what a unit does to a sample
    lengths = np.linalg.norm(ways, axis=1)
    assert same_up_to_sign(ways / lengths[:, None], fitted.components_)
    # A unit is a standard deviation (of all samples, not of n - 1).
    assert np.allclose(lengths, fitted.singular_values_ / np.sqrt(400))


def test_of_a_bent_map_they_are_the_mean_over_latents():
    def bent(latents, numbers):
        return torch.stack([latents[:, 0] ** 2, 3 * latents[:, 1]], dim=1)

    latents = torch.tensor([[0.5, 0.0], [3.0, 1.0]])
    axes = principal_axes(Cloud.of_prior("normal", 2, 2), bent, latents, 2)
    along_first = (2 * latents[:, 0]).square().mean().item()  # of a parabola central differences are exact
    assert torch.allclose(axes.steps.abs(), torch.eye(2).double())
    assert along_first > 9 and axes.names[0].startswith(f"direction 1 ({100 * along_first / (along_first + 9):.0f} %)")


def test_each_latent_is_decoded_as_the_one_that_it_is():
    """Conditions go by the number of the latent."""
    seen = []

    def decode(latents, numbers):
        seen.append((latents, numbers))
        return latents

    principal_axes(Cloud.of_prior("normal", 3, 3), decode, torch.arange(6.0).view(2, 3), 1)
    for number, (latents, numbers) in enumerate(seen):
        assert (numbers == number).all() and len(numbers) == len(latents) == 6
        assert torch.allclose(latents.mean(0), torch.arange(6.0).view(2, 3)[number])


def test_codes_among_the_latents_are_left_alone():
    cloud = Cloud.of_prior("normal", 5, 3)
    matrix = np.diag([1.0, 2.0, 3.0, 50.0, 60.0])
    for axes in (own_axes(cloud, 8), principal_axes(cloud, linear(matrix), torch.randn(4, 5), 8)):
        assert len(axes.names) == 3 and not axes.steps[:, 3:].any()


def test_dimensions_that_never_vary_are_no_axes():
    codes = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    codes[:, 1] = 0.7
    cloud = Cloud.of_codes(codes)
    assert own_axes(cloud, 8).names == ["latent 1", "latent 3", "latent 4"]
    axes = principal_axes(cloud, linear(np.eye(4)), codes[:3], 8)
    assert len(axes.names) == 3 and torch.allclose(axes.steps[:, 1], torch.zeros(3).double(), atol=1e-9)


def test_a_constant_map_has_no_directions_and_one_code_has_one():
    cloud = Cloud.of_prior("normal", 3, 3)
    assert principal_axes(cloud, lambda latents, _: torch.ones(len(latents), 2), torch.randn(4, 3), 8).names == []
    single = Cloud.of_codes(torch.tensor([[1.0], [3.0]]))
    assert torch.allclose(own_axes(single, 8).steps, torch.tensor([[1.0]]).double())


@pytest.fixture
def some_axes():
    """Two directions of a cloud of codes that is no ball."""
    random = torch.Generator().manual_seed(3)
    codes = torch.randn(200, 4, generator=random) @ torch.randn(4, 4, generator=random) + 5
    matrix = torch.randn(7, 4, generator=random).numpy()
    return principal_axes(Cloud.of_codes(codes), linear(matrix), codes[:4], 2), codes


def test_a_moved_latent_has_the_coordinates_that_were_asked_for(some_axes):
    axes, codes = some_axes
    assert torch.allclose(axes.readers @ axes.steps.T, torch.eye(2).double(), atol=1e-6)
    moved = axes.moved(codes[7].double(), [1.25, -2.0])
    assert axes.coordinates(moved) == [1.25, -2.0]
    rest = (moved - codes[7]) - (axes.readers @ (moved - codes[7])) @ axes.steps
    assert rest.abs().max() < 1e-6, "it is moved along the axes alone"


def test_what_is_not_touched_stays_to_the_last_bit(some_axes):
    axes, codes = some_axes
    shown = axes.coordinates(codes[7])
    assert torch.equal(axes.moved(codes[7], shown), codes[7])
    one = axes.moved(codes[7].double(), [shown[0], shown[1] + 1])
    exact = (axes.readers @ (codes[7].double() - axes.cloud.centre))[1].item()
    assert torch.allclose(one - codes[7], (shown[1] + 1 - exact) * axes.steps[1])


def test_a_uniform_prior_is_not_left():
    cloud = Cloud.of_prior("uniform", 3, 3)
    assert cloud.reach == 1
    axes = Axes(cloud, ["diagonal"], torch.full((1, 3), 3**-0.5).double(), torch.full((1, 3), 3**-0.5).double())
    latent = torch.tensor([0.9, 0.0, -0.9])
    moved = axes.moved(latent, [1.0])
    assert torch.allclose(moved, torch.tensor([1.0, 3**-0.5, 3**-0.5 - 0.9]), atol=0.01)


def test_coordinates_are_shown_within_the_reach_to_hundredths():
    axes = own_axes(Cloud.of_prior("normal", 2, 2), 2)
    assert axes.coordinates(torch.tensor([7.0, -0.004])) == [3.0, 0.0]
    assert torch.equal(axes.moved(torch.tensor([7.0, 0.0]), [3.0, 1.0]), torch.tensor([7.0, 1.0]))
