"""One pass over the whole composed configuration; every problem at once, a line each."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from ganlab.config.nearest import nearest
from ganlab.config.schema import OPTIMIZERS, RunConfig, component_schema
from ganlab.config.scores import AUTO, problems_of_scores
from ganlab.config.signature import TargetNotFound, is_importable, public_names
from ganlab.errors import printable, shortened, typed

METADATA = ("_target_", "recommended", "trains")
"""Keys of a model that speak to the configuration and not to its constructor."""


def problems_of(config: Mapping[str, Any], derived: Collection[str] = ()) -> list[str]:
    """What is wrong with a composed, resolved configuration: one line a problem, empty if nothing is.

    `derived`: dotted names of values that follow from others by interpolation; they are not blamed for
    what is wrong with the data.
    """
    problems = _validate(RunConfig, config, prefix=())
    for group in ("model", "data"):
        node = config.get(group)
        if isinstance(node, Mapping):
            problems += _component_problems(node, (group,))
    metrics = config.get("metrics")
    if isinstance(metrics, Mapping):
        problems += extractor_problems(metrics.get("extractor")) + problems_of_scores(metrics)
    optimizers = config.get("optimizer")
    if isinstance(optimizers, Mapping):
        problems += [line for network, node in optimizers.items() for line in _optimizer_problems(node, network)]
    return _joined(_without_echoes(problems + _combination_problems(config), derived))


def problems_of_run(config: Mapping[str, Any]) -> list[str]:
    """What is wrong with a configuration that a run has saved; an earlier version's may lack keys that came later."""
    required = ("model", "data", "seed")
    lines = problems_of(config)
    return [line for line in lines if not line.endswith(": missing") or line.split(":")[0].split(".")[0] in required]


def _key(line: str) -> str:
    return re.split("[=:]", line, maxsplit=1)[0]


def _without_echoes(problems: list[str], derived: Collection[str]) -> list[str]:
    """Without the lines on values that follow from the data's, where something is wrong with the data itself."""
    echoes = [line for line in problems if any(f"{_key(line)}.".startswith(f"{name}.") for name in derived)]
    told = [line for line in problems if line not in echoes]
    return told if any(_key(line).startswith("data.") for line in told) else problems


def _joined(problems: list[str]) -> list[str]:
    """The same value of the same name, wrong in several networks, is one line."""
    keys: dict[tuple[str, str], list[str]] = {}
    for line in problems:
        key = _key(line)
        keys.setdefault((key.rpartition(".")[2], line.removeprefix(key)), []).append(key)
    return [", ".join(alike) + rest for (_, rest), alike in keys.items()]


def problems_of_component(node: Any, group: str) -> list[str]:
    """What is wrong with a group that names a class, as saved by a run: a line each."""
    if not isinstance(node, Mapping):
        return [f"{group}: missing"]
    return _component_problems(node, (group,))


def _component_problems(node: Mapping[str, Any], path: tuple[str, ...], *, foreign: bool = False) -> list[str]:
    """Problems of a node with a `_target_`, and of those inside it.

    `foreign`: a class of another package need not declare its configuration as ganlab's do; the package must be there.
    """
    target = node.get("_target_")
    where = ".".join((*path, "_target_"))
    if not isinstance(target, str):
        return [f"{where}: missing; it names the class to build, e.g. ganlab.models.gan.GAN"]
    if foreign and target.partition(".")[0] != "ganlab":
        package = target.partition(".")[0]
        return [] if is_importable(target) else [f"{where}={target}: there is no module {package!r}"]
    try:
        schema = component_schema(target, path[-1])
    except TargetNotFound as absent:
        return [f"{where}={target}: {absent}{_nearest_target(target)}"]
    values = {key: value for key, value in node.items() if key not in METADATA}
    problems = _validate(schema, values, prefix=path) + _problems_of_trained(node, path)
    for key, value in values.items():
        if isinstance(value, Mapping) and "_target_" in value:
            problems += _component_problems(value, (*path, key), foreign=foreign)
    return problems


