"""What a run was made by: versions, commits, the overrides of its command line. Nothing tells whose machine it was."""

import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

import ganlab

OVERRIDES = Path(".hydra") / "overrides.yaml"
LONGEST = 2**16
"""Bytes of a run's overrides."""
PATIENCE = 5.0
"""Seconds for all questions to git together."""


def versions() -> dict[str, str]:
    return {
        "ganlab": ganlab.__version__,
        "torch": str(torch.__version__),
        "lightning": lightning.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def overrides(folder: Path, typed: list[str]) -> list[str]:
    """Those that a run was begun with and, if it goes on, those `typed` for the rest of it."""
    if not any(word.startswith("resume=") for word in typed):
        return typed
    later = [word for word in typed if not word.startswith(("resume=", "trust="))]
    try:
        with (folder / OVERRIDES).open() as file:
            begun: Any = OmegaConf.to_container(OmegaConf.create(file.read(LONGEST)), resolve=False)
    except (OSError, ValueError, YAMLError, OmegaConfBaseException, RecursionError):
        return later
    return [*map(str, begun if isinstance(begun, list) else []), *later]


def repositories(working: Path) -> dict[str, dict[str, Any]]:
    """The `commit` of the repository that the `working` folder is in, and of the one that ganlab's source is in.

    `dirty` is whether tracked files differ from the commit, None where that is not known. What is in no repository is
    left out; so is ganlab where it is installed, and not a checkout.
    """
    until = time.monotonic() + PATIENCE
    source = Path(ganlab.__file__).parent
    folders = {"working_folder": working}
    # Git tracks no virtual environment, though that may lie in somebody's repository.
    if _git(source, until, "ls-files", "--", "__init__.py"):
        folders["ganlab"] = source
    found = {name: _repository(folder, until) for name, folder in folders.items()}
    return {name: repository for name, repository in found.items() if repository is not None}


def _repository(folder: Path, until: float) -> dict[str, Any] | None:
    commit = _git(folder, until, "rev-parse", "--verify", "HEAD")
    return {"commit": commit, "dirty": _dirty(folder, until)} if commit else None


def _dirty(folder: Path, until: float) -> bool | None:
    # To compare a file git runs the filters that the configuration names. The user's own are trusted; the repository
    # may have been unpacked from a stranger's archive.
    filters = _git(folder, until, "config", "--show-scope", "--includes", "--get-regexp", r"^filter\.", none="")
    if filters is None or any(not line.startswith(("system", "global")) for line in filters.splitlines()):
        return None
    changes = _git(folder, until, "status", "--porcelain", "--untracked-files=no", "--ignore-submodules=dirty")
    return None if changes is None else bool(changes)


def _git(folder: Path, until: float, *words: str, none: str | None = None) -> str | None:
    """What git answers; None if it is missing, refuses or is late. It does not print, ask, fetch, write or run hooks.

    `none`: what its exit code 1 means.
    """
    command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", str(folder), *words]
    # A hook of git that starts a run has its own repository in the environment.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment |= {"GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=max(0.01, until - time.monotonic()),
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    if done.returncode:
        return none if done.returncode == 1 else None
    return done.stdout.decode(errors="replace").strip()
