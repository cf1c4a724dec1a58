"""What a run that may be a stranger's is allowed to name, and what is found of what it is not."""

import itertools
import re
from pathlib import Path

import pytest
import yaml

from ganlab.config.paths import conf_folder
from ganlab.config.trust import INTERPOLATIONS, LIBRARIES, is_component, verify_resolved, verify_run_configuration
from ganlab.errors import CheckpointError

GAN = {"_target_": "ganlab.models.gan.GAN"}
FOREIGN = {"_target_": "os.system"}
MLP = {"_target_": "ganlab.networks.mlp.MLPGenerator"}
MODULE = {"_target_": "ganlab.metrics.extractors.module.Module"}


def targets_of(node):
    """All `_target_`s in a configuration file."""
    if isinstance(node, dict):
        own = [node["_target_"]] if "_target_" in node else []
        return own + list(itertools.chain.from_iterable(map(targets_of, node.values())))
    return list(itertools.chain.from_iterable(map(targets_of, node))) if isinstance(node, list) else []


def own_files():
    return [
        path for path in sorted(conf_folder().rglob("*.yaml")) if path.relative_to(conf_folder()).parts[0] != "hydra"
    ]


@pytest.mark.parametrize("path", own_files(), ids=lambda path: str(path.relative_to(conf_folder())))
def test_all_that_the_projects_own_configuration_names_is_let_in(path):
    content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    content.pop("hydra", None)  # a command's own, and never a run's
    assert [target for target in targets_of(content) if not is_component(target)] == []
    text = yaml.safe_dump(content)
    assert text.count("${") == len(INTERPOLATIONS.findall(text))


@pytest.mark.parametrize(
    "target",
    [
        *("auto", "torch.nn.Flatten", "torchvision.models.resnet18", "torchvision.models.vit_b_16"),
        "lightning.pytorch.callbacks.LearningRateMonitor",
    ],
)
def test_libraries_that_are_named(target):
    assert is_component(target)


@pytest.mark.parametrize(
    "target",
    [
        *("os.system", "builtins.eval", "eval", "subprocess.run", "torch.load", "torch.hub.load", "pickle.loads"),
        *(
            "hydra.utils.instantiate",
            "hydra._internal.instantiate._instantiate2.instantiate",
            "importlib.import_module",
        ),
        *("margin.MarginGAN", "ganlab", "ganlab.models", "ganlab.models.gan", "ganlab.models.gan.", ".gan.GAN", ""),
        *("ganlab.files.remove_refused_run", "ganlab.data.cifar.read_batch", "ganlab.data.cifar._ArraysOnly"),
        # attributes reached through an allowed module
        *(
            "ganlab.models.gan.torch.os.system",
            "ganlab.models.gan.GAN.load_from_checkpoint",
            "ganlab.data.cache.shutil.rmtree",
        ),
        *("ganlab.data.cache.Path", "ganlab.models.gan.AdversarialModel", "torch.nn.modules.module.warnings.sys.exit"),
        *("torch.nn.functional.relu", "torch.nn.Module.load_state_dict", "torchvision.models.get_model"),
        *("torchvision.models.resnet.load_state_dict_from_url", "lightning.pytorch.callbacks.ModelCheckpoint"),
        *("lightning.pytorch.callbacks.LambdaCallback", "ganlab.callbacks.checkpoints.Checkpoints"),
        # what looks like a module's name and is a path
        *(
            "ganlab.models./tmp/evil.GAN",
            "ganlab.models..gan.GAN",
            "ganlab.models.gan\n.GAN",
            "ganlab.models.gan.GAN\n",
        ),
        *("ganlab.modelsx.gan.GAN", "ganlab.models.gan.ＧＡＮ", None, 3),
    ],
)
def test_what_is_no_component(target):
    assert not is_component(target)


def test_what_the_patterns_of_libraries_let_in_makes_networks_and_nothing_else():
    import torch
    import torchvision

    for name, thing in vars(torch.nn).items():
        if LIBRARIES.fullmatch(f"torch.nn.{name}"):
            assert isinstance(thing, type) and thing.__module__.startswith("torch.nn."), name
    for name, thing in vars(torchvision.models).items():
        if is_component(f"torchvision.models.{name}") and callable(thing):
            assert thing.__module__.startswith("torchvision.models."), name
            assert issubclass(__import__("typing").get_type_hints(thing)["return"], torch.nn.Module), name