def _problems_of_trained(node: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    trained = node.get("trains", ["any"])
    if isinstance(trained, list) and trained and all(isinstance(name, str) for name in trained):
        return []
    return [
        f"{'.'.join((*path, 'trains'))}={typed(str(trained))}: must be the list of the networks that the model trains"
    ]


def extractor_problems(node: Any) -> list[str]:
    """What is wrong with a configured feature extractor, a line each."""
    if not isinstance(node, Mapping):
        return []
    if node.get("_target_") == AUTO:
        return [
            f"metrics.extractor.{key}: unknown key; the extractor auto has none" for key in node if key != "_target_"
        ]
    return _component_problems(node, ("metrics", "extractor"), foreign=True)


def _optimizer_problems(node: Any, network: str) -> list[str]:
    algorithm = node.get("algorithm") if isinstance(node, Mapping) else None
    if algorithm not in OPTIMIZERS:
        return [f"optimizer.{network}.algorithm={_shown(algorithm)}: unknown{nearest(str(algorithm), OPTIMIZERS)}"]
    own = OPTIMIZERS[algorithm].model_fields.keys()
    if own - node.keys() and node.keys() - own:
        # Its keys are those of another algorithm: a line for each of them would not say how it is done.
        return [
            f"optimizer.{network}.algorithm={algorithm}: it has other keys than those that are set; "
            f"choose it by optimizer={algorithm}"
        ]
    return _validate(OPTIMIZERS[algorithm], node, prefix=("optimizer", network))


def _nearest_target(target: str) -> str:
    module, _, name = target.rpartition(".")
    try:
        return nearest(name, public_names(module))
    except TargetNotFound:
        return ""


def _validate(schema: type[BaseModel], values: Mapping[str, Any], prefix: tuple[str, ...]) -> list[str]:
    try:
        schema.model_validate(dict(values))
    except ValidationError as error:
        return lines_of(error, values, prefix, schema)
    return []


def lines_of(
    error: ValidationError, values: Mapping[str, Any], prefix: tuple[str, ...], schema: type[BaseModel]
) -> list[str]:
    """One line for each key: the alternatives of a union are told together, and so are entries of a list."""
    grouped: dict[str, tuple[Any, list[str]]] = {}
    for detail in error.errors():
        location, value = _locate(detail["loc"], values)
        key = ".".join((*prefix, *location))
        message = _message(detail, location, values, schema)
        messages = grouped.setdefault(key, (value, []))[1]
        if message not in messages:
            messages.append(message)
    for key in [key for key in grouped if key.rpartition(".")[0] in grouped]:
        inside = f"a list in which each {_alternatives(grouped.pop(key)[1])}"
        messages = grouped[key.rpartition(".")[0]][1]
        if inside not in messages:
            messages.append(inside)
    alike: dict[tuple[str, str], list[str]] = {}
    for key, (value, messages) in grouped.items():
        parent, _, last = key.rpartition(".")
        told = _alternatives(messages)
        entries = alike.setdefault((parent if last.isdigit() else key, told), [])
        entries.append(f"{key}{'' if value is _ABSENT else f'={_shown(value)}'}: {told}")
    return [
        entries[0] + (f"; the same of {len(entries) - 1} more in the list" if len(entries) > 1 else "")
        for entries in alike.values()
    ]


def _alternatives(messages: list[str]) -> str:
    return " or ".join([messages[0], *(message.removeprefix("must be ") for message in messages[1:])])


_ABSENT = object()


def _locate(location: tuple[Any, ...], values: Any) -> tuple[list[str], Any]:
    """The part of pydantic's location that exists in the configuration (union tags do not), and its value."""
    path: list[str] = []
    for index, part in enumerate(location):
        if (isinstance(values, Mapping) and part in values) or (isinstance(values, list) and isinstance(part, int)):
            values = values[part]
        elif isinstance(values, Mapping) and index == len(location) - 1:
            return [*path, str(part)], _ABSENT
        else:
            continue
        path.append(str(part))
    return path, values


def _message(detail: Any, location: list[str], values: Mapping[str, Any], schema: type[BaseModel]) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return f"unknown key{nearest(location[-1], _siblings(detail['loc'], schema))}"
    if kind == "missing":
        return "missing"
    if kind == "value_error":
        return str(context["error"])
    if kind == "none_required":
        return "must be null"
    message = detail["msg"].removeprefix("Input ").replace("should be", "must be")
    message = message.replace("a valid integer", "an integer").replace("a valid ", "a ")
    return message.replace("must be a dictionary", "must be a group of keys")


def _siblings(location: tuple[int | str, ...], schema: type[BaseModel]) -> list[str]:
    """The keys that are allowed where an unknown one stands."""
    known: Any = schema
    for part in location[:-1]:
        field = known.model_fields.get(str(part)) if _is_schema(known) else None
        known = field.annotation if field else None
    return list(known.model_fields) if _is_schema(known) else []


def _is_schema(known: Any) -> bool:
    return isinstance(known, type) and issubclass(known, BaseModel)


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str) and (not value or " " in value) else str(value)
    return shortened(printable(text), 60)


def _combination_problems(config: Mapping[str, Any]) -> list[str]:
    """Values that are right alone and wrong together."""
    problems = []
    trainer = config.get("trainer")
    if isinstance(trainer, Mapping) and trainer.get("precision") == "16-mixed" and trainer.get("accelerator") == "cpu":
        problems.append("trainer.precision=16-mixed: needs a CUDA device; on the CPU use bf16-mixed or 32")
    model, data = config.get("model"), config.get("data")
    if isinstance(model, Mapping) and isinstance(data, Mapping):
        problems += _condition_problems(model, data) + _label_problems(model, data)
    return problems


def _condition_problems(model: Mapping[str, Any], data: Mapping[str, Any]) -> list[str]:
    own, given = model.get("condition_size"), data.get("condition_size")
    if not (_is_count(own) and _is_count(given)) or own in (0, given):
        return []
    return [
        f"model.condition_size={own}: data.condition_size={given} is how long the data's conditions are; "
        f"set model.condition_size={given}"
    ]


def _label_problems(model: Mapping[str, Any], data: Mapping[str, Any]) -> list[str]:
    """Labels are counted out only where a model learns to tell classes apart: one that has a key `num_classes`."""
    asked = data.get("labels_per_class")
    if not _is_count(asked) or not asked:
        return []
    where = f"data.labels_per_class={asked}"
    if data.get("num_classes") == 0:
        return [f"{where}: data={data.get('name')} has no class labels (data.num_classes=0); set it to 0"]
    conditional = bool(model.get("condition_size"))
    if "num_classes" in model and not conditional and model.get("fine_tune") != "reconstruct":
        return []
    why = "is given the label of every sample" if conditional else "learns from no labels"
    return [
        f"{where}: model={model.get('name')} {why}; labels_per_class is for "
        "model=semi_supervised_gan, and stacked_ae with model.fine_tune=classify"
    ]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def unused_optimizers(config: Mapping[str, Any]) -> list[str]:
    """Networks that the optimizer group names and the model does not train."""
    trained = (config.get("model") or {}).get("trains")
    if not isinstance(trained, Sequence) or isinstance(trained, str):
        return []  # the check tells what is wrong with it
    return [network for network in config.get("optimizer") or {} if network not in trained]
