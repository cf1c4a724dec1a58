"""What is done with a command of ganlab's that a page holds. Runs in a child process, in the command's own folder."""

import importlib.util
import re
import runpy
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from docs_pages import Command
from docs_stand_ins import resolved
from docs_tiny import Typed, composed, first_jobs, short_sweep, tiny_words, typed, why_not_run, write_images
from ganlab.errors import GanlabError
from ganlab.tasks.command import parse

SMALL = {
    "augment": ["count=8"],
    "compare": [],
    "complete": ["count=2", "steps=2", "restarts=10"],
    "encode": [],
    "evaluate": ["count=20", "reference_count=50"],
    "export": [],
    "probe": ["count=100", "draws=1", "per_class=2"],
    "sample": ["count=8"],
}
"""Words behind those that were typed, by which a command of that name takes a second."""
NOT_RUN = {"claim": "trains for minutes; its tests run it", "explore": "opens a page; its tests open it"}
OF_IMAGES = ("images", "reference", "mask", "data.root")
"""Keys whose values may be folders or files of images."""
INCEPTION = ("fid", "kid", "inception")


class Unknown(Exception):
    """No form of command that this checker knows, or a part of it that does not exist."""


@dataclass(frozen=True)
class Plan:
    """What is to be done: `how` it counts (run, composed, refused), why it is not run, and what runs."""

    how: str
    why: str = ""
    act: Callable[[], Any] | None = None


def training(words: list[str], command: Command) -> Plan:
    """Compose and check; then, unless it needs what is not here, train with a tiny budget."""
    words, _ = resolved(words, "", command.files)
    given = typed(words)
    if given.told:
        return Plan("run", act=lambda: execute("ganlab", words))
    if any(word.startswith("resume=") for word in given.overrides):
        longer = [] if command.inline else ["trainer.max_iterations=4", "trainer.progress=false"]
        return _unless_inline(command, lambda: execute("ganlab", [*words, *longer]))
    try:
        configs = [composed(job, given.config_dir) for job in _jobs(given)]
    except GanlabError as refusal:
        if command.inline or not command.output:
            raise GanlabError(f"it is refused: {refusal}") from None
        return Plan("refused as shown", act=lambda: execute("ganlab", words))
    reason = next(filter(None, map(why_not_run, configs)), None) or _why_not_swept(given)
    if reason is not None:
        return Plan("composed", reason)
    small = [tiny_words(config, given.overrides) for config in configs]
    common = [word for word in small[0] if all(word in other for other in small)]
    if configs[0].data.name == "image_folder":
        write_images(Path(configs[0].data.root), configs[0].data.num_classes)
    return _unless_inline(command, lambda: execute("ganlab", [*given.flags, *_short(given), *common]))


def _jobs(given: Typed) -> list[list[str]]:
    return first_jobs(given.overrides) if given.sweeps else [list(given.overrides)]


def _sweeper(given: Typed) -> str:
    return next((word.partition("=")[2] for word in given.overrides if word.startswith("sweep=")), "")


def _why_not_swept(given: Typed) -> str | None:
    """Other launchers start processes of their own, seconds each; the tests of sweeps run them."""
    if given.sweeps and _sweeper(given) not in ("", "same_process", "optuna", "random"):
        return f"two of its jobs; the tests run sweep={_sweeper(given)}"
    return None


def _short(given: Typed) -> list[str]:
    """The overrides of a run as they were typed; of a sweep those of two jobs, which run in this process."""
    if not given.sweeps:
        return list(given.overrides)
    if _sweeper(given) in ("optuna", "random"):
        seeds = ["hydra.sweeper.seeds=[]"] * any("sweeper.seeds" in word for word in given.overrides)
        return [*given.overrides, "hydra.sweeper.n_trials=2", *seeds, "hydra/launcher=basic"]
    return [*short_sweep(given.overrides), *([] if _sweeper(given) else ["sweep=same_process"])]


def task(name: str, words: list[str], command: Command) -> Plan:
    """A command of key=value words: run on tiny runs and folders of images, or its words checked."""
    if importlib.util.find_spec(f"ganlab.{name}") is None:
        raise Unknown(f"ganlab.{name}: there is no such command")
    if {"--help", "-h"} & set(words):
        return Plan("run", act=lambda: execute(f"ganlab.{name}", words))
    if command.inline or name in NOT_RUN or any(word in INCEPTION for item in words for word in re.split(r"\W", item)):
        _verify_words(name, words)
        return Plan(
            "composed", NOT_RUN.get(name, "needs Inception's weights" if not command.inline else "in a sentence")
        )
    if name not in SMALL:
        raise Unknown(f"ganlab.{name}: this checker does not know how to make it small (docs_ganlab.SMALL)")
    words, _ = resolved(words, name, command.files)
    _put_images(words)
    return Plan("run", act=lambda: execute(f"ganlab.{name}", [*words, *SMALL[name]]))


def _verify_words(name: str, words: list[str]) -> None:
    """Read the words as the command would; raises `ConfigError`."""
    if name == "claim":
        from ganlab.claims.command import ClaimOptions
        from ganlab.claims.index import CLAIMS

        named, options = [word for word in words if "=" not in word], [word for word in words if "=" in word]
        if unknown := [word for word in named if word not in CLAIMS and word != "NAME"]:
            raise Unknown(f"{unknown[0]}: there is no such claim")
        parse(ClaimOptions, options)
        return
    module = importlib.import_module(f"ganlab.tasks.{name}")
    parse(_options_of(module), words)


def _options_of(module: ModuleType) -> Any:
    """The pydantic model of a command's keys."""
    return next(value for key, value in vars(module).items() if key.endswith("Options") and key != "Options")


def _put_images(words: Sequence[str]) -> None:
    """Folders and files of images that a command names."""
    for word in words:
        key, _, value = word.partition("=")
        if key in OF_IMAGES and not Path(value).exists() and ("/" in value or "." in value or key == "data.root"):
            if Path(value).suffix:
                write_images(Path("images_of_a_file"))
                Path(value).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy("images_of_a_file/00.png", value)
            else:
                write_images(Path(value))


def _unless_inline(command: Command, act: Callable[[], Any]) -> Plan:
    return Plan("composed", "in a sentence") if command.inline else Plan("run", act=act)


def execute(module: str, words: Sequence[str]) -> None:
    """`python -m MODULE WORDS`, in this process."""
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
