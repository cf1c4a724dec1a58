"""Each key that users and scripts rely on is there, and the shipped files say every key that the schema knows."""

import pytest
from omegaconf import OmegaConf

from ganlab.config import schema
from ganlab.config.paths import conf_folder

PROMISED = [
    "seed",
    "resume",
    "model.discriminator_updates",
    "model.latent_dim",
    "data.batch_size",
    "data.image_size",
    "optimizer.generator.lr",
    "optimizer.discriminator.lr",
    "trainer.max_iterations",
    "trainer.devices",
    "trainer.accelerator",
    "trainer.precision",
    "trainer.log_every",
    "trainer.sample_every",
    "trainer.evaluate_every",
    "trainer.checkpoint_every",
    "trainer.compile",
    "hydra.run.dir",
]


def test_the_promised_keys(job):
    config = job("model=dcgan", "data=cifar10")
    absent = object()
    assert [
        key
        for key in [*PROMISED, "data.root", "data.download"]
        if OmegaConf.select(config, key, default=absent) is absent
    ] == []


@pytest.mark.parametrize("group", ["trainer", "callbacks", "metrics", "logger"])
def test_shipped_options_say_every_key(group):
    known = set(schema.RunConfig.model_fields[group].annotation.model_fields)
    for path in (conf_folder() / group).glob("*.yaml"):
        node = OmegaConf.load(path)
        groups = {name for default in node.pop("defaults", []) if default != "_self_" for name in default}
        assert set(node) | groups == known, path.name


@pytest.mark.parametrize("algorithm", sorted(schema.OPTIMIZERS))
def test_shipped_optimizers_say_every_key(algorithm):
    node = OmegaConf.to_container(
        OmegaConf.load(conf_folder() / "optimizer" / "algorithm" / f"{algorithm}.yaml"), resolve=False
    )
    assert set(node) == set(schema.OPTIMIZERS[algorithm].model_fields)
    assert node["algorithm"] == algorithm
