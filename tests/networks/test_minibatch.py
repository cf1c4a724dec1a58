"""Salimans et al. 2016, section 3.2, as the sum that it is."""

import math

import pytest
import torch

from ganlab.networks.dcgan import DCGANDiscriminator
from ganlab.networks.minibatch import MinibatchDiscrimination
from ganlab.networks.mlp import MLPDiscriminator


def mlp(**options):
    return MLPDiscriminator(0, sample_shape=[2], width=6, depth=2, **options).double()


def dcgan(**options):
    return DCGANDiscriminator(0, sample_shape=[1, 8, 8], width=2, **{"norm": "none", **options}).double()


def samples_for(network, count):
    return torch.randn(count, *([2] if isinstance(network, MLPDiscriminator) else [1, 8, 8])).double()


@torch.no_grad()
def by_loops(features, tensor):
    """o_b(x_i) = 1/n Σ_j exp(-‖M_ib - M_jb‖₁), number by number."""
    count, (size, kernels, dims) = len(features), tensor.shape
    values, weights = features.tolist(), tensor.tolist()
    matrices = [
        [[sum(row[a] * weights[a][b][c] for a in range(size)) for c in range(dims)] for b in range(kernels)]
        for row in values
    ]
    sums = torch.zeros(count, kernels, dtype=torch.float64)
    for i in range(count):
        for j in range(count):
            for b in range(kernels):
                distance = sum(abs(matrices[i][b][c] - matrices[j][b][c]) for c in range(dims))
                sums[i, b] += math.exp(-distance) / count
    return sums


@pytest.mark.parametrize(("count", "size", "kernels", "dims"), [(5, 4, 3, 2), (1, 3, 2, 5), (7, 2, 1, 1)])
def test_the_new_features_are_the_papers_sums(count, size, kernels, dims):
    torch.manual_seed(0)
    layer = MinibatchDiscrimination(size, kernels, dims).double()
    features = torch.randn(count, size).double()
    joined = layer(features)
    assert joined.shape == (count, size + kernels)
    assert torch.equal(joined[:, :size], features)
    torch.testing.assert_close(joined[:, size:], by_loops(features, layer.tensor))


def test_gradients_first_and_second():
    torch.manual_seed(0)
    layer = MinibatchDiscrimination(3, 2, 2).double()
    features, tensor = torch.randn(4, 3).double().requires_grad_(), torch.randn(3, 2, 2).double().requires_grad_()

    def of(features, tensor):
        return torch.func.functional_call(layer, {"tensor": tensor}, (features,))

    assert torch.autograd.gradcheck(of, (features, tensor))
    assert torch.autograd.gradgradcheck(of, (features, tensor))


@torch.no_grad()
def test_equal_samples_count_each_other_and_distant_ones_only_themselves():
    layer = MinibatchDiscrimination(3, 4, 2)
    assert torch.equal(layer(torch.ones(5, 3))[:, 3:], torch.ones(5, 4))
    distant = 1e6 * torch.randn(5, 3)
    torch.testing.assert_close(layer(distant)[:, 3:], torch.full((5, 4), 1 / 5))


def test_a_larger_batch_of_the_same_samples_says_the_same():
    torch.manual_seed(0)
    layer = MinibatchDiscrimination(3, 4, 2)
    features = torch.randn(6, 3)
    torch.testing.assert_close(layer(features.repeat(4, 1))[:6], layer(features))


def test_entries_of_the_matrices_are_as_large_as_the_features():
    torch.manual_seed(0)
    for size in (4, 400):
        layer = MinibatchDiscrimination(size, 50, 5)
        matrices = torch.randn(500, size) @ layer.tensor.flatten(1)
        assert matrices.std().item() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("make", [mlp, dcgan])
def test_the_head_scores_the_joined_features(make):
    torch.manual_seed(0)
    network = make(minibatch_kernels=3, minibatch_dims=2)
    samples = samples_for(network, 5)
    features = network.features(samples)
    assert features.shape == (5, network.feature_count)
    last = network.layers[-1] if make is mlp else network.score
    assert network.minibatch.tensor.shape == (network.feature_count, 3, 2)
    joined = torch.cat([features, by_loops(features, network.minibatch.tensor)], dim=1)
    torch.testing.assert_close(network(samples), joined @ last.weight[0] + last.bias)


@pytest.mark.parametrize("make", [mlp, dcgan])
def test_without_kernels_there_is_nothing_of_it(make):
    torch.manual_seed(0)
    plain = make()
    torch.manual_seed(0)
    none = make(minibatch_kernels=0, minibatch_dims=2)
    assert plain.minibatch is None
    state, other = plain.state_dict(), none.state_dict()
    assert list(state) == list(other)
    assert all(torch.equal(tensor, other[name]) for name, tensor in state.items())


@pytest.mark.parametrize("make", [mlp, dcgan])
@torch.no_grad()
def test_plain_features_do_not_depend_on_the_batch_and_scores_do(make):
    torch.manual_seed(0)
    network = make(minibatch_kernels=3)
    samples = samples_for(network, 6)
    torch.testing.assert_close(network.features(samples)[:2], network.features(samples[:2]))
    assert not torch.allclose(network(samples)[:2], network(samples[:2]), rtol=1e-3)


@pytest.mark.parametrize("make", [mlp, dcgan])
def test_spectral_normalisation_leaves_the_tensor_alone(make):
    network = make(minibatch_kernels=3, norm="spectral", gain=2.0)
    assert isinstance(network.minibatch.tensor, torch.nn.Parameter)
    assert not hasattr(network.minibatch, "parametrizations")
    last = network.layers[-1] if make is mlp else network.score
    assert last.weight.norm().item() == pytest.approx(2, rel=1e-6)
