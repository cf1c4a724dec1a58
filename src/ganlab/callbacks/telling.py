"""A line for the user while training runs: on the screen, and in train.log."""

import logging
import sys
from typing import Any

log = logging.getLogger(__name__)


def warn(trainer: Any, line: str, *, shown: bool = True) -> None:
    """The first process writes the line into train.log and, unless not `shown`, on standard error."""
    if not trainer.is_global_zero:
        return
    log.warning(line)
    if shown:
        print(f"warning: {line}", file=sys.stderr, flush=True)
