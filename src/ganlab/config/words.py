"""Words of a command line that the program itself writes, for another process or for a sweep's jobs."""

import re
from collections.abc import Iterable
from typing import Any


def quoted(value: str) -> str:
    """A value as Hydra's grammar takes it to the letter; it reads a backslash as one unless a quote comes after."""
    doubled = re.sub(r"(\\+)('|$)", r"\1\1\2", value)
    escaped = doubled.replace("'", "\\'")
    return f"'{escaped}'"


def given_folders(sources: Iterable[Any]) -> list[str]:
    """The folders, among Hydra's sources of configuration, that the user gave with --config-dir."""
    return [source.path.removeprefix("file://") for source in sources if source.provider == "command-line"]


def config_dir_words(folders: Iterable[str]) -> list[str]:
    """What gives these folders to a command."""
    return [word for folder in folders for word in ("--config-dir", folder)]
