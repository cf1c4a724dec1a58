"""The networks of a Laplacian pyramid: what each is given, what it may make, and how levels are put together."""

import pytest
import torch
from torch import nn

from ganlab.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from ganlab.networks.lapgan import PyramidDiscriminator, PyramidGenerator, ResidualDiscriminator, ResidualGenerator
from ganlab.networks.mlp import MLPDiscriminator, MLPGenerator
from ganlab.networks.pyramid import bands_of, expand, reduce

SIZES = [16, 32, 64]


def generator(size=16, levels=2, channels=1, condition_size=0, latent_dim=7, **options):
    options = {"width": 4, "coarsest_width": 4, **options}
    return PyramidGenerator(latent_dim, condition_size, levels, sample_shape=[channels, size, size], **options)


def discriminator(size=16, levels=2, channels=1, condition_size=0, **options):
    options = {"width": 4, "coarsest_width": 4, **options}
    return PyramidDiscriminator(condition_size, levels, sample_shape=[channels, size, size], **options)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", SIZES)
@torch.no_grad()
def test_every_number_of_levels_makes_and_scores_images(size, channels):
    most = size.bit_length()
    for levels in range(1, most + 1):
        makes, judges = generator(size, levels, channels, latent_dim=9), discriminator(size, levels, channels)
        stages = makes.stages(torch.randn(3, 9))
        sizes = [size >> level for level in reversed(range(levels))]
        assert [tuple(images.shape) for images in stages] == [(3, channels, side, side) for side in sizes]
        assert all(images.min() >= -1 and images.max() <= 1 for images in stages)
        scores = judges(stages[-1])
        assert scores.shape == (3,) and scores.isfinite().all()
    with pytest.raises(ValueError, match="no pyramid"):
        generator(size, most + 1)


@pytest.mark.parametrize(
    ("size", "levels", "coarsest", "kinds"),
    [
        (16, 1, "auto", (DCGANGenerator, DCGANDiscriminator)),
        (32, 2, "auto", (DCGANGenerator, DCGANDiscriminator)),
        (16, 2, "auto", (DCGANGenerator, MLPDiscriminator)),
        (16, 3, "auto", (MLPGenerator, MLPDiscriminator)),
        (64, 4, "auto", (DCGANGenerator, MLPDiscriminator)),
        (28, 2, "auto", (MLPGenerator, MLPDiscriminator)),
        (16, 2, "mlp", (MLPGenerator, MLPDiscriminator)),
    ],
)
def test_the_coarsest_networks_are_those_that_can_make_the_size(size, levels, coarsest, kinds):
    makes, judges = generator(size, levels, coarsest=coarsest), discriminator(size, levels, coarsest=coarsest)
    assert (type(makes.levels[-1]), type(judges.levels[-1])) == kinds
    assert {type(level) for level in makes.levels[:-1]} <= {ResidualGenerator}
    assert {type(level) for level in judges.levels[:-1]} <= {ResidualDiscriminator}


def test_widths_are_of_the_finer_levels_and_of_the_coarsest():
    makes, judges = generator(width=6, coarsest_width=5), discriminator(width=6, coarsest_width=5)
    assert makes.levels[0].layers[0].out_channels == judges.levels[0].layers[0].out_channels == 6
    assert makes.levels[1].project.out_features == 5 * 16 and judges.levels[1].layers[0].out_features == 5
    assert generator(coarsest_width=None).levels[1].project.out_features == 64 * 16
    hidden = [module for module in generator(depth=3).levels[0].layers if isinstance(module, nn.BatchNorm2d)]
    assert len(hidden) == 3


def test_latents_are_cut_coarsest_level_first():
    latents = torch.arange(8.0).expand(2, 8)
    finest, middle, coarsest = generator(levels=3, latent_dim=8).parts(latents)
    assert coarsest[0].tolist() == [0, 1, 2, 3]
    assert middle[0].tolist() == [4, 5] and finest[0].tolist() == [6, 7]


@torch.no_grad()
def test_each_level_builds_on_the_one_that_was_generated_before_it():
    """Equation 5, written out."""
    makes = generator(16, 3, 3, condition_size=2, latent_dim=9).eval()
    latents, conditions = torch.randn(4, 9), torch.eye(2)[[0, 1, 0, 1]]
    coarse = makes.levels[2](latents[:, :3], conditions)
    low = expand(coarse)
    middle = torch.clamp(low + makes.levels[1](latents[:, 3:6], low, conditions), -1, 1)
    low = expand(middle)
    fine = torch.clamp(low + makes.levels[0](latents[:, 6:], low, conditions), -1, 1)
    for made, expected in zip(makes.stages(latents, conditions), [coarse, middle, fine], strict=True):
        torch.testing.assert_close(made, expected, rtol=0, atol=0)
    assert torch.equal(makes(latents, conditions), fine)
    # A level's own latents change it and what is finer, and nothing coarser.
    other = latents.clone()
    other[:, 3:6] = torch.randn(4, 3)
    same = [torch.equal(a, b) for a, b in zip(makes.stages(other, conditions), [coarse, middle, fine], strict=True)]
    assert same == [True, False, False]


