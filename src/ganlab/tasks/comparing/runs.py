"""Finished runs as they lie on the disk: found at any depth, and read as data and nothing else.

A run folder may be a stranger's: JSON and plain YAML are read, and no class, pickle or interpolation that reaches
outside the file.
"""

import csv
import glob
import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ganlab.config import resolvers
from ganlab.config.resume import CONFIG_FILE
from ganlab.errors import ConfigError
from ganlab.typed_path import typed_path

RESULTS = "results.json"
OVERRIDES = Path(".hydra") / "overrides.yaml"
LARGEST = 64 * 2**20
"""Bytes of a results.json or a configuration; a larger one is none."""
DEEPEST = 100
"""Nested mappings and lists of a configuration."""
HARMLESS = re.compile(r"\$\{(?:[\w.\[\]]+\}|(?:recommended|mirrored|condition_size|oc\.select):)")
"""References, and resolvers that read the configuration alone; oc.env and the like would tell of this machine."""
_OPENING = (
    yaml.BlockMappingStartToken, yaml.BlockSequenceStartToken, yaml.FlowMappingStartToken, yaml.FlowSequenceStartToken,
)  # fmt: skip
_CLOSING = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Unusable(Exception):
    """A folder that cannot be compared; the message says why in a few words."""


@dataclass(frozen=True)
class Score:
    """One number of a run with how it was computed; `real`: what real samples score."""

    value: float
    better: str
    protocol: dict[str, Any]
    real: float | None = None


@dataclass(frozen=True)
class Run:
    """A finished run: `settings` from dotted key to value, resolved; `derived`: keys that follow from others."""

    folder: Path
    seed: int
    model: str
    data: str
    iterations: int
    wall_seconds: float | None
    machine: dict[str, Any]
    monitored: str | None
    scores: dict[str, Score]
    last_values: dict[str, float]
    settings: dict[str, Any]
    derived: frozenset[str]
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """Runs that can be compared, and why others cannot: from reason to folders."""

    runs: list[Run]
    left_out: dict[str, list[Path]]


def read_runs(patterns: Sequence[str], evaluations: bool = False) -> Found:
    """Read all runs that the patterns mean; `evaluations`: with the scores of their newest evaluation.

    Raises `ConfigError` for a pattern that matches nothing.
    """
    runs: list[Run] = []
    left_out: dict[str, list[Path]] = {}
    seen: set[Path] = set()
    for pattern in patterns:
        for folder in _run_folders(pattern, left_out):
            if folder.resolve() in seen:
                continue
            seen.add(folder.resolve())
            try:
                runs.append(_read_run(folder, evaluations))
            except Unusable as reason:
                left_out.setdefault(str(reason), []).append(folder)
    return Found(runs, left_out)


def _run_folders(pattern: str, left_out: dict[str, list[Path]]) -> Iterator[Path]:
    literal = typed_path(pattern, "runs")
    # Sweeps name folders after lists, and brackets are a pattern too: what is there as it is written comes first.
    matches = [literal] if literal.exists() else [Path(found) for found in sorted(glob.glob(str(literal)))]
    if not matches:
        raise ConfigError(f"runs={pattern}: there is no such folder, and nothing matches it")
    for match in matches:
        start = match.parent if match.name == RESULTS else match
        unreadable: list[OSError] = []
        for folder, below, files in os.walk(start, onerror=unreadable.append):
            if ".hydra" in below or RESULTS in files:
                below.clear()
                yield Path(folder)
            below.sort()
        for error in unreadable:
            left_out.setdefault("cannot be read", []).append(Path(error.filename))


def _read_run(folder: Path, evaluations: bool) -> Run:
    if not (folder / RESULTS).exists():
        raise Unusable(_status(folder))
    results = _read_results(folder / RESULTS)
    if "model" not in results and "evaluations" in results:
        raise Unusable("evaluations of image folders, not runs")
    if results.get("pruned") is True:
        raise Unusable("pruned")
    try:
        scores = {tag: _score(told) for tag, told in dict(results["scores"]).items()}
        run = Run(
            folder=folder,
            seed=int(results["seed"]),
            model=str(results["model"]),
            data=str(results["data"]),
            iterations=int(results["iterations"]),
            wall_seconds=_finite_or_none(results.get("wall_seconds")),
            machine=dict(results.get("machine") or {}),
            monitored=results.get("monitored"),
            scores=scores,
            last_values={tag: float(value) for tag, value in dict(results.get("last_values") or {}).items()},
            **_read_configuration(folder),
        )
        if run.monitored is not None and run.monitored not in scores:
            raise ValueError(run.monitored)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise Unusable("damaged results.json") from None
    return _evaluated(run, results) if evaluations else run


