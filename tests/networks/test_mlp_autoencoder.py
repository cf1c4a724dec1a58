import copy
import itertools
import math

import pytest
import torch
from torch import nn

from ganlab.errors import ConfigError
from ganlab.networks.autoencoder import Autoencoder
from ganlab.networks.convolutional_autoencoder import ConvolutionalEncoder
from ganlab.networks.mlp_autoencoder import MLPDecoder, MLPEncoder

ACTIVATIONS = {
    "relu": lambda x: x.clamp(min=0),
    "sigmoid": lambda x: 1 / (1 + (-x).exp()),
    "tanh": lambda x: (x.exp() - (-x).exp()) / (x.exp() + (-x).exp()),
    "softplus": lambda x: (1 + x.exp()).log(),
    "linear": lambda x: x,
}


def with_random_biases(network):
    """Biases begin as zero, where a forgotten one would not be seen."""
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter)
    return network.double()


def coders(shape=(1, 3, 4), widths=(7, 5), code=2, conditions=0, activation="tanh", code_activation="linear"):
    torch.manual_seed(0)
    encoder = MLPEncoder(
        code,
        conditions,
        sample_shape=list(shape),
        widths=list(widths),
        activation=activation,
        code_activation=code_activation,
    )
    decoder = MLPDecoder(code, conditions, sample_shape=list(shape), widths=list(widths)[::-1], activation=activation)
    return with_random_biases(encoder), with_random_biases(decoder)


@pytest.mark.parametrize("shape", [(2,), (1, 3, 4), (3, 4, 4)], ids=str)
@pytest.mark.parametrize("widths", [(), (7,), (7, 5, 6)], ids=str)
@pytest.mark.parametrize("conditions", [0, 3])
def test_the_layers_are_the_widths_that_were_asked_for(shape, widths, conditions):
    encoder, decoder = coders(shape, widths, conditions=conditions)
    down, up = [math.prod(shape) + conditions, *widths, 2], [2 + conditions, *widths[::-1], math.prod(shape)]
    for network, sizes in ((encoder, down), (decoder, up)):
        shapes = [(layer.in_features, layer.out_features) for layer in network.linears]
        assert shapes == list(itertools.pairwise(sizes))
        assert len(list(network.parameters())) == 2 * len(shapes)
    given = torch.rand(5, conditions).double() if conditions else None
    codes = encoder(torch.rand(5, *shape).double(), given)
    assert codes.shape == (5, 2)
    assert decoder(codes, given).shape == (5, *shape)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("code_activation", ACTIVATIONS)
@torch.no_grad()
def test_the_networks_are_the_formula(activation, code_activation):
    encoder, decoder = coders(conditions=3, activation=activation, code_activation=code_activation)
    values, conditions = torch.rand(6, 1, 3, 4).double(), torch.rand(6, 3).double()

    def by_hand(network, x, last):
        weights = list(network.parameters())
        for weight, bias in zip(weights[0:-2:2], weights[1:-2:2], strict=True):
            x = ACTIVATIONS[activation](x @ weight.T + bias)
        return ACTIVATIONS[last](x @ weights[-2].T + weights[-1])

    flat = torch.cat([values.reshape(6, 12), conditions], 1)
    codes = encoder(values, conditions)
    torch.testing.assert_close(codes, by_hand(encoder, flat, code_activation))
    outputs = by_hand(decoder, torch.cat([codes, conditions], 1), "linear")
    torch.testing.assert_close(decoder(codes, conditions), outputs.reshape(6, 1, 3, 4))


def test_each_layer_begins_as_its_own_activation_wants_it():
    """Glorot's bound, 4 times as wide before a sigmoid: of the hidden layers, of the codes, of the raw outputs."""
    encoder = MLPEncoder(40, 0, sample_shape=[60], widths=[50], activation="sigmoid", code_activation="tanh")
    decoder = MLPDecoder(40, 0, sample_shape=[60], widths=[50], activation="sigmoid")
    for network in (encoder, decoder):
        for layer, gain in zip(network.linears, (4, 1), strict=True):
            bound = gain * math.sqrt(6 / (layer.in_features + layer.out_features))
            assert 0.98 * bound < layer.weight.abs().max() <= bound
            assert not layer.bias.any()


