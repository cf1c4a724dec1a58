"""Tiny runs in the place of those that a page speaks of: `outputs/vae-digits/…` is one of `model=vae data=digits`."""

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ganlab.config.paths import conf_folder

DATE = "2026-01-01_12-00-00"
KEYS = ("run", "runs", "resume")
"""Whose values are runs."""
OF_CODES = ("encode", "probe", "augment")
"""Commands that a reader gives an autoencoder where the page does not say which run."""
NAMED = re.compile(r"(?P<model>[a-z0-9_]+)-(?P<data>[a-z0-9_]+)")
SCORED = ("metrics.scores=[fd,precision,recall]", "metrics.count=20", "metrics.reference_count=100")
PATTERNS = {"compare": ("dcgan", "lsgan"), "probe": ("ae-digits", "vae-digits")}
"""What a pattern's first * stands for, by command."""


@dataclass(frozen=True)
class Run:
    """Where a page has a run, relative to the reader's folder, and the overrides that make one of its kind."""

    place: str
    words: tuple[str, ...]


def resolved(words: Sequence[str], command: str, own: Mapping[str, str]) -> tuple[list[str], list[Run]]:
    """The words with real paths for placeholders, and the runs that must lie there.

    `command`: the NAME of `python -m ganlab.NAME`, empty for training. `own`: the page's own files by name.
    """
    made: list[str] = []
    runs: list[Run] = []
    scored = command == "compare" or "checkpoint=best" in words
    for word in words:
        key, mark, value = word.partition("=")
        if key not in KEYS or not mark:
            made.append(word)
            continue
        paths = []
        for path in value.removeprefix("[").removesuffix("]").split(","):
            place, found = _found(path.strip(), command, own, scored)
            paths.append(place)
            runs += found
        made.append(f"{key}={'[' + ','.join(paths) + ']' if value.startswith('[') else paths[0]}")
    return made, runs


def _found(path: str, command: str, own: Mapping[str, str], scored: bool) -> tuple[str, list[Run]]:
    """What a path in a command becomes, and the runs that it means."""
    if path == "…":
        path = "outputs/…"
    if "*" in path:
        filled = [path.replace("*", name, 1).replace("*", DATE) for name in PATTERNS.get(command, ("cgan-digits",))]
        return path, [Run(_dated(place), kind(place, command, own, scored)) for place in filled]
    if path.startswith("outputs/sweeps"):
        folder = path.replace("…", f"sweep/{DATE}")
        words = kind("outputs/…", command, own, scored)
        return folder, [Run(f"{folder}/{seed}", (*words, f"seed={seed}")) for seed in range(2)]
    place = path.replace("…", DATE)
    return place, [Run(_dated(place), kind(path, command, own, scored))]


def _dated(place: str) -> str:
    return place if DATE in place else f"{place.rstrip('/')}/{DATE}"


def kind(path: str, command: str, own: Mapping[str, str], scored: bool = False) -> tuple[str, ...]:
    """The overrides of a run that a path such as outputs/vae-digits/… or outputs/digits_vae/… names."""
    parts = Path(path).parts
    name = parts[1] if len(parts) > 1 and parts[0] == "outputs" else ""
    named = NAMED.fullmatch(name)
    if (conf_folder() / "experiment" / f"{name}.yaml").is_file():
        words: tuple[str, ...] = (f"experiment={name}",)
    elif named and _is_choice("model", named["model"], own) and _is_choice("data", named["data"], own):
        words = (f"model={named['model']}", f"data={named['data']}")
    else:
        words = ("model=ae",) if command in OF_CODES else ()
    return (*words, *SCORED) if scored else words


def _is_choice(group: str, name: str, own: Mapping[str, str]) -> bool:
    return (conf_folder() / group / f"{name}.yaml").is_file() or f"conf/{group}/{name}.yaml" in own


def put(run: Run, made: Path, folder: Path) -> None:
    """A copy of a run of that kind, which lies in `made`, where the page has it."""
    shutil.copytree(made, folder / run.place, dirs_exist_ok=True)
