"""Miyato et al. 2018 against singular value decompositions, true distances and finite differences."""

import copy
import io

import pytest
import torch
from torch import nn

from ganlab.errors import ConfigError
from ganlab.networks.dcgan import DCGANDiscriminator
from ganlab.networks.mlp import MLPDiscriminator
from ganlab.networks.spectral import constrain

GAINS = [1.0, 2.5]


def mlp(gain=1.0, **options):
    torch.manual_seed(0)
    return MLPDiscriminator(3, sample_shape=[2], width=12, depth=3, norm="spectral", gain=gain, **options).double()


def dcgan(gain=1.0, conditioning="planes", size=16, **options):
    torch.manual_seed(0)
    options = {"sample_shape": [2, size, size], "width": 4, "norm": "spectral", **options}
    return DCGANDiscriminator(3, gain=gain, conditioning=conditioning, **options).double()


def projecting(gain=1.0):
    return dcgan(gain, "projection")


def embedding(gain=1.0):
    return dcgan(gain, "embedded")


def inputs_of(network, count=4):
    shape = [2] if isinstance(network, MLPDiscriminator) else [2, 16, 16]
    return torch.randn(count, *shape).double(), torch.randn(count, 3).double()


def layers_of(network):
    return {name: module for name, module in network.named_modules() if isinstance(module, (nn.Linear, nn.Conv2d))}


def vectors_of(layer):
    """What holds the power iteration's two vectors."""
    return layer.parametrizations.weight[0].inner


def buffers_of(network):
    return {name: buffer.clone() for name, buffer in network.named_buffers()}


@torch.no_grad()
def converged(network, iterations=300):
    """The network in eval mode, after so many power iterations: one whenever a weight is asked for in training mode."""
    for layer in layers_of(network).values():
        for _ in range(iterations):
            _ = layer.weight
    return network.eval()


@pytest.mark.parametrize("gain", GAINS)
@pytest.mark.parametrize(
    ("make", "count"), [(mlp, 4), (dcgan, 3), (projecting, 4), (embedding, 3)], ids=["mlp", "dcgan", "proj", "embed"]
)
@torch.no_grad()
def test_the_largest_singular_value_of_every_layer_is_the_gain(make, count, gain):
    layers = layers_of(converged(make(gain)))
    assert len(layers) == count
    for name, layer in layers.items():
        largest = torch.linalg.svdvals(layer.weight.flatten(1))[0].item()
        assert largest == pytest.approx(gain, rel=1e-4), name
        original = layer.parametrizations.weight.original
        direction = torch.nn.functional.cosine_similarity(layer.weight.flatten(), original.flatten(), dim=0)
        assert direction.item() == pytest.approx(1, abs=1e-12), name


@pytest.mark.parametrize("make", [mlp, dcgan, projecting, embedding])
def test_biases_take_the_place_of_batch_norm(make):
    network = make()
    assert not any("BatchNorm" in type(module).__name__ for module in network.modules())
    without = [name for name, layer in layers_of(network).items() if layer.bias is None]
    assert without == {projecting: ["projection.map"], embedding: []}.get(make, [])


@pytest.mark.parametrize("gain", GAINS)
@torch.no_grad()
def test_a_fully_connected_score_changes_by_at_most_gain_to_the_depth_times_the_distance(gain):
    network = mlp(gain)
    for layer in layers_of(network).values():
        layer.parametrizations.weight.original.mul_(10)  # the normalisation has to take this back
        layer.bias.normal_()
    converged(network)
    points, conditions = inputs_of(network, 4000)
    others = points + torch.randn_like(points) * torch.logspace(-4, 1, 4000).double()[:, None]
    ratios = (network(points, conditions) - network(others, conditions)).abs() / (points - others).norm(dim=1)
    assert ratios.max() <= gain**4 * (1 + 1e-4)
    assert ratios.max() > 1e-3 * gain**4


@torch.no_grad()
def test_a_convolution_of_kernel_4_and_stride_2_stretches_at_most_by_twice_its_gain():
    """The whole convolution as a matrix; not vacuous, for a constant kernel goes beyond the gain itself."""
    layer = nn.Conv2d(1, 3, kernel_size=4, stride=2, padding=1, bias=False).double()
    nn.init.ones_(layer.weight)
    constrain(layer, "spectral", 1.5)
    pixels = torch.eye(16 * 16).double().view(-1, 1, 16, 16)
    stretch = torch.linalg.svdvals(layer.eval()(pixels).flatten(1))[0].item()
    assert 1.5 * 1.8 < stretch <= 1.5 * 2


@pytest.mark.parametrize("gain", GAINS)
def test_the_gradient_is_that_of_the_weight_divided_by_its_largest_singular_value(gain):
    """Central differences of gain · ⟨A, W⟩ / σ(W), with σ by a decomposition: the gradient flows through σ, too."""
    layer = nn.Linear(4, 3).double()
    constrain(layer, "spectral", gain)
    for _ in range(500):
        _ = layer.weight
    direction, original = torch.randn(3, 4).double(), layer.parametrizations.weight.original
    (layer.weight * direction).sum().backward()

    def by_decomposition(weight):
        return (gain * weight / torch.linalg.svdvals(weight)[0] * direction).sum().item()

    for row in range(3):
        for column in range(4):
            step = torch.zeros(3, 4).double()
            step[row, column] = 1e-6
            weight = original.detach()
            slope = (by_decomposition(weight + step) - by_decomposition(weight - step)) / 2e-6
            assert original.grad[row, column].item() == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize("make", [mlp, dcgan])