@torch.no_grad()
def test_images_are_held_to_their_range_and_residuals_are_not():
    makes = generator(16, 2).eval()
    makes.levels[0].layers[-1].bias.fill_(1.75)
    latents = torch.randn(3, 7)
    coarse, fine = makes.stages(latents)
    residuals = makes.levels[0](latents[:, 4:], expand(coarse))
    assert residuals.max() > 1
    assert fine.max() == 1


@torch.no_grad()
def test_a_score_is_the_sum_over_the_images_own_pyramid():
    judges = discriminator(16, 3, 3, condition_size=2)
    images, conditions = torch.rand(4, 3, 16, 16) * 2 - 1, torch.eye(2)[[0, 1, 1, 0]]
    middle = reduce(images)
    expected = judges.levels[0](images - expand(middle), expand(middle), conditions)
    expected = expected + judges.levels[1](middle - expand(reduce(middle)), expand(reduce(middle)), conditions)
    expected = expected + judges.levels[2](reduce(middle), conditions)
    assert expected.std() > 0
    torch.testing.assert_close(judges(images, conditions), expected)
    features = judges.features(images, conditions)
    assert features.shape == (4, judges.feature_count)
    torch.testing.assert_close(judges.head(features, conditions), expected)
    for level, (residuals, low_pass) in enumerate(bands_of(images, 3)):
        given = (residuals,) if low_pass is None else (residuals, low_pass)
        assert torch.equal(
            judges.judge(level, residuals, low_pass, conditions), judges.levels[level](*given, conditions)
        )


def test_the_discriminator_sees_the_image_and_beside_it_the_low_pass():
    judges, seen = ResidualDiscriminator(2, sample_shape=[3, 8, 8], width=4), []
    judges.layers[0].register_forward_hook(lambda module, args, output: seen.append(args[0]))
    residuals, low_pass = torch.randn(2, 3, 8, 8), torch.randn(2, 3, 8, 8)
    judges(residuals, low_pass, torch.eye(2))
    assert seen[0].shape == (2, 7, 8, 8)
    assert torch.equal(seen[0][:, :3], residuals + low_pass)
    assert torch.equal(seen[0][:, 3:6], low_pass)
    assert torch.equal(seen[0][:, 6].flatten(1), judges.condition.planes)


def test_the_generator_sees_the_low_pass_and_beside_it_noise_and_condition_as_planes():
    makes, seen = ResidualGenerator(5, 2, sample_shape=[3, 8, 8], width=4), []
    makes.layers[0].register_forward_hook(lambda module, args, output: seen.append(args[0]))
    latents, low_pass = torch.randn(2, 5), torch.randn(2, 3, 8, 8)
    assert makes(latents, low_pass, torch.eye(2)).shape == (2, 3, 8, 8)
    assert seen[0].shape == (2, 5, 8, 8)
    assert torch.equal(seen[0][:, :3], low_pass)
    expected = latents @ makes.noise.weight.T + makes.noise.bias
    torch.testing.assert_close(seen[0][:, 3].flatten(1), expected)
    assert torch.equal(seen[0][:, 4].flatten(1), makes.condition.planes)
    # The noise is as strong as an image, as a plane of the prior's own values would be.
    plane = ResidualGenerator(32, 0, sample_shape=[1, 32, 32]).noise(torch.rand(64, 32) * 2 - 1)
    assert 0.2 < plane.std() < 1


@pytest.mark.parametrize("size", [2, 4, 8, 14, 16, 28, 64])
@torch.no_grad()
def test_a_residual_discriminator_ends_at_four_pixels_or_fewer(size):
    judges = ResidualDiscriminator(0, sample_shape=[1, size, size], width=2)
    assert judges(torch.randn(3, 1, size, size), torch.randn(3, 1, size, size)).shape == (3,)
    ends = size // 2
    while ends > 4:
        ends //= 2
    maps = [module for module in judges.layers if isinstance(module, nn.Conv2d)][-1].out_channels
    assert judges.feature_count == maps * ends**2


@pytest.mark.parametrize("norm", ["none", "batch", "spectral"])
@torch.no_grad()
def test_a_norm_holds_at_every_level(norm):
    judges = discriminator(64, 3, norm=norm)
    batch = [sum(isinstance(module, nn.BatchNorm2d) for module in level.modules()) for level in judges.levels]
    spectral = [hasattr(level.layers[0], "parametrizations") for level in judges.levels]
    # None at the input, as in a DCGAN.
    assert batch == ([3, 2, 1] if norm == "batch" else [0, 0, 0])
    assert spectral == [norm == "spectral"] * 3
    images = torch.randn(4, 1, 64, 64)
    judges.train(norm != "spectral")  # whose power iterations go on in training
    alone = torch.allclose(judges(images)[:2], judges(images[:2]), rtol=1e-3)
    assert alone or norm == "batch"


@torch.no_grad()
def test_results_do_not_depend_on_the_memory_format():
    makes, judges = generator(32, 3, 3).double().eval(), discriminator(32, 3, 3).double()
    latents, images = torch.randn(4, 7).double(), torch.randn(4, 3, 32, 32).double()
    made, scores = makes(latents), judges(images)
    makes, judges = makes.to(memory_format=torch.channels_last), judges.to(memory_format=torch.channels_last)
    torch.testing.assert_close(makes(latents), made)
    torch.testing.assert_close(judges(images.contiguous(memory_format=torch.channels_last)), scores)
