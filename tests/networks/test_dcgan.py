"""The rules of Radford et al. 2015, section 3 and figure 1, read off the built networks."""

import pytest
import torch
from torch import nn

from ganlab.errors import ConfigError
from ganlab.networks.dcgan import DCGANDiscriminator, DCGANGenerator

SIZES = [16, 32, 64, 128]


def generator(size=16, channels=1, condition_size=0, width=4, latent_dim=5):
    return DCGANGenerator(latent_dim, condition_size, sample_shape=[channels, size, size], width=width)


def discriminator(size=16, channels=1, condition_size=0, width=4, **options):
    return DCGANDiscriminator(condition_size, sample_shape=[channels, size, size], width=width, **options)


def traced(network, *inputs):
    """(module, input, output) of each leaf module, in the order in which they run."""
    leaves, handles = [], []
    for module in network.modules():
        if not list(module.children()):
            handles.append(
                module.register_forward_hook(
                    lambda module, args, output: leaves.append((module, args[0].shape, output.shape))
                )
            )
    network(*inputs)
    for handle in handles:
        handle.remove()
    return leaves


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", SIZES)
@torch.no_grad()
def test_shapes_and_range(size, channels):
    images = generator(size, channels)(50 * torch.randn(2, 5))
    assert images.shape == (2, channels, size, size)
    assert -1 <= images.min() < images.max() <= 1
    assert discriminator(size, channels)(images).shape == (2,)


@pytest.mark.parametrize("size", SIZES)
@torch.no_grad()
def test_the_generators_rules(size):
    leaves = traced(generator(size, 3), torch.randn(2, 5))
    kinds = [type(module) for module, _, _ in leaves]
    ups = [(module, before, after) for module, before, after in leaves if isinstance(module, nn.ConvTranspose2d)]
    assert kinds == [
        nn.Linear,
        *[nn.BatchNorm2d, nn.ReLU, nn.ConvTranspose2d] * len(ups),
        nn.Tanh,
    ]
    assert [before[2] for _, before, _ in ups] == [4 * 2**level for level in range(len(ups))]
    assert all(after[2] == after[3] == 2 * before[2] for _, before, after in ups)
    assert all(module.stride == (2, 2) for module, _, _ in ups)
    assert ups[-1][2][1:] == (3, size, size)


@pytest.mark.parametrize("size", SIZES)
@torch.no_grad()
def test_the_discriminators_rules(size):
    leaves = traced(discriminator(size, 3), torch.randn(2, 3, size, size))
    kinds = [type(module) for module, _, _ in leaves]
    downs = [(module, before, after) for module, before, after in leaves if isinstance(module, nn.Conv2d)]
    assert kinds == [
        *[nn.Conv2d, nn.LeakyReLU],
        *[nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU] * (len(downs) - 1),
        nn.Linear,
    ]
    assert all(2 * after[2] == before[2] for _, before, after in downs)
    assert all(module.stride == (2, 2) for module, _, _ in downs)
    assert downs[-1][2][2:] == (4, 4)
    assert {module.negative_slope for module, _, _ in leaves if isinstance(module, nn.LeakyReLU)} == {0.2}


@torch.no_grad()
def test_without_batch_norm_the_discriminator_scores_each_image_alone():
    torch.manual_seed(0)
    plain = DCGANDiscriminator(0, sample_shape=[1, 16, 16], width=4, norm="none")
    images = torch.randn(4, 1, 16, 16)
    torch.testing.assert_close(plain(images)[:2], plain(images[:2]))
    assert not torch.allclose(discriminator()(images)[:2], discriminator()(images[:2]), rtol=1e-3)
    assert all(module.bias is not None for module in plain.modules() if isinstance(module, nn.Conv2d))


def test_no_bias_stands_before_a_batch_norm():
    for network in (generator(64), discriminator(64)):
        biased = [module.bias is not None for module in network.modules() if hasattr(module, "stride")]
        assert sum(biased) == 1  # the generator's last and the discriminator's first convolution
    assert generator().project.bias is None


