import itertools
import math

import pytest
import torch
from torch import nn

from ganlab.errors import ConfigError
from ganlab.networks.convolutional_autoencoder import ConvolutionalDecoder, ConvolutionalEncoder
from ganlab.networks.mlp_autoencoder import MLPEncoder


def encoder(size=16, channels=1, conditions=0, outputs=5, width=4, **options):
    torch.manual_seed(0)
    return ConvolutionalEncoder(outputs, conditions, sample_shape=[channels, size, size], width=width, **options)


def decoder(size=16, channels=1, conditions=0, inputs=5, width=4, **options):
    torch.manual_seed(0)
    return ConvolutionalDecoder(inputs, conditions, sample_shape=[channels, size, size], width=width, **options)


def sizes_of(network, kind, *inputs):
    """(maps, size) before and after each layer of that kind, in the order in which they run."""
    seen, handles = [], []
    for module in network.modules():
        if isinstance(module, kind):
            handles.append(
                module.register_forward_hook(
                    lambda module, args, output: seen.append((tuple(args[0].shape[1:3]), tuple(output.shape[1:3])))
                )
            )
    network(*inputs)
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.parametrize("size", [8, 16, 32, 64])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("batch_norm", [False, True])
@torch.no_grad()
def test_every_layer_halves_or_doubles_the_size_and_the_maps_the_other_way(size, channels, batch_norm):
    levels = int(math.log2(size // 4))
    maps = [channels, *[4 * 2**level for level in range(levels)]]
    sizes = [size // 2**level for level in range(levels + 1)]
    down = list(zip(maps, sizes, strict=True))
    images, codes = torch.rand(2, channels, size, size), torch.randn(2, 5)
    coders = encoder(size, channels, batch_norm=batch_norm), decoder(size, channels, batch_norm=batch_norm)
    assert sizes_of(coders[0], nn.Conv2d, images) == list(itertools.pairwise(down))
    assert sizes_of(coders[1], nn.ConvTranspose2d, codes) == list(itertools.pairwise(down[::-1]))
    assert coders[0](images).shape == (2, 5)
    assert coders[1](codes).shape == images.shape


@pytest.mark.parametrize("batch_norm", [False, True])
def test_batch_norm_is_a_choice_and_takes_the_place_of_biases(batch_norm):
    norms = [
        sum(isinstance(m, nn.BatchNorm2d) for m in make(32, batch_norm=batch_norm).modules())
        for make in (encoder, decoder)
    ]
    assert norms == ([2, 3] if batch_norm else [0, 0])
    biased = [m.bias is not None for m in encoder(32, batch_norm=batch_norm).modules() if isinstance(m, nn.Conv2d)]
    assert biased == ([True, False, False] if batch_norm else [True] * 3)
    ups = decoder(32, batch_norm=batch_norm)
    biased = [m.bias is not None for m in ups.modules() if isinstance(m, (nn.Linear, nn.ConvTranspose2d))]
    assert biased == ([False, False, False, True] if batch_norm else [True] * 4)


@torch.no_grad()
def test_without_batch_norm_each_image_is_coded_alone():
    images = torch.rand(4, 1, 16, 16)
    for batch_norm, alone in ((False, True), (True, False)):
        down, up = encoder(batch_norm=batch_norm), decoder(batch_norm=batch_norm)
        codes = down(images)
        assert torch.allclose(down(images[:2]), codes[:2], atol=1e-6) == alone
        assert torch.allclose(up(codes[:2]), up(codes)[:2], atol=1e-6) == alone


@torch.no_grad()
def test_raw_outputs_have_no_bounds():
    outputs = decoder()(100 * torch.randn(64, 5))
    assert outputs.min() < -2 and outputs.max() > 2
    codes = encoder()(100 * torch.randn(64, 1, 16, 16))
    assert codes.min() < -2 and codes.max() > 2


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh", "softplus"])
@torch.no_grad()
def test_the_codes_have_their_activation(name):
    images, network = torch.rand(8, 1, 8, 8), encoder(8, code_activation=name)
    plain = encoder(8)
    plain.load_state_dict(network.state_dict())
    activation = {"relu": torch.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh, "softplus": nn.functional.softplus}
    torch.testing.assert_close(network(images), activation[name](plain(images)))


@torch.no_grad()
def test_conditions_are_planes_of_the_image_and_join_the_code():
    down, up = encoder(8, 2, conditions=3), decoder(8, 2, conditions=3)
    images, conditions = torch.rand(4, 2, 8, 8), torch.rand(4, 3)
    planes = torch.cat(
        [images, torch.stack([torch.stack([torch.full((8, 8), c.item()) for c in row]) for row in conditions])], 1
    )
    codes = down(images, conditions)
    torch.testing.assert_close(codes, down(planes))
    assert not torch.allclose(codes, down(images, conditions.flip(0)))
    torch.testing.assert_close(up(codes, conditions), up(torch.cat([codes, conditions], 1)))
    assert not torch.allclose(up(codes, conditions), up(codes, conditions.flip(0)))


@torch.no_grad()
def test_a_signal_keeps_its_size_through_every_layer_of_a_deep_decoder():
    """He et al. 2015, equation 10: with ReLUs, the mean square of each layer's outputs is that of its inputs, twice
    over the half of them that passes. A convolution's border, where less than 2×2 weights reach, is left out."""
    network = decoder(64, 64, inputs=256, width=64)
    squares = []
    for module in network.modules():
        if isinstance(module, (nn.Linear, nn.ConvTranspose2d)):
            module.register_forward_hook(lambda module, args, output: squares.append(_inner(output).square().mean()))
    network(torch.randn(8, 256))
    assert len(squares) == 5
    # The first layer's inputs are no ReLU's, and no ReLU follows the last.
    expected = [2.0, 2.0, 2.0, 2.0, 1.0]
    assert [abs(ours / want - 1) < 0.35 for ours, want in zip(squares, expected, strict=True)] == [True] * 5, squares


@torch.no_grad()
def test_a_signal_keeps_its_size_through_every_layer_of_a_deep_encoder():
    network = encoder(64, 64, width=64, outputs=256)
    squares = []
    for module in network.layers:
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda module, args, output: squares.append(_inner(output).square().mean()))
    network(torch.randn(4, 64, 64, 64))
    # A LeakyReLU of slope 0.2 lets (1 + 0.2²) / 2 of a mean square pass.
    assert [abs(ours * 1.04 / 2 - 1) < 0.35 for ours in squares] == [True] * 4, squares


def _inner(maps):
    return maps if maps.dim() == 2 else maps[:, :, 1:-1, 1:-1]


def test_the_first_weights_have_the_deviation_of_he():
    for network, slope in ((encoder(32, 3, width=32), 0.2), (decoder(32, 3, width=32, inputs=64), 0.0)):
        for module in network.layers:
            if isinstance(module, nn.Conv2d):
                terms = module.in_channels * 16
            elif isinstance(module, nn.ConvTranspose2d):
                terms = module.in_channels * 4
            else:
                continue
            last = isinstance(module, nn.ConvTranspose2d) and module.out_channels == 3
            deviation = math.sqrt((1 if last else 2 / (1 + slope**2)) / terms)
            count = module.weight.numel()
            assert abs(module.weight.std().item() / deviation - 1) < 5 / (2 * count) ** 0.5
            assert not module.bias.any()


def test_the_codes_layer_begins_as_its_activation_wants_it():
    for name, gain in (("linear", 1), ("sigmoid", 4)):
        layer = encoder(8, outputs=40, code_activation=name).code
        bound = gain * math.sqrt(6 / (layer.in_features + 40))
        assert 0.98 * bound < layer.weight.abs().max() <= bound
        assert not layer.bias.any()


@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_few_steps_learn_to_copy(batch_norm):
    """From its own initial weights, a tiny pair tells eight images apart."""
    torch.manual_seed(0)
    images = (torch.rand(8, 1, 8, 8) > 0.5).float()
    down, up = (
        encoder(8, width=8, outputs=8, batch_norm=batch_norm),
        decoder(8, width=8, inputs=8, batch_norm=batch_norm),
    )
    optimizer = torch.optim.Adam([*down.parameters(), *up.parameters()], lr=1e-2)
    for _ in range(150):
        loss = (torch.sigmoid(up(down(images))) - images).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.03  # the mean image's: about 0.22


def test_weights_are_not_shared():
    for source in (encoder(8), MLPEncoder(5, 0, sample_shape=[1, 8, 8], widths=[7])):
        with pytest.raises(
            ConfigError, match=r"^model\.tied=true: a convolutional .* set model/coders=mlp or model\.tied=false$"
        ):
            decoder(8).tie(source)