@torch.no_grad()
def test_an_autoencoder_is_one_after_the_other():
    encoder, decoder = coders(conditions=3)
    values, conditions = torch.rand(6, 1, 3, 4).double(), torch.rand(6, 3).double()
    whole = Autoencoder(encoder, decoder)
    outputs = whole(values, conditions)
    assert torch.equal(outputs, decoder(encoder(values, conditions), conditions))
    assert not torch.allclose(outputs, decoder(encoder(values, conditions), 0 * conditions))
    assert not torch.allclose(outputs, decoder(encoder(values, 0 * conditions), conditions))
    assert (whole.encoder, whole.decoder) == (encoder, decoder)


# -- tied weights ---------------------------------------------------------------------------------------------------


def tied(**options):
    encoder, decoder = coders(**options)
    decoder.tie(encoder)
    return Autoencoder(encoder, decoder)


def by_transposes(values, weights, inner, outer):
    """tanh layers down by the weights and up by their transposes, with biases `inner` and `outer`."""
    x = values.flatten(1)
    for weight, bias in zip(weights[:-1], inner[:-1], strict=True):
        x = torch.tanh(x @ weight.T + bias)
    x = x @ weights[-1].T + inner[-1]
    for weight, bias in zip(weights[:0:-1], outer[:-1], strict=True):
        x = torch.tanh(x @ weight + bias)
    return (x @ weights[0] + outer[-1]).unflatten(1, (1, 3, 4))


def parts(network):
    state = dict(network.named_parameters())
    count = len(network.encoder.linears)
    return (
        [state[f"encoder.linears.{i}.weight"] for i in range(count)],
        [state[f"encoder.linears.{i}.bias"] for i in range(count)],
        [state[f"decoder.linears.{i}.bias"] for i in range(count)],
    )


@pytest.mark.parametrize("widths", [(), (7,), (7, 5)], ids=str)
def test_a_tied_decoder_has_the_transposed_weights_and_gradients_of_both_ways(widths):
    network = tied(widths=widths)
    values = torch.rand(6, 1, 3, 4).double()
    # The oracle has a leaf of its own for each use of a weight; the tied one's gradient is the sum of both.
    weights, inner, outer = ([p.detach().clone().requires_grad_() for p in some] for some in parts(network))
    expected = by_transposes(values, weights, inner, outer)
    outputs = network(values)
    torch.testing.assert_close(outputs, expected)
    target = torch.rand(6, 1, 3, 4).double()
    (outputs - target).square().sum().backward()
    (expected - target).square().sum().backward()
    for ours, oracle in zip(parts(network), (weights, inner, outer), strict=True):
        for parameter, leaf in zip(ours, oracle, strict=True):
            torch.testing.assert_close(parameter.grad, leaf.grad)
            assert parameter.grad.abs().max() > 1e-3


def test_the_decoders_part_reaches_the_encoders_weights():
    network = tied()
    codes = network.encoder(torch.rand(6, 1, 3, 4).double()).detach()
    network.decoder(codes).square().sum().backward()
    for layer in network.encoder.linears:
        assert layer.weight.grad.norm() > 1e-3
        assert layer.bias.grad is None


def test_a_tied_weight_is_one_parameter_and_is_saved_once():
    network = tied()
    names = [f"encoder.linears.{i}.{part}" for i in range(3) for part in ("weight", "bias")]
    names += [f"decoder.linears.{i}.bias" for i in range(3)]
    assert list(network.state_dict()) == names
    assert [name for name, _ in network.named_parameters()] == names
    assert [name for name, _ in network.decoder.named_parameters()] == [f"linears.{i}.bias" for i in range(3)]
    assert sum(p.numel() for p in network.parameters()) == 12 * 7 + 7 * 5 + 5 * 2 + (7 + 5 + 2) + (5 + 7 + 12)