@torch.no_grad()
def test_a_pass_in_training_mode_is_one_power_iteration_and_in_eval_mode_none(make):
    network = make()
    inputs = inputs_of(network)
    for layer in layers_of(network).values():
        vectors = vectors_of(layer)
        vectors._v.copy_(nn.functional.normalize(torch.randn_like(vectors._v), dim=0))
    before = buffers_of(network)
    network.eval()(*inputs)
    assert all(torch.equal(buffer, before[name]) for name, buffer in network.named_buffers())
    network.train()(*inputs)
    for name, layer in layers_of(network).items():
        weight = layer.parametrizations.weight.original.flatten(1)
        prefix = f"{name}.parametrizations.weight.0.inner."
        left = nn.functional.normalize(weight @ before[prefix + "_v"], dim=0)
        right = nn.functional.normalize(weight.T @ left, dim=0)
        torch.testing.assert_close(vectors_of(layer)._u, left)
        torch.testing.assert_close(vectors_of(layer)._v, right)


def test_the_original_weights_begin_as_the_papers_before_they_are_normalised():
    torch.manual_seed(0)
    network = DCGANDiscriminator(0, sample_shape=[1, 32, 32], width=32, norm="spectral", gain=2.0)
    for name, layer in layers_of(network).items():
        original = layer.parametrizations.weight.original
        assert abs(original.std().item() - 0.02) < 5 * 0.02 / (2 * original.numel()) ** 0.5, name
        assert not layer.bias.any(), name
        # The vectors were estimated from these weights and not from those of before: σ is near from the first pass on.
        assert 2.0 <= torch.linalg.svdvals(layer.eval().weight.flatten(1))[0] < 2.0 * 1.1, name


@pytest.mark.parametrize("make", [mlp, dcgan, projecting, embedding])
def test_the_state_survives_a_file_a_copy_and_a_change_of_type(make):
    network = make(gain=2.5)
    inputs = inputs_of(network)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(3):
        network(*inputs).sum().backward()
        optimizer.step()

    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    file.seek(0)
    restored = make(gain=2.5)
    with torch.no_grad():
        for parameter in restored.parameters():
            parameter.add_(1)
    restored.load_state_dict(torch.load(file, weights_only=True))
    copied = copy.deepcopy(network)
    # Also after two more passes: the vectors of the power iteration travel with the weights.
    with torch.no_grad():
        for other in (restored, copied):
            for _ in range(2):
                other(*inputs)
        scores = [network(*inputs) for _ in range(3)][-1]
        assert torch.equal(restored(*inputs), scores)
        assert torch.equal(copied(*inputs), scores)
        assert scores.dtype == torch.float64
        single = copied.float()(*(tensor.float() for tensor in inputs))
        torch.testing.assert_close(single.double(), network(*inputs), rtol=1e-4, atol=1e-5)


def test_a_copy_goes_its_own_way():
    network = mlp()
    copied, before = copy.deepcopy(network), buffers_of(network)
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.normal_()
        copied(*inputs_of(copied))
    assert all(torch.equal(buffer, before[name]) for name, buffer in network.named_buffers())


def test_the_power_iteration_stays_out_of_compiled_code():
    """Inductor would save the vectors uncopied for the gradient: two passes and then a descent is an error."""
    plain, compiled = (MLPDiscriminator(0, sample_shape=[2], width=3, depth=1, norm="spectral") for _ in range(2))
    compiled.load_state_dict(plain.state_dict())
    called = []

    def backend(graph, inputs):
        called.extend(str(node.target) for node in graph.graph.nodes)
        return graph.forward

    compiled.compile(backend=backend)
    points = torch.randn(4, 2)
    assert torch.equal(compiled(points), plain(points))
    assert not any("mv" in name or "vdot" in name for name in called)


def test_scores_under_autocast_are_near_those_of_full_precision():
    network = converged(mlp(gain=1.5)).float()
    points, conditions = (tensor.float() for tensor in inputs_of(network, 16))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = network.train()(points, conditions)
    torch.testing.assert_close(scores.float(), network(points, conditions), rtol=0.05, atol=0.02)


@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize(("kind", "shape"), [(MLPDiscriminator, [2]), (DCGANDiscriminator, [1, 8, 8])])
def test_a_gain_without_spectral_normalisation_is_refused(kind, shape, norm):
    with pytest.raises(ConfigError, match=r"^model\.discriminator\.gain=2: .*norm=spectral.*$"):
        kind(0, sample_shape=shape, norm=norm, gain=2.0)
    assert not any(hasattr(module, "parametrizations") for module in kind(0, sample_shape=shape, norm=norm).modules())
