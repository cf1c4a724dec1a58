"""conf/model/dcgan.yaml holds the paper's section 4, and the model the networks of its section 3."""

from ganlab.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from ganlab.tasks.building import build_model


def test_the_defaults_are_the_papers(settings):
    config = settings("model=dcgan", "data=celeba")
    assert config["data"]["batch_size"] == 128 and config["data"]["image_size"] == 64
    assert config["model"]["latent_dim"] == 100 and config["model"]["prior"] == "uniform"
    for network in ("generator", "discriminator"):
        optimizer = config["optimizer"][network]
        assert (optimizer["algorithm"], optimizer["lr"], optimizer["betas"]) == ("adam", 2e-4, [0.5, 0.999])
    model = build_model(config)
    assert isinstance(model.generator, DCGANGenerator) and isinstance(model.discriminator, DCGANDiscriminator)


def test_the_papers_preset_has_its_thousand_maps_and_no_average(settings):
    model = build_model(settings("experiment=dcgan_paper"))
    assert model.generator.project.out_features == 1024 * 4 * 4
    assert model.generator_ema is None
