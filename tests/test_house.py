"""The floors of the house: what each part may import of the others. Nothing imports upwards."""

import ast
from pathlib import Path

import pytest

import ganlab

SOURCE = Path(ganlab.__file__).parent

GROUND = {"config", "counting", "errors", "files", "typed_path"}
MAY_IMPORT = {
    "errors": set(),
    "counting": set(),
    "files": {"errors"},
    "meeting": {"errors"},
    "typed_path": {"errors"},
    "config": GROUND | {"meeting"},
    "objectives": set(),
    "networks": {"config", "errors"},
    "data": GROUND,
    "metrics": GROUND,
    "pictures": {"errors", "files"},
    "models": {"objectives", "networks", "config", "counting", "errors"},
    "callbacks": {"models", "data", "metrics", "pictures"} | GROUND,
    "tasks": {"callbacks", "models", "data", "metrics", "pictures", "meeting"} | GROUND,
    "claims": {"tasks", "callbacks", "models", "data", "metrics", "pictures", "networks", "objectives"} | GROUND,
    "__main__": {"tasks"},
    "augment": {"tasks"},
    "claim": {"claims"},
    "compare": {"tasks"},
    "complete": {"tasks"},
    "encode": {"tasks"},
    "evaluate": {"tasks"},
    "explore": {"tasks"},
    "export": {"tasks"},
    "probe": {"tasks"},
    "sample": {"tasks"},
}
"""Beside itself and the version, which is for everyone."""
OF_MODELS_FOR_OTHERS = {"ganlab.models.base"}
"""Families are built by `_target_`; others know their common base alone."""
LIGHT = {"errors", "files", "typed_path", "config"}
HEAVY = {"torch", "lightning", "torchvision", "torchmetrics", "sklearn", "matplotlib"}


def imports_of(source: str) -> list[str]:
    """Dotted names that a module imports, in functions too: `from a import b` is a.b."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def floor_of(name: str) -> str:
    """The part of ganlab that a dotted name belongs to; empty for the package itself and for foreign ones."""
    package, _, rest = name.partition(".")
    part = rest.partition(".")[0]
    return part if package == "ganlab" and part in MAY_IMPORT else ""


def violations(floor: str, source: str) -> list[str]:
    """Imports of a module of that floor that the house does not allow."""
    imported = imports_of(source)
    wrong = [name for name in imported if floor_of(name) and floor_of(name) not in MAY_IMPORT[floor] | {floor}]
    if floor != "models":
        of_models = [name for name in imported if floor_of(name) == "models"]
        wrong += [name for name in of_models if name.rpartition(".")[0] not in OF_MODELS_FOR_OTHERS]
    if floor == "objectives":
        wrong += [name for name in imported if name.partition(".")[0] in {"lightning", "hydra", "omegaconf"}]
    return sorted(set(wrong))


def modules() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if path.relative_to(SOURCE).parts[0] != "conf")


def test_every_part_has_its_floor():
    parts = {path.relative_to(SOURCE).parts[0].removesuffix(".py") for path in modules()}
    assert parts - {"__init__"} == set(MAY_IMPORT)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_nothing_imports_what_is_not_below_it(path):
    part = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    if part == "__init__":
        assert imports_of(path.read_text()) == []
    else:
        assert violations(part, path.read_text()) == []


@pytest.mark.parametrize("part", sorted(LIGHT))
def test_what_answers_before_torch_is_loaded_does_not_load_it(part):
    for path in modules():
        if path.relative_to(SOURCE).parts[0].removesuffix(".py") == part:
            assert not {name.partition(".")[0] for name in imports_of(path.read_text())} & HEAVY, path.name


@pytest.mark.parametrize(
    ("floor", "source", "wrong"),
    [
        ("data", "from ganlab.networks.mlp import MLPGenerator", ["ganlab.networks.mlp.MLPGenerator"]),
        ("networks", "import ganlab.objectives.adversarial", ["ganlab.objectives.adversarial"]),
        ("objectives", "from lightning import LightningModule", ["lightning.LightningModule"]),
        ("metrics", "def f():\n    from ganlab.data.batch import Batch", ["ganlab.data.batch.Batch"]),
        ("models", "from ganlab.callbacks.finite import FiniteGuard", ["ganlab.callbacks.finite.FiniteGuard"]),
        ("callbacks", "from ganlab.tasks import console", ["ganlab.tasks.console"]),
        ("tasks", "from ganlab.models.gan import GAN", ["ganlab.models.gan.GAN"]),
        ("tasks", "from ganlab.models import gan", ["ganlab.models.gan"]),
        ("tasks", "from ganlab.models.base import GenerativeModel", []),
        ("models", "from ganlab.models.gan import GAN\nfrom ganlab import __version__\nimport torch", []),
    ],
)
def test_this_test_sees_what_it_should(floor, source, wrong):
    assert violations(floor, source) == wrong
