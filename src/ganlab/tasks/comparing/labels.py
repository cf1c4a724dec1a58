"""What tells configurations apart, in the fewest words."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ganlab.tasks.comparing.runs import Run

NO_TRAINING = {
    "seed",
    "name",
    "resume",
    "callbacks.sample_rows",
    "data.download",
    "data.device_cache",
    "trainer.progress",
    "trainer.threads",
    "trainer.log_every",
    "trainer.sample_every",
    "trainer.evaluate_every",
    "trainer.checkpoint_every",
    "trainer.keep_checkpoints",
}
"""Keys that change no weight but by the seed."""
NO_TRAINING_GROUPS = {"logger", "metrics", "hydra", "sweep"}
"""The same of whole groups: what matters of `metrics` is in each protocol, of `recommended` in the optimizers."""
ABSENT = ""


def of_configuration(run: Run, with_root: bool = False) -> dict[str, Any]:
    """The settings that make a run another one; `with_root`: with where its data lie."""
    return {key: value for key, value in run.settings.items() if _trains(key) or (with_root and key == "data.root")}


def _trains(key: str) -> bool:
    return not (
        key in NO_TRAINING
        or re.split("[./@]", key)[0] in NO_TRAINING_GROUPS
        or key.startswith("model.recommended.")
        or key == "data.root"
        or key.rpartition(".")[2] == "cache_dir"
    )


def written(value: Any) -> str:
    """A value as a person would type it, on one line, with nothing that a terminal would obey."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(written, value)) + "]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{written(part)}" for key, part in value.items()) + "}"
    return printable(str(value))


def printable(text: str) -> str:
    """The text with control characters spelt out."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def labels_of(groups: Sequence[Sequence[Run]]) -> list[str]:
    """One label a group: the overrides that differ, then what else does and follows from none of them."""
    firsts = [group[0] for group in groups]
    if len(firsts) == 1:
        chosen = _overrides(firsts[0]).get("experiment")
        return [printable(f"experiment={chosen}" if chosen else f"{firsts[0].model} on {firsts[0].data}")]
    settings = [of_configuration(run, with_root=True) for run in firsts]
    told = [{key: value for key, value in _overrides(run).items() if _trains(key)} for run in firsts]
    columns: dict[str, list[str]] = {}
    for key in dict.fromkeys(key for overrides in told for key in overrides):
        values = [_effective(key, *pair) for pair in zip(told, settings, strict=True)]
        if len(set(values)) > 1:
            columns[key] = values
    different = _different(settings, firsts)
    choices = [key for key in columns if _is_choice(key, settings)]
    if choices:
        columns = _without_consequences(columns, choices, told)
    else:
        columns |= {key: values for key, values in different.items() if key not in columns}
    columns = _until_distinct(columns, different | _different(settings, []), len(groups))
    return _unique(_joined(columns, [key for values in settings for key in values], len(groups)))


def _overrides(run: Run) -> dict[str, str]:
    """From key to value as it was typed; one that was removed (~key) has none."""
    pairs = (override.lstrip("+").partition("=") for override in run.overrides if not override.startswith("~"))
    return {key: value for key, _, value in pairs}


def _is_choice(key: str, settings: Sequence[Mapping[str, Any]]) -> bool:
    """Whether an override chose a whole group, from which many keys follow."""
    return "/" in key or "@" in key or ("." not in key and not any(key in values for values in settings))


def _without_consequences(
    columns: Mapping[str, list[str]], choices: Sequence[str], told: Sequence[Mapping[str, str]]
) -> dict[str, list[str]]:
    """Without what nobody typed, unless it tells apart groups of the same choices."""
    chosen = list(zip(*(columns[key] for key in choices), strict=True))
    kept = {}
    for key, values in columns.items():
        rivals = [{other for other, of in zip(values, chosen, strict=True) if of == own} for own in chosen]
        shown = [key in typed or len(among) > 1 for typed, among in zip(told, rivals, strict=True)]
        kept[key] = [value if key in choices or show else ABSENT for value, show in zip(values, shown, strict=True)]
    return kept


def _effective(key: str, overrides: Mapping[str, str], settings: Mapping[str, Any]) -> str:
    """What holds: a resumed run may have another value than was typed, and a default was never typed."""
    if key in settings:
        return written(settings[key])
    if key in overrides:
        return printable(overrides[key])
    return written(settings.get(f"{key}.name", ABSENT))


def _different(settings: Sequence[Mapping[str, Any]], runs: Sequence[Run]) -> dict[str, list[str]]:
    """Settings that differ, but for those that are written in terms of others in one of the runs."""
    derived = {key for run in runs for key in run.derived}
    keys = dict.fromkeys(key for values in settings for key in values if key not in derived)
    columns = {key: [written(values[key]) if key in values else ABSENT for values in settings] for key in keys}
    return {key: values for key, values in columns.items() if len(set(values)) > 1}


def _until_distinct(
    columns: dict[str, list[str]], different: Mapping[str, list[str]], count: int
) -> dict[str, list[str]]:
    """With as many further settings as it takes that no two groups read alike."""
    columns = dict(columns)

    def kinds(extra: Sequence[str] = ()) -> int:
        return len(set(zip(*columns.values(), extra or [""] * count, strict=True)))

    while kinds() < count:
        best = max(different, key=lambda key: (kinds(different[key]), not key.endswith("_target_")), default=None)
        if best is None or kinds(different[best]) == kinds():
            break
        columns[best] = different[best]
    return columns


def _joined(columns: Mapping[str, list[str]], universe: Sequence[str], count: int) -> list[str]:
    words: list[list[str]] = [[] for _ in range(count)]
    known = set(universe) | set(columns)
    done: set[str] = set()
    for key, values in columns.items():
        if key in done:
            continue
        leaf = _leaf(key)
        alike = [other for other in columns if _leaf(other) == leaf and columns[other] == values]
        whole = {other for other in known if _leaf(other) == leaf} == set(alike)
        done |= set(alike) if whole else {key}
        name = leaf if whole else _shortest(key, known)
        for position, value in enumerate(values):
            if value != ABSENT:
                words[position].append(f"{printable(name)}={value}")
    return [" ".join(parts) or "defaults" for parts in words]


def _leaf(key: str) -> str:
    return key.rpartition(".")[2]


def _shortest(key: str, known: set[str]) -> str:
    """The end of a dotted key that no other key has."""
    parts = key.split(".")
    for length in range(1, len(parts)):
        end = ".".join(parts[-length:])
        if not any(other != key and (other == end or other.endswith(f".{end}")) for other in known):
            return end
    return key


def _unique(labels: list[str]) -> list[str]:
    """A last resort: groups that differ in what no label shows are numbered."""
    told: dict[str, int] = {}
    numbered = []
    for label in labels:
        told[label] = told.get(label, 0) + 1
        numbered.append(label if labels.count(label) == 1 else f"{label} ({told[label]})")
    return numbered
