import inspect
import re

import pytest
import torch
import yaml
from omegaconf import OmegaConf

from ganlab.config import resolvers
from ganlab.config.paths import conf_folder
from ganlab.errors import ConfigError
from ganlab.networks import auto
from ganlab.networks.convolutional_autoencoder import ConvolutionalDecoder, ConvolutionalEncoder
from ganlab.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from ganlab.networks.mlp import MLPDiscriminator, MLPGenerator
from ganlab.networks.mlp_autoencoder import MLPDecoder, MLPEncoder


@pytest.mark.parametrize(
    ("shape", "kinds"), [([2], (MLPGenerator, MLPDiscriminator)), ([1, 8, 8], (DCGANGenerator, DCGANDiscriminator))]
)
def test_points_get_mlps_and_images_convolutions(shape, kinds):
    built = auto.generator(4, 3, sample_shape=shape), auto.discriminator(3, sample_shape=shape)
    assert tuple(map(type, built)) == kinds
    narrow = auto.generator(4, 3, sample_shape=shape, width=2), auto.discriminator(3, sample_shape=shape, width=2)
    plain = kinds[0](4, 3, sample_shape=shape), kinds[1](3, sample_shape=shape)

    def shapes(network):
        return {name: tuple(parameter.shape) for name, parameter in network.named_parameters()}

    for network, default, thin in zip(built, plain, narrow, strict=True):
        assert shapes(network) == shapes(default)
        assert shapes(thin) != shapes(default)


@pytest.mark.parametrize(("shape", "by_default"), [([2], False), ([1, 16, 16], True)])
def test_batch_norm_in_the_discriminator_is_a_choice(shape, by_default):
    def has_batch_norm(**options):
        network = auto.discriminator(0, sample_shape=shape, width=4, **options)
        return any("BatchNorm" in type(module).__name__ for module in network.modules())

    assert (has_batch_norm(), has_batch_norm(norm="batch"), has_batch_norm(norm="none")) == (by_default, True, False)


def shapes_of(network):
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize(("shape", "kind"), [([2], MLPDiscriminator), ([1, 8, 8], DCGANDiscriminator)])
def test_options_of_the_discriminator_reach_the_network(shape, kind):
    options = {"norm": "spectral", "gain": 1.5, "minibatch_kernels": 3, "minibatch_dims": 2, "width": 4}
    if kind is DCGANDiscriminator:
        options["conditioning"] = "projection"
    built = auto.discriminator(2, 4, sample_shape=shape, **options)
    assert shapes_of(built) == shapes_of(kind(2, 4, sample_shape=shape, **options))
    assert {module.gain for module in built.modules() if hasattr(module, "gain")} == {1.5}
    for left_out in options.keys() - {"norm"}:
        fewer = {key: value for key, value in options.items() if key != left_out}
        nulled = auto.discriminator(2, sample_shape=shape, **fewer, **{left_out: None})
        assert shapes_of(nulled) == shapes_of(kind(2, sample_shape=shape, **fewer)), left_out


@pytest.mark.parametrize("conditioning", ["planes", "embedded", "projection"])
def test_conditions_of_points_enter_in_one_way_only(conditioning):
    with pytest.raises(ConfigError, match=rf"^model\.discriminator\.conditioning={conditioning}: .*points.*null$"):
        auto.discriminator(2, sample_shape=[2], conditioning=conditioning)


@pytest.mark.parametrize("shape", [[2], [1, 8, 8]])
def test_a_gain_of_its_own_needs_spectral_normalisation(shape):
    with pytest.raises(ConfigError, match=r"gain=3.*norm=spectral"):
        auto.discriminator(0, sample_shape=shape, gain=3.0)


@pytest.mark.parametrize(
    ("name", "network"), [("auto", auto.discriminator), ("dcgan", DCGANDiscriminator), ("mlp", MLPDiscriminator)]
)
def test_every_option_stands_in_the_file_with_its_default(name, network):
    node = yaml.safe_load((conf_folder() / f"model/networks/{name}.yaml").read_text())["discriminator"]
    options = {
        name: parameter.default
        for name, parameter in inspect.signature(network).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name != "sample_shape"
    }
    assert {key: value for key, value in node.items() if key not in ("_target_", "sample_shape")} == options


# -- encoders and decoders ------------------------------------------------------------------------------------------

CONVOLUTIONAL = [[1, 8, 8], [3, 16, 16], [1, 64, 64]]
FULLY_CONNECTED = [[2], [64], [1, 4, 4], [1, 28, 28], [3, 16, 32], [1, 12, 12], [1, 1, 1]]


