"""What a class lets a user configure, read from its source without importing it.

The rule: keyword-only parameters of the constructor (or of a function) are what a
configuration may set; positional ones are supplied by the code. `**common` stands for
all keyword-only parameters of the first base class. Annotations are the types of
`ganlab.config.types`. Importing the class itself would cost seconds (torch, Lightning),
and a mistake in a configuration should be told at once.
"""

import ast
import functools
import importlib.util
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganlab.config import types as config_types

_NAMES: dict[str, Any] = {
    **{name: value for name, value in vars(config_types).items() if not name.startswith("_")},
    "Any": Any,
    "Literal": typing.Literal,
}


class TargetNotFound(Exception):
    """A `_target_` that names no class or function in a Python file."""


@dataclass(frozen=True)
class Parameter:
    """One thing that a user may set."""

    name: str
    annotation: Any
    required: bool


@functools.cache
def parameters_of(target: str) -> tuple[Parameter, ...]:
    """Keyword-only parameters of the class or function with the dotted name `target`.

    Raises `TargetNotFound` if there is no such module or no such name in it.
    """
    module, _, name = target.rpartition(".")
    return tuple(_parameters(_source(module), name, target).values())


def is_importable(target: str) -> bool:
    """Whether the package that a dotted name begins with is there; what it holds only an import would tell."""
    try:
        return importlib.util.find_spec(target.partition(".")[0]) is not None
    except (ImportError, ValueError):
        return False


def public_names(module: str) -> list[str]:
    """Names of the classes and functions that a module defines itself."""
    return _public(module, (ast.ClassDef, ast.FunctionDef))


def defined_names(module: str, *, functions: bool) -> list[str]:
    """Names of the classes, or of the functions, that a module defines itself; none if there is no such module."""
    try:
        return _public(module, (ast.FunctionDef,) if functions else (ast.ClassDef,))
    except TargetNotFound:
        return []


def _public(module: str, kinds: tuple[type[ast.stmt], ...]) -> list[str]:
    body = _parse(_source(module)).body
    return [node.name for node in body if isinstance(node, kinds) and not node.name.startswith("_")]  # type: ignore[attr-defined]


def _source(module: str) -> Path:
    """The file of a module; only the top-level package's location is asked of the import system."""
    top, *rest = module.split(".") if module else [""]
    try:
        spec = importlib.util.find_spec(top) if top else None
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        raise TargetNotFound(f"there is no module {module!r}")
    path = Path(spec.origin)
    for part in rest:
        folder = path.parent
        path = folder / part / "__init__.py"
        if not path.is_file():
            path = folder / f"{part}.py"
        if not path.is_file():
            raise TargetNotFound(f"there is no module {module!r}")
    return path


@functools.cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _parameters(path: Path, name: str, target: str) -> dict[str, Parameter]:
    tree = _parse(path)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return _keyword_only(node, target)
        if isinstance(node, ast.ClassDef) and node.name == name:
            return _constructor(node, path, target)
        if isinstance(node, ast.ImportFrom) and node.module and any((a.asname or a.name) == name for a in node.names):
            original = next(a.name for a in node.names if (a.asname or a.name) == name)
            return _parameters(_source(node.module), original, target)
    raise TargetNotFound(f"{target.rpartition('.')[0]} has no {name!r}")


def _constructor(node: ast.ClassDef, path: Path, target: str) -> dict[str, Parameter]:
    init = next((n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)
    inherited: dict[str, Parameter] = {}
    if (init is None or init.args.kwarg is not None) and node.bases and isinstance(node.bases[0], ast.Name):
        inherited = _parameters(path, node.bases[0].id, target)
    return inherited | (_keyword_only(init, target) if init else {})


def _keyword_only(function: ast.FunctionDef, target: str) -> dict[str, Parameter]:
    arguments = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    return {
        argument.arg: Parameter(argument.arg, _evaluate(argument.annotation, target), default is None)
        for argument, default in arguments
    }


def _evaluate(annotation: ast.expr | None, target: str) -> Any:
    """The annotation as a type; one that uses other names than a configuration's is taken as anything."""
    if annotation is None:
        return Any
    names = {node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)}
    calls = any(isinstance(node, (ast.Call, ast.Lambda, ast.Attribute)) for node in ast.walk(annotation))
    allowed = set(_NAMES) | {"int", "float", "str", "bool", "list", "dict", "tuple"}
    if calls or not names <= allowed:
        return Any
    builtins = {"int": int, "float": float, "str": str, "bool": bool, "list": list, "dict": dict, "tuple": tuple}
    expression = compile(ast.Expression(annotation), target, "eval")
    return eval(expression, {"__builtins__": {}}, _NAMES | builtins)