@torch.no_grad()
def test_figure_1():
    leaves = traced(generator(64, 3, width=128, latent_dim=100), torch.rand(2, 100))
    inputs = [tuple(before[1:]) for module, before, _ in leaves if isinstance(module, nn.ConvTranspose2d)]
    assert inputs == [(1024, 4, 4), (512, 8, 8), (256, 16, 16), (128, 32, 32)]
    assert leaves[-1][2] == (2, 3, 64, 64)
    downs = traced(discriminator(64, 3, width=128), torch.rand(2, 3, 64, 64))
    outputs = [tuple(after[1:]) for module, _, after in downs if isinstance(module, nn.Conv2d)]
    assert outputs == [(128, 32, 32), (256, 16, 16), (512, 8, 8), (1024, 4, 4)]


def test_initial_weights_are_normal_with_deviation_0_02():
    torch.manual_seed(0)
    for network in (generator(32, width=32, latent_dim=64), discriminator(32, width=32)):
        for name, parameter in network.named_parameters():
            module = network.get_submodule(name.rpartition(".")[0])
            if name.endswith("bias"):
                assert not parameter.any(), name
                continue
            centre = 1.0 if isinstance(module, nn.BatchNorm2d) else 0.0
            count = parameter.numel()
            # Five standard errors of a mean and of a standard deviation.
            assert abs(parameter.mean().item() - centre) < 5 * 0.02 / count**0.5, name
            assert abs(parameter.std().item() - 0.02) < 5 * 0.02 / (2 * count) ** 0.5, name
            if count > 4000:
                kurtosis = ((parameter - parameter.mean()) / parameter.std()).pow(4).mean().item()
                assert abs(kurtosis - 3) < 0.6, name


@torch.no_grad()
def test_a_condition_changes_what_is_made_and_what_is_scored():
    torch.manual_seed(0)
    first, second = torch.eye(3)[[0, 0]], torch.eye(3)[[1, 1]]
    latents, images = torch.randn(2, 5), torch.randn(2, 1, 16, 16)
    makes, judges = generator(condition_size=3).eval(), discriminator(condition_size=3).eval()
    assert not torch.allclose(makes(latents, first), makes(latents, second), atol=1e-6)
    assert not torch.allclose(judges(images, first), judges(images, second), rtol=1e-3)
    assert torch.equal(makes(latents, first), makes(latents, first))


def test_the_discriminator_sees_each_condition_as_a_constant_plane():
    judges, conditions = discriminator(condition_size=3), torch.eye(3)
    seen = []
    judges.layers[0].register_forward_hook(lambda module, args, output: seen.append(args[0]))
    images = torch.randn(3, 1, 16, 16)
    judges(images, conditions)
    planes = seen[0][:, 1:]
    assert torch.equal(planes.amax((2, 3)), conditions)
    assert torch.equal(planes.amin((2, 3)), conditions)


@torch.no_grad()
def test_results_do_not_depend_on_the_memory_format():
    torch.manual_seed(0)
    latents, images, conditions = torch.randn(4, 5), torch.randn(4, 3, 32, 32), torch.eye(4)
    makes, judges = generator(32, 3, 4).double(), discriminator(32, 3, 4).double()
    latents, images = latents.double(), images.double()
    made, scores = makes(latents, conditions), judges(images, conditions)
    makes, judges = makes.to(memory_format=torch.channels_last), judges.to(memory_format=torch.channels_last)
    torch.testing.assert_close(makes(latents, conditions), made)
    torch.testing.assert_close(judges(images.contiguous(memory_format=torch.channels_last), conditions), scores)
    assert made.std() > 0 and scores.std() > 0


# -- features, head and conditions of the discriminator -------------------------------------------------------------