def test_tying_keeps_the_decoders_biases():
    encoder, decoder = coders()
    before = [layer.bias for layer in decoder.linears]
    decoder.tie(encoder)
    assert all(layer.bias is bias for layer, bias in zip(decoder.linears, before, strict=True))


@torch.no_grad()
def test_a_deep_copy_is_tied_inside_itself_and_to_nothing_else():
    network = tied()
    values, twin = torch.rand(6, 1, 3, 4).double(), copy.deepcopy(network)
    before = network(values)
    assert torch.equal(twin(values), before)
    for parameter in twin.encoder.parameters():
        parameter.mul_(2)
    assert torch.equal(network(values), before)
    torch.testing.assert_close(twin(values), by_transposes(values, *parts(twin)))
    assert not torch.allclose(twin(values), before)


@torch.no_grad()
def test_loaded_weights_reach_the_tied_decoder(tmp_path):
    source, network = tied(), tied()
    for parameter in source.parameters():
        parameter.normal_()
    torch.save(source.state_dict(), tmp_path / "state.pt")
    network.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    values = torch.rand(6, 1, 3, 4).double()
    torch.testing.assert_close(network(values), source(values))
    torch.testing.assert_close(network(values), by_transposes(values, *parts(source)))


@torch.no_grad()
def test_a_tied_network_changes_its_type_as_one():
    network = tied().float()
    values = torch.rand(6, 1, 3, 4)
    torch.testing.assert_close(network(values), by_transposes(values, *parts(network)))


@torch.no_grad()
def test_a_tied_weight_can_be_read_and_written_on_either_side():
    network = tied()
    layer, source = network.decoder.linears[0], network.encoder.linears[-1]
    assert (layer.in_features, layer.out_features) == (2, 5)
    assert torch.equal(layer.weight, source.weight.T)
    layer.weight.fill_(3.0)
    assert torch.equal(source.weight, torch.full((2, 5), 3.0).double())


@pytest.mark.parametrize(
    ("encoder", "decoder", "line"),
    [
        (
            MLPEncoder(2, 0, sample_shape=[12], widths=[7, 5]),
            MLPDecoder(2, 0, sample_shape=[12], widths=[7, 5]),
            r"the decoder's widths \[7,5\] .* set model\.decoder\.widths=\[5,7\] or model\.tied=false",
        ),
        (
            MLPEncoder(2, 0, sample_shape=[12], widths=[]),
            MLPDecoder(2, 0, sample_shape=[12], widths=[7]),
            r"the decoder's widths \[7\] .* set model\.decoder\.widths=\[\] or model\.tied=false",
        ),
        (
            MLPEncoder(4, 0, sample_shape=[12], widths=[7]),
            MLPDecoder(2, 0, sample_shape=[12], widths=[7]),
            r"the encoder makes 4 numbers of 12 values, and the decoder makes 12 values of 2 numbers; .*=false",
        ),
        (
            MLPEncoder(2, 3, sample_shape=[12], widths=[7]),
            MLPDecoder(2, 3, sample_shape=[12], widths=[7]),
            r"the conditions have weights of their own .*; set model\.tied=false",
        ),
        (
            ConvolutionalEncoder(2, 0, sample_shape=[1, 8, 8], width=2),
            MLPDecoder(2, 0, sample_shape=[1, 8, 8], widths=[7]),
            r"only fully connected coders .*; set model/coders=mlp or model\.tied=false",
        ),
    ],
    ids=["widths", "no_widths", "outputs", "conditions", "convolutional"],
)
def test_what_cannot_be_tied_is_told_in_a_line(encoder, decoder, line):
    names = list(decoder.state_dict())
    with pytest.raises(ConfigError, match=rf"^model\.tied=true: {line}$"):
        decoder.tie(encoder)
    assert list(decoder.state_dict()) == names
