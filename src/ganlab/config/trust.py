"""What a run that may come from somebody else is allowed to name: components of ganlab's and of known libraries.

A configuration makes whatever its `_target_`s name, so a run's configuration would be code if nobody looked at it. What
is typed on the command line, or lies in the user's own configuration folder, is the user's and is not looked at here.
What was read from a run's folder or checkpoint is, before anything of it is resolved, imported or made.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ganlab.config.schema import RunConfig
from ganlab.config.scores import AUTO
from ganlab.config.signature import defined_names
from ganlab.errors import CheckpointError

COMPONENTS = ("ganlab.models", "ganlab.networks", "ganlab.data", "ganlab.metrics.extractors")
"""Packages whose public classes are components."""
FACTORIES = "ganlab.networks.auto"
"""The module whose public functions are components too."""
CALLBACKS = ("DeviceStatsMonitor", "EarlyStopping", "LearningRateMonitor", "ModelSummary", "RichModelSummary", "Timer")
"""Lightning's that write no file to a place of their choosing and call no function they are given."""
LIBRARIES = re.compile(
    rf"lightning\.pytorch\.callbacks\.({'|'.join(CALLBACKS)})"
    r"|torch\.nn\.[A-Z][A-Za-z0-9]*"  # layers; all names in capitals there are classes of modules and parameters
    r"|torchvision\.models\.[a-z][a-z0-9]*(_[a-z0-9]+)*"  # networks, made by functions
)
NOT_NETWORKS = ("torchvision.models.get_", "torchvision.models.list_")
REFERENCE = r"\$\{\.*[A-Za-z_][\w.\[\]]*\}"
RESOLVER = r"\$\{(?:recommended|mirrored|condition_size|oc\.select):"
OWN_ENVIRONMENT = r"\$\{oc\.env:GANLAB_\w+[,}]"
INTERPOLATIONS = re.compile("|".join((REFERENCE, RESOLVER, OWN_ENVIRONMENT)))
"""Those of ganlab's own configuration. Another environment variable may be a secret, and runs are shared."""
DEEPEST, MOST = 24, 20_000
"""Levels and values of a configuration; those of ganlab's have 6 and a few hundred."""


def verify_run_configuration(config: Any, run: str, *, trusted: bool) -> None:
    """Raise `CheckpointError`, a line, for a run's configuration that is no plain data or names what is not ganlab's.

    `run`: how the run was given, as in run=outputs/…; `trusted`: the user said trust=true, and names may be any.
    """
    try:
        values = list(_values(config))
    except ValueError as wrong:
        raise CheckpointError(f"{run}: its configuration is not one of ganlab's: {wrong}") from None
    if not trusted and (foreign := _foreign(values)):
        named = " and ".join(foreign[:3]) + (" and others" if len(foreign) > 3 else "")
        raise CheckpointError(
            f"{run}: its configuration names {named}, which is no component of ganlab's; "
            "if you trust this run, add trust=true"
        )


def needs_trust(config: Any) -> bool:
    """Whether a run of this configuration goes on only with trust=true."""
    return bool(_foreign(list(_values(config))))


def verify_resolved(config: Any, run: str) -> None:
    """Raise `CheckpointError` if values hold interpolations still: they would be resolved once more, later."""
    if any("${" in value for _, value in _values(config) if isinstance(value, str)):
        raise CheckpointError(f"{run}: its configuration is not one of ganlab's: a value makes an interpolation")


def _values(config: Any) -> Iterator[tuple[str, Any]]:
    """Key and value of every leaf, and of every `_target_`; raises `ValueError` if anything is no plain data."""
    if not isinstance(config, Mapping):
        raise ValueError("it is no group of keys")
    unknown = [str(key) for key in config if key not in RunConfig.model_fields]
    if unknown:
        raise ValueError(f"{unknown[0]}: unknown key")
    stack: list[tuple[str, Any, int]] = [("", config, 0)]
    seen = 0
    while stack:
        key, node, depth = stack.pop()
        seen += 1
        if depth > DEEPEST or seen > MOST:
            raise ValueError("it has no end")
        if key == "_target_" and not isinstance(node, str):
            raise ValueError("a _target_ must be the dotted name of a class")
        if isinstance(node, dict):
            if not all(isinstance(name, str) for name in node):
                raise ValueError(f"{key}: its keys must be words")
            stack += [(name, child, depth + 1) for name, child in node.items()]
        elif isinstance(node, list):
            stack += [("", child, depth + 1) for child in node]
        elif node is None or isinstance(node, (str, bool, int, float)):
            yield key, node
        else:
            raise ValueError(f"{key}: a {type(node).__name__} is no plain value")


def _foreign(values: list[tuple[str, Any]]) -> list[str]:
    """What is named that is not ganlab's or a known library's, each once, as a user would look for it."""
    targets = [str(value) for key, value in values if key == "_target_" and not is_component(value)]
    texts = [value for _, value in values if isinstance(value, str) and not _plain_interpolations(value)]
    return list(dict.fromkeys(_shown(name) for name in [*targets, *texts]))


def is_component(target: Any) -> bool:
    """Whether a `_target_` is one that anybody's run may name: found in the source, without importing anything."""
    if target == AUTO:
        return True
    if not isinstance(target, str) or not re.fullmatch(r"[A-Za-z]\w*(\.[A-Za-z]\w*)+", target, re.ASCII):
        return False
    if LIBRARIES.fullmatch(target):
        return not target.startswith(NOT_NETWORKS)
    module, _, name = target.rpartition(".")
    if not any(module == package or module.startswith(f"{package}.") for package in COMPONENTS):
        return False
    return name in defined_names(module, functions=module == FACTORIES)


def _plain_interpolations(text: str) -> bool:
    """Whether every interpolation in a text is a reference, or one that ganlab's own configuration uses."""
    return text.count("${") == len(INTERPOLATIONS.findall(text))


def _shown(name: str) -> str:
    text = " ".join(name.split())
    return text if len(text) <= 60 else text[:57] + "…"
