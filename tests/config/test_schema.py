"""Each key that users and scripts rely on is there, and the shipped files say every key that the schema knows."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

import ganlab
from ganlab.config import schema
from ganlab.config.paths import conf_folder
from ganlab.config.signature import parameters_of

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


EXTRACTORS = [path.stem for path in (conf_folder() / "metrics" / "extractor").glob("*.yaml")]
ASKED = {"module": ["metrics.extractor.module={_target_: torch.nn.Flatten, start_dim: 1}"]}


@pytest.mark.parametrize("name", EXTRACTORS)
def test_shipped_extractors_say_every_key_and_pass_the_check(settings, name):
    node = settings(f"metrics/extractor={name}", *ASKED.get(name, []))["metrics"]["extractor"]
    declared = set() if name == "auto" else {parameter.name for parameter in parameters_of(node["_target_"])}
    assert set(node) - {"_target_"} == declared


def test_each_shipped_extractor_has_a_configuration():
    folder = Path(ganlab.__file__).parent / "metrics" / "extractors"
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__", "base", "isolation"}
    assert modules | {"auto"} == set(EXTRACTORS)