@pytest.mark.parametrize("shape", CONVOLUTIONAL + FULLY_CONNECTED, ids=str)
def test_coders_are_convolutional_where_halving_leads_to_4x4_and_fully_connected_elsewhere(shape):
    built = auto.encoder(6, 3, sample_shape=shape), auto.decoder(5, 3, sample_shape=shape)
    if shape in CONVOLUTIONAL:
        kinds, options = (ConvolutionalEncoder, ConvolutionalDecoder), ({}, {})
    else:
        kinds, options = (MLPEncoder, MLPDecoder), ({"widths": [256, 128]}, {"widths": [128, 256]})
    assert tuple(map(type, built)) == kinds
    assert shapes_of(built[0]) == shapes_of(kinds[0](6, 3, sample_shape=shape, **options[0]))
    assert shapes_of(built[1]) == shapes_of(kinds[1](5, 3, sample_shape=shape, **options[1]))


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ([2], {"widths": [7, 5], "activation": "tanh"}),
        ([2], {"widths": []}),
        ([1, 16, 16], {"width": 3, "batch_norm": True}),
    ],
    ids=str,
)
def test_options_of_the_coders_reach_the_networks(shape, options):
    images = shape != [2]
    encoder = (ConvolutionalEncoder if images else MLPEncoder)(
        4, 0, sample_shape=shape, code_activation="sigmoid", **options
    )
    built = auto.encoder(4, 0, sample_shape=shape, code_activation="sigmoid", **options)
    assert shapes_of(built) == shapes_of(encoder)
    assert repr(built) == repr(encoder)
    decoder = (ConvolutionalDecoder if images else MLPDecoder)(4, 0, sample_shape=shape, **options)
    built = auto.decoder(4, 0, sample_shape=shape, **options)
    assert shapes_of(built) == shapes_of(decoder)
    assert repr(built) == repr(decoder)


@pytest.mark.parametrize("coder", ["encoder", "decoder"])
@pytest.mark.parametrize(
    ("shape", "option", "value", "line"),
    [
        (
            [1, 8, 8],
            "widths",
            [7, 5],
            r"for these images the layers are convolutional, .*; choose model/coders=mlp, or .*null",
        ),
        (
            [1, 8, 8],
            "widths",
            [],
            r"for these images the layers are convolutional, .*; choose model/coders=mlp, or .*null",
        ),
        ([1, 8, 8], "activation", "relu", r"for these images .*; choose model/coders=mlp, or leave it null"),
        ([1, 28, 28], "width", 8, r"only convolutional layers have it, which need square images .*; leave it null"),
        ([2], "batch_norm", False, r"only convolutional layers have it, .*; leave it null"),
    ],
)
def test_an_option_of_the_other_kind_of_coder_is_told_in_a_line(coder, shape, option, value, line):
    with pytest.raises(ConfigError, match=rf"^{re.escape(f'model.{coder}.{option}={value}')}: {line}$"):
        getattr(auto, coder)(4, 0, sample_shape=shape, **{option: value})


@pytest.mark.parametrize(
    ("name", "networks"),
    [
        ("auto", (auto.encoder, auto.decoder)),
        ("mlp", (MLPEncoder, MLPDecoder)),
        ("convolutional", (ConvolutionalEncoder, ConvolutionalDecoder)),
    ],
)
def test_every_option_of_the_coders_stands_in_the_file(name, networks):
    file = OmegaConf.load(conf_folder() / f"model/coders/{name}.yaml")
    config = OmegaConf.create({"model": file, "data": {"sample_shape": [1, 8, 8]}})
    resolvers.register()
    assert set(file) == {"encoder", "decoder"}
    for coder, network in zip(("encoder", "decoder"), networks, strict=True):
        node = OmegaConf.to_container(config.model[coder], resolve=True)
        target, options = node.pop("_target_"), inspect.signature(network).parameters.values()
        assert target == f"{network.__module__}.{network.__name__}"
        keywords = [option for option in options if option.kind is option.KEYWORD_ONLY]
        assert list(node) == [option.name for option in keywords]
        defaults = {option.name: option.default for option in keywords if option.default is not option.empty}
        assert {key: node[key] for key in defaults} == defaults
        assert network(2, 0, **node)(torch.rand(3, *([1, 8, 8] if coder == "encoder" else [2]))).shape[0] == 3


@pytest.mark.parametrize(
    ("name", "changed"),
    [("mlp", "widths=[9,7,5]"), ("auto", "widths=[9,7,5]"), ("convolutional", "width=3"), ("auto", "width=3")],
)
def test_the_decoder_follows_the_encoder_until_it_is_told_otherwise(name, changed):
    file = OmegaConf.load(conf_folder() / f"model/coders/{name}.yaml")
    resolvers.register()

    def decoder(*overrides):
        given = OmegaConf.from_dotlist([f"model.{override}" for override in overrides])
        return OmegaConf.merge({"model": file, "data": {"sample_shape": [1, 8, 8]}}, given).model.decoder

    key, _, value = changed.partition("=")
    mirrored = [5, 7, 9] if key == "widths" else 3
    assert decoder(f"encoder.{changed}")[key] == mirrored
    assert decoder(f"encoder.{changed}", f"decoder.{key}={value.replace('3', '2').replace('9,7,', '')}")[key] == (
        [5] if key == "widths" else 2
    )