def _status(folder: Path) -> str:
    """What the record of a sweep says of a job without results, if it is one's."""
    with suppress(OSError, ValueError, csv.Error), (folder.parent / "sweep.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row.get("folder") == folder.name and row.get("status") in ("failed", "pruned", "stopped"):
                return str(row["status"])
    return "unfinished"


def _read_results(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST:
            raise Unusable("damaged results.json")
        results = json.loads(path.read_bytes())
    except OSError:
        raise Unusable("cannot be read") from None
    except (ValueError, RecursionError):
        raise Unusable("damaged results.json") from None
    if not isinstance(results, dict):
        raise Unusable("damaged results.json")
    return results


def _score(told: Mapping[str, Any]) -> Score:
    if told["better"] not in ("lower", "higher") or isinstance(told["value"], bool):
        raise ValueError(told)
    return Score(float(told["value"]), told["better"], dict(told["protocol"]), _finite_or_none(told.get("real")))


def _finite_or_none(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _evaluated(run: Run, results: Mapping[str, Any]) -> Run:
    """The run with the scores of its newest evaluation, against the test split where it has them."""
    told = results.get("evaluations")
    if not told:
        raise Unusable("never evaluated by ganlab.evaluate")
    try:
        newest = max(told, key=lambda evaluation: str(evaluation["date"]))
        of_split = newest["scores"].get("test") or newest["scores"]["train"]
        # Which draws does not matter, how many does; and a checkpoint chosen by its score is no last one.
        draws = {"draws": len(newest["seeds"]), "checkpoint": _chosen(newest["checkpoint"])}
        scores = {}
        for tag, told_of in of_split.items():
            score = _score(told_of)
            scores[tag] = Score(score.value, score.better, score.protocol | draws, score.real)
        monitored = run.monitored if run.monitored in scores else next(iter(scores), None)
        own: dict[str, Any] = {"scores": scores, "iterations": int(newest["iteration"]), "monitored": monitored}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise Unusable("damaged results.json") from None
    return replace(run, **own)


def _chosen(checkpoint: str) -> str:
    return "best" if checkpoint == "best.ckpt" else "of an iteration"


def _read_configuration(folder: Path) -> dict[str, Any]:
    """Settings, derived keys and overrides."""
    raw = _read_yaml(folder / CONFIG_FILE)
    overrides = _read_yaml(folder / OVERRIDES)
    if not isinstance(raw, dict) or not isinstance(overrides, list):
        raise Unusable("damaged configuration")
    try:
        resolvers.register()
        resolved: Any = OmegaConf.to_container(OmegaConf.create(_harmless(raw)), resolve=True)
    except (OmegaConfBaseException, ValueError, TypeError, AttributeError, RecursionError):
        raise Unusable("damaged configuration") from None
    derived = frozenset(key for key, value in flat(raw).items() if "${" in str(value))
    return {"settings": flat(resolved), "derived": derived, "overrides": tuple(map(str, overrides))}


def _read_yaml(path: Path) -> Any:
    try:
        if path.stat().st_size > LARGEST:
            raise Unusable("damaged configuration")
        text = path.read_text()
        _verify_plain(text)
        return yaml.load(text, Loader=_Loader)
    except FileNotFoundError:
        raise Unusable("without .hydra/config.yaml or .hydra/overrides.yaml") from None
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        raise Unusable("damaged configuration") from None


def _verify_plain(text: str) -> None:
    """Raise `Unusable` for what no run writes: nested aliases grow without end, and depth kills the parser."""
    depth = 0
    for token in yaml.scan(text, Loader=_Loader):
        depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
        if isinstance(token, yaml.AliasToken) or depth > DEEPEST:
            raise Unusable("damaged configuration")


def _harmless(node: Any) -> Any:
    """The same with interpolations that reach outside the file as plain text."""
    if isinstance(node, dict):
        return {str(key): _harmless(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_harmless(value) for value in node]
    if isinstance(node, str) and node.count("${") > len(HARMLESS.findall(node)):
        return node.replace("${", "$ {")
    return node


def flat(node: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """From dotted key to value; lists are values."""
    values: dict[str, Any] = {}
    for key, value in node.items():
        if isinstance(value, Mapping) and value:
            values |= flat(value, f"{prefix}{key}.")
        else:
            values[f"{prefix}{key}"] = value
    return values