@pytest.mark.parametrize("conditioning", ["planes", "embedded", "projection"])
@pytest.mark.parametrize("size", [8, 32])
@torch.no_grad()
def test_the_score_is_the_heads_of_the_features(size, conditioning):
    torch.manual_seed(0)
    judges = discriminator(size, 2, 3, conditioning=conditioning).eval()
    images, conditions = torch.randn(5, 2, size, size), torch.randn(5, 3)
    features = judges.features(images, conditions)
    assert features.shape == (5, judges.feature_count) == (5, 4 * (size // 8) * 16)
    assert torch.equal(judges.head(features, conditions), judges(images, conditions))


@torch.no_grad()
def test_features_are_the_last_maps_with_channels_fastest():
    torch.manual_seed(0)
    judges = discriminator(16).eval()
    images = torch.randn(2, 1, 16, 16)
    maps, features = judges.layers(images), judges.features(images)
    for row, column, channel in [(0, 0, 1), (0, 1, 0), (3, 2, 7)]:
        assert torch.equal(features[:, (row * 4 + column) * 8 + channel], maps[:, channel, row, column])
    torch.testing.assert_close(judges.head(features), features @ judges.score.weight[0] + judges.score.bias)


@torch.no_grad()
def test_embedded_conditions_are_one_plane_of_the_first_convolutions_input():
    torch.manual_seed(0)
    judges, conditions = discriminator(16, 2, 1000, conditioning="embedded"), torch.randn(2, 1000)
    seen = []
    judges.layers[0].register_forward_hook(lambda module, args, output: seen.append(args[0]))
    images = torch.randn(2, 2, 16, 16)
    judges(images, conditions)
    assert seen[0].shape == (2, 3, 16, 16)
    assert torch.equal(seen[0][:, :2], images)
    for row, column in [(0, 0), (0, 1), (5, 3), (15, 15)]:
        expected = (judges.embedded.planes[:, row * 16 + column] * conditions).sum(1)
        torch.testing.assert_close(seen[0][:, 2, row, column], expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_projected_conditions_add_their_inner_product_with_the_features():
    """Miyato & Koyama 2018, equation 4: ψ(φ(x)) + ⟨V y, φ(x)⟩, with features that know nothing of the condition."""
    torch.manual_seed(0)
    judges = discriminator(16, 1, 3, conditioning="projection").double().eval()
    images, conditions = torch.randn(4, 1, 16, 16).double(), torch.randn(4, 3).double()
    features = judges.features(images, conditions)
    assert torch.equal(features, judges.features(images))
    plain = [sum(a * b for a, b in zip(row, judges.score.weight[0], strict=True)) for row in features]
    products = [(judges.projection.map.weight @ y) @ row for y, row in zip(conditions, features, strict=True)]
    expected = torch.stack(plain) + judges.score.bias + torch.stack(products)
    torch.testing.assert_close(judges(images, conditions), expected)
    assert torch.stack(products).std() > 1e-3


@pytest.mark.parametrize("conditioning", ["planes", "embedded", "projection"])
@torch.no_grad()
def test_each_of_several_outputs_is_scored_as_one_alone_would_be(conditioning):
    torch.manual_seed(0)
    several = DCGANDiscriminator(3, 4, sample_shape=[1, 8, 8], width=4, conditioning=conditioning).eval()
    images, conditions = torch.randn(5, 1, 8, 8), torch.randn(5, 3)
    scores = several(images, conditions)
    assert scores.shape == (5, 4)
    alone = discriminator(8, 1, 3, conditioning=conditioning).eval()
    for output in range(4):
        state = several.state_dict()
        alone.load_state_dict(state | {key: state[key][output : output + 1] for key in ("score.weight", "score.bias")})
        torch.testing.assert_close(alone(images, conditions), scores[:, output])


def test_projections_begin_as_dcgan_has_it():
    torch.manual_seed(0)
    weight = discriminator(32, 1, 10, width=8, conditioning="projection").projection.map.weight
    assert abs(weight.std().item() - 0.02) < 5 * 0.02 / (2 * weight.numel()) ** 0.5


@pytest.mark.parametrize("conditioning", ["embedded", "projection"])
def test_a_way_for_conditions_that_are_not_given_is_refused(conditioning):
    with pytest.raises(ConfigError, match=f"model.discriminator.conditioning={conditioning}: this discriminator is"):
        discriminator(16, conditioning=conditioning)


@pytest.mark.parametrize("conditioning", ["embedded", "projection"])
@torch.no_grad()
def test_a_learnt_condition_changes_what_is_scored(conditioning):
    torch.manual_seed(0)
    judges = discriminator(condition_size=3, conditioning=conditioning).eval()
    images, first, second = torch.randn(2, 1, 16, 16), torch.eye(3)[[0, 0]], torch.eye(3)[[1, 1]]
    assert not torch.allclose(judges(images, first), judges(images, second), rtol=1e-3)
