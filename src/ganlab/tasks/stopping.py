"""A run that is told to end outside its training: while libraries load and data are read, or while results are written.

Within training `ganlab.callbacks.signals` takes over, which saves first.
"""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from omegaconf import DictConfig, OmegaConf

from ganlab.config.ranks import is_first
from ganlab.config.resume import LAST_CHECKPOINT
from ganlab.config.trust import needs_trust
from ganlab.files import remove_unbegun_run
from ganlab.tasks import console


class Terminated(SystemExit):
    """SIGTERM; raised where the program is, so that what is half written is removed on the way out."""

    def __init__(self) -> None:
        super().__init__(143)


class Termination:
    """Whether SIGTERM has come."""

    received = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.received = True
        raise Terminated

    def verify(self) -> None:
        """Raise `Terminated` once more if a library has swallowed it."""
        if self.received:
            raise Terminated


@contextmanager
def ending_on_sigterm() -> Iterator[Termination]:
    """`Terminated` instead of the system's sudden end, unless the signal is somebody else's already."""
    termination = Termination()
    own = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if own:
        signal.signal(signal.SIGTERM, termination)
    try:
        yield termination
    finally:
        if own:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def tell_stopped(config: DictConfig, folder: Path) -> None:
    """Say what became of a run that was told to end outside its training; one that has nothing to show is removed."""
    if not is_first():
        return
    if (folder / LAST_CHECKPOINT).is_file():
        trust = needs_trust(OmegaConf.to_container(config, resolve=True))
        line = f"stopped; go on with: {console.resuming(folder, trust)}"
    else:
        line = "stopped before training began; nothing was saved"
    remove_unbegun_run()
    print(line, file=sys.stderr, flush=True)
