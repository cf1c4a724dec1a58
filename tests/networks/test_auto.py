import inspect

import pytest
import yaml

from ganlab.config.paths import conf_folder
from ganlab.errors import ConfigError
from ganlab.networks import auto
from ganlab.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from ganlab.networks.mlp import MLPDiscriminator, MLPGenerator


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
