import pytest
import torch
from torch import nn

from ganlab.networks.mlp import MLPDiscriminator, MLPGenerator


@pytest.mark.parametrize("shape", [[2], [5], [1, 8, 8], [3, 12, 20]], ids=str)
@torch.no_grad()
def test_shapes(shape):
    makes = MLPGenerator(4, 0, sample_shape=shape, width=16, depth=2)
    samples = makes(torch.randn(3, 4))
    assert samples.shape == (3, *shape)
    assert MLPDiscriminator(0, sample_shape=shape, width=16, depth=2)(samples).shape == (3,)


@torch.no_grad()
def test_images_are_bounded_and_points_are_not():
    latents = 1e3 * torch.randn(64, 4)
    assert MLPGenerator(4, 0, sample_shape=[1, 4, 4])(latents).abs().max() <= 1
    assert MLPGenerator(4, 0, sample_shape=[2])(latents).abs().max() > 1


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_width_depth_and_batch_norm_are_what_was_asked_for(depth, batch_norm):
    makes = MLPGenerator(4, 3, sample_shape=[2], width=9, depth=depth, batch_norm=batch_norm)
    linear = [module for module in makes.modules() if isinstance(module, nn.Linear)]
    sizes = [(layer.in_features, layer.out_features) for layer in linear]
    assert sizes == [(7, 9), *[(9, 9)] * (depth - 1), (9, 2)]
    norms = [module for module in makes.modules() if isinstance(module, nn.BatchNorm1d)]
    assert len(norms) == (depth if batch_norm else 0)
    assert all((layer.bias is None) == batch_norm for layer in linear[:-1])
    assert linear[-1].bias is not None
    judges = MLPDiscriminator(3, sample_shape=[2], width=9, depth=depth)
    sizes = [(m.in_features, m.out_features) for m in judges.modules() if isinstance(m, nn.Linear)]
    assert sizes == [(5, 9), *[(9, 9)] * (depth - 1), (9, 1)]


@torch.no_grad()
def test_the_networks_are_the_formula():
    """Two hidden layers, by hand: ReLU in the generator, LeakyReLU 0.2 in the discriminator."""
    torch.manual_seed(0)
    makes = MLPGenerator(4, 1, sample_shape=[2], width=6, depth=2).double()
    judges = MLPDiscriminator(1, sample_shape=[2], width=6, depth=2).double()
    latents, conditions = torch.randn(5, 4).double(), torch.rand(5, 1).double()

    def by_hand(network, x, slope):
        weights = list(network.parameters())
        for weight, bias in zip(weights[0:-2:2], weights[1:-2:2], strict=True):
            x = x @ weight.T + bias
            x = x.clamp(min=0) + slope * x.clamp(max=0)
        return x @ weights[-2].T + weights[-1]

    points = makes(latents, conditions)
    torch.testing.assert_close(points, by_hand(makes, torch.cat([latents, conditions], 1), 0.0))
    expected = by_hand(judges, torch.cat([points, conditions], 1), 0.2).squeeze(1)
    torch.testing.assert_close(judges(points, conditions), expected)


@torch.no_grad()
def test_a_score_does_not_depend_on_the_rest_of_the_batch():
    torch.manual_seed(0)
    judges = MLPDiscriminator(0, sample_shape=[1, 4, 4]).double()
    images = torch.randn(6, 1, 4, 4).double()
    alone = torch.cat([judges(image[None]) for image in images])
    torch.testing.assert_close(judges(images), alone)
    assert alone.std() > 0


@torch.no_grad()
def test_a_condition_changes_what_is_made_and_what_is_scored():
    torch.manual_seed(0)
    first, second = torch.eye(3)[[0, 0]], torch.eye(3)[[1, 1]]
    makes, judges = MLPGenerator(4, 3, sample_shape=[2]), MLPDiscriminator(3, sample_shape=[2])
    latents, points = torch.randn(2, 4), torch.randn(2, 2)
    assert not torch.allclose(makes(latents, first), makes(latents, second))
    assert not torch.allclose(judges(points, first), judges(points, second))


@pytest.mark.parametrize("depth", [1, 3])
@torch.no_grad()
def test_the_features_are_the_last_hidden_layer_and_the_head_the_rest(depth):
    torch.manual_seed(0)
    judges = MLPDiscriminator(3, sample_shape=[1, 4, 4], width=9, depth=depth, norm="batch").eval()
    images, conditions = torch.randn(5, 1, 4, 4), torch.randn(5, 3)
    features = judges.features(images, conditions)
    assert features.shape == (5, judges.feature_count) == (5, 9)
    assert torch.equal(features, judges.layers[:-1](torch.cat([images.flatten(1), conditions], 1)))
    whole = judges.layers(torch.cat([images.flatten(1), conditions], 1)).squeeze(1)
    assert torch.equal(judges.head(features, conditions), whole)
    assert torch.equal(judges(images, conditions), whole)


@torch.no_grad()
def test_each_of_several_outputs_is_a_linear_map_of_the_features():
    torch.manual_seed(0)
    judges = MLPDiscriminator(0, 4, sample_shape=[2], width=9, depth=2)
    points, last = torch.randn(5, 2), judges.layers[-1]
    assert judges(points).shape == (5, 4)
    torch.testing.assert_close(judges(points), judges.features(points) @ last.weight.T + last.bias)
