"""Files outside the package that tests run: scripts and benchmarks."""

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]


def loaded_file(name: str) -> ModuleType:
    """loaded_file("benchmarks/speed.py"): the file as a module of its own, made anew at every call."""
    path = ROOT / name
    specification = importlib.util.spec_from_file_location(path.stem, path)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module