@pytest.mark.parametrize(
    "config",
    [
        {"model": {"_target_": "os.system", "command": "true"}},
        {"model": {**GAN, "generator": FOREIGN}},
        {"model": {**GAN, "recommended": {"deep": [[{"below": {"_args_": [FOREIGN]}}]]}}},
        {
            "model": {
                **GAN,
                "generator": {"_target_": "ganlab.networks.mlp.MLPGenerator", "_partial_": FOREIGN},
            }
        },
        {"data": FOREIGN},
        {"callbacks": {"extra": [FOREIGN]}},
        {
            "metrics": {
                "extractor": {
                    "_target_": "ganlab.metrics.extractors.module.Module",
                    "module": FOREIGN,
                }
            }
        },
        {"logger": {"mine": FOREIGN}},
        {"optimizer": {"generator": FOREIGN}},
    ],
)
def test_a_foreign_name_is_found_wherever_it_stands(config):
    with pytest.raises(CheckpointError) as refused:
        verify_run_configuration(config, "run=x", trusted=False)
    assert str(refused.value) == (
        "run=x: its configuration names os.system, which is no component of ganlab's; "
        "if you trust this run, add trust=true"
    )
    verify_run_configuration(config, "run=x", trusted=True)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "${oc.env:HOME}",
            "${oc.env:GANLABX}",
            "${ oc.env:HOME }",
            "${oc.env :HOME}",
            r"\${oc.env:HOME}",
            "${hydra:job}",
        ),
        *("${oc.decode:'1'}", "${now:%Y}", "${${x}:HOME}", "${recommended:adam,lr,${oc.env:HOME}}", "${oc.env:${x}}"),
        *("${oc.env:'HOME'}", "${oc.create:{a:1}}", "${mine:3}", "a ${oc.env:GANLAB_CACHE} ${oc.env:HOME}", "${"),
    ],
)
def test_an_environment_variable_or_a_resolver_that_is_not_ganlabs_is_named(text):
    with pytest.raises(CheckpointError, match="names " + re.escape(" ".join(text.split()))):
        verify_run_configuration({"name": text}, "run=x", trusted=False)
    verify_run_configuration({"name": text}, "run=x", trusted=True)


def test_several_foreign_names_are_one_line():
    config = {"data": {"a": [{"_target_": f"x.{name}"} for name in "abcd"]}, "name": "x" * 70 + "${oc.env:HOME}"}
    with pytest.raises(CheckpointError) as refused:
        verify_run_configuration(config, "run=x", trusted=False)
    assert str(refused.value).count(" and ") == 3 and "\n" not in str(refused.value)


def cycle():
    node: dict = {}
    node["again"] = node
    return node


def laughs():
    node: list = ["ha"]
    for _ in range(20):
        node = [node, node]
    return node


@pytest.mark.parametrize(
    "config",
    [
        *(None, [], "model", {"hydra": {}}, {1: 2}, {"model": {1: 2}}, {"data": {"a": object}}, {"data": {"a": b"x"}}),
        *({"model": cycle()}, {"model": {"a": laughs()}}, {"model": {"_target_": ["os.system"]}}),
    ],
)
@pytest.mark.parametrize("trusted", [False, True])
def test_what_is_no_plain_configuration_is_refused_even_if_it_is_trusted(config, trusted):
    with pytest.raises(CheckpointError, match=r"^run=x: its configuration is not one of ganlab's: .*$"):
        verify_run_configuration(config, "run=x", trusted=trusted)


def test_an_interpolation_that_was_put_together_is_seen_when_it_is_resolved():
    with pytest.raises(CheckpointError, match="makes an interpolation"):
        verify_resolved({"name": "${oc.env:HOME}"}, "run=x")
    verify_resolved({"name": "$HOME {x}"}, "run=x")


def test_no_source_is_run_to_look_at_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("evil.py").write_text("open('was_here', 'w')\nclass GAN: pass\n")
    assert not is_component("evil.GAN")
    assert not Path("was_here").exists()
