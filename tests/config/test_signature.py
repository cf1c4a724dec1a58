import importlib
import inspect
import subprocess
import sys
import typing
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from ganlab.config.paths import conf_folder
from ganlab.config.signature import TargetNotFound, parameters_of, public_names


def targets_in(node):
    if isinstance(node, dict):
        found = [node["_target_"]] if isinstance(node.get("_target_"), str) else []
        return found + [target for child in node.values() for target in targets_in(child)]
    return []


def shipped_targets():
    files = [path for group in ("model", "data") for path in sorted((conf_folder() / group).rglob("*.yaml"))]
    return sorted({target for path in files for target in targets_in(OmegaConf.to_container(OmegaConf.load(path)))})


def imported_parameters(target):
    """name -> (annotation, required), from the class itself: its keyword-only parameters, and through **kwargs those
    of the classes that it inherits from."""
    module, _, name = target.rpartition(".")
    found = getattr(importlib.import_module(module), name)
    constructors = (
        [vars(cls)["__init__"] for cls in inspect.getmro(found) if "__init__" in vars(cls)]
        if isinstance(found, type)
        else [found]
    )
    parameters = {}
    for constructor in constructors:
        hints = typing.get_type_hints(constructor, include_extras=True)
        signature = inspect.signature(constructor).parameters.values()
        for parameter in signature:
            if parameter.kind is parameter.KEYWORD_ONLY:
                required = parameter.default is parameter.empty
                parameters.setdefault(parameter.name, (hints[parameter.name], required))
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in signature):
            break
    return parameters


def test_there_are_targets_of_each_kind():
    assert {"ganlab.models.gan.GAN", "ganlab.networks.dcgan.DCGANGenerator", "ganlab.data.points.RingData"} <= set(
        shipped_targets()
    )


@pytest.mark.parametrize("target", shipped_targets())
def test_what_is_read_from_the_source_is_what_python_sees(target):
    read = {parameter.name: (parameter.annotation, parameter.required) for parameter in parameters_of(target)}
    assert read == imported_parameters(target)


def test_inherited_parameters_are_found_through_several_modules():
    names = {parameter.name for parameter in parameters_of("ganlab.models.cgan.CGAN")}
    # One from each class of the line CGAN, GAN, AdversarialModel, GenerativeModel.
    assert {"condition_size", "loss", "discriminator_updates", "latent_dim"} <= names


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("ganlab.models.wgam.WGAN", "there is no module 'ganlab.models.wgam'"),
        ("nowhere.at.all.Thing", "there is no module 'nowhere.at.all'"),
        ("ganlab.models.gan.GANN", "ganlab.models.gan has no 'GANN'"),
        ("GAN", "there is no module ''"),
    ],
)
def test_a_target_that_is_not_there(target, said):
    with pytest.raises(TargetNotFound, match="^" + said):
        parameters_of(target)


def test_only_own_public_names_are_offered():
    assert public_names("ganlab.networks.mlp") == ["MLPGenerator", "MLPDiscriminator"]


def write_package(folder: Path, monkeypatch, **modules):
    package = folder / "elsewhere"
    package.mkdir()
    (package / "__init__.py").write_text("")
    for name, text in modules.items():
        (package / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(folder)


def test_a_users_own_class(tmp_path, monkeypatch):
    base = (
        "from ganlab.config.types import PositiveInt\nclass Base:\n    def __init__(self, *, width: PositiveInt): ...\n"
    )
    own = (
        "from elsewhere.base import Base as Parent\nimport something_that_is_not_installed\n"
        "class Silent(Parent):\n    pass\n"
        "class Closed(Parent):\n    def __init__(self, latent, *, depth: int = 2): ...\n"
        "class Foreign:\n    def __init__(self, *, device: torch.device, call: make(), bare=1): ...\n"
        "def function(data, *, rate: float): ...\n"
    )
    write_package(tmp_path, monkeypatch, base=base, own=own)

    def read(name):
        return {p.name: (p.annotation, p.required) for p in parameters_of(f"elsewhere.own.{name}")}

    from ganlab.config.types import PositiveInt

    assert read("Silent") == {"width": (PositiveInt, True)}
    assert read("Closed") == {"depth": (int, False)}  # no **kwargs: the parent's are not passed on
    any_type = typing.Any
    assert read("Foreign") == {"device": (any_type, True), "call": (any_type, True), "bare": (any_type, False)}
    assert read("function") == {"rate": (float, True)}


def test_checking_imports_nothing_heavy():
    program = """
import sys
from hydra import compose, initialize_config_dir
from ganlab.config import resolvers
from ganlab.config.callback import check_job
from ganlab.config.paths import conf_folder
import ganlab.tasks.launch
resolvers.register()
with initialize_config_dir(str(conf_folder()), version_base="1.3"):
    config = compose("config", overrides=["model=dcgan", "data=celeba"])
check_job(config, [])
assert "autoencoder" not in config.optimizer, "the check did not run"
print(sorted({name.partition(".")[0] for name in sys.modules}))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(eval(done.stdout))
    assert {"ganlab", "hydra", "pydantic"} <= loaded
    assert not loaded & {"torch", "lightning", "torchvision", "torchmetrics", "sklearn", "scipy", "matplotlib", "PIL"}
