"""The version of what a run saves, and how an older one becomes what is read today.

A checkpoint says its format: `checkpoint["ganlab"]["format"]`. When what is written changes so that what was written
before would be read wrongly, raise `FORMAT`, and add to `MIGRATIONS` what makes the new format of the one before. A new
key of a configuration needs none: `ganlab.config.resume` and `problems_of_run` let a run of an earlier version lack it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ganlab.errors import CheckpointError

FORMAT = 1
"""Of the checkpoints that are written now."""

Checkpoint = dict[str, Any]


def _numbered(checkpoint: Checkpoint) -> Checkpoint:
    """Format 0 had no number; else it is format 1."""
    return checkpoint


MIGRATIONS: dict[int, Callable[[Checkpoint], Checkpoint]] = {0: _numbered}
"""From a format to the next one: gets a checkpoint whose `ganlab` entry it may replace, and returns one."""


def format_of(checkpoint: Any, path: Path) -> int:
    """The format of a checkpoint; raises `CheckpointError` if it is none of ganlab's."""
    own = checkpoint.get("ganlab") if isinstance(checkpoint, dict) else None
    if not isinstance(own, dict) or not isinstance(own.get("config"), dict) or "state_dict" not in checkpoint:
        raise CheckpointError(f"{path} was not written by ganlab: it holds no configuration with weights")
    # Format 0 said which ganlab had written it, and no number.
    number = own.get("format", 0 if isinstance(own.get("version"), str) else None)
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise CheckpointError(
            f"{path} does not say its format, as a checkpoint of ganlab's does; give another one, or start the run anew"
        )
    return number


def migrated(checkpoint: Any, path: Path) -> Checkpoint:
    """The checkpoint in today's format; raises `CheckpointError` for one that this ganlab cannot read."""
    number = format_of(checkpoint, path)
    writer = str(checkpoint["ganlab"].get("version"))[:20]
    if number > FORMAT:
        raise CheckpointError(
            f"{path} is of format {number}, written by ganlab {writer}, and this ganlab reads formats up to {FORMAT}; "
            "use that version, or a newer one: pip install --upgrade ganlab"
        )
    while number < FORMAT:
        if number not in MIGRATIONS:
            raise CheckpointError(
                f"{path} is of format {number}, which this ganlab no longer reads; "
                f"use the one that wrote it ({writer}), or start the run anew"
            )
        checkpoint = MIGRATIONS[number](checkpoint)
        number += 1
    return {**checkpoint, "ganlab": {**checkpoint["ganlab"], "format": FORMAT}}
