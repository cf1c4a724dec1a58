import pytest

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
