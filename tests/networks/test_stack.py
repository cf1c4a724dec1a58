"""Layers of a stack: put together they are the autoencoder, and they have no parameters of their own."""

import pytest
import torch

from ganlab.errors import ConfigError
from ganlab.networks.convolutional_autoencoder import ConvolutionalEncoder
from ganlab.networks.mlp_autoencoder import MLPDecoder, MLPEncoder
from ganlab.networks.stack import layers_of, upwards

SHAPE = [1, 3, 2]


def coders(widths=(5, 4), activation="tanh", tied=False):
    torch.manual_seed(3)
    encoder = MLPEncoder(
        2, 0, sample_shape=SHAPE, widths=list(widths), activation=activation, code_activation="softplus"
    )
    decoder = MLPDecoder(2, 0, sample_shape=SHAPE, widths=list(widths)[::-1], activation=activation)
    if tied:
        decoder.tie(encoder)
    return encoder, decoder


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("widths", [(), (5,), (5, 4, 3)])
def test_the_layers_put_together_are_the_autoencoder(widths, tied):
    encoder, decoder = coders(widths, tied=tied)
    layers = layers_of(encoder, decoder)
    assert [layer.sizes for layer in layers] == list(zip([6, *widths], [*widths, 2], strict=True))
    values = torch.rand(7, *SHAPE)
    features = values.flatten(1)
    for layer in layers:
        features = layer.encoder(features)
    torch.testing.assert_close(features, encoder(values))
    for layer in reversed(layers):
        features = layer.output(layer.decoder(features))
    torch.testing.assert_close(features.unflatten(1, SHAPE), decoder(encoder(values)))


@pytest.mark.parametrize("tied", [False, True])
def test_each_parameter_is_the_autoencoders_and_of_one_layer(tied):
    encoder, decoder = coders(tied=tied)
    own = {id(parameter) for network in (encoder, decoder) for parameter in network.parameters()}
    of_layers = [id(p) for layer in layers_of(encoder, decoder) for p in layer.parameters()]
    assert sorted(of_layers) == sorted(own)


def test_upwards_goes_without_gradient():
    encoder, decoder = coders()
    first, second, _ = layers_of(encoder, decoder)
    values = torch.rand(4, *SHAPE)
    features = upwards([first.encoder, second.encoder], values)
    assert features.shape == (4, 4) and not features.requires_grad
    torch.testing.assert_close(features, second.encoder(first.encoder(values.flatten(1))))
    assert torch.equal(upwards([], values), values.flatten(1))


def test_networks_without_layers_that_answer_each_other_are_refused():
    encoder, _ = coders((5, 4))
    convolutional = ConvolutionalEncoder(2, 0, sample_shape=[1, 8, 8], width=2)
    with pytest.raises(ConfigError, match="model/coders=mlp"):
        layers_of(convolutional, coders()[1])
    with pytest.raises(ConfigError, match=r"model\.decoder\.widths=\[5\]: .* set it to \[4,5\]"):
        layers_of(encoder, coders((5,))[1])
    with pytest.raises(ConfigError, match=r"model\.decoder\.activation: "):
        layers_of(encoder, coders((5, 4), "relu")[1])
