"""Faults for tests: benchmarks' ways of starting a run that can be killed, and calls that fail at a chosen file."""

import importlib
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from loading import ROOT


def benchmark(name: str) -> ModuleType:
    """A file of benchmarks/ that others there import by its name."""
    folder = str(ROOT / "benchmarks")
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module(name)


def refused(name: str, code: int) -> Callable[[], None]:
    """In a run's own process: no file of a name that begins so can be written any more."""

    def arm() -> None:
        make = tempfile.mkstemp

        def making(*given: Any, prefix: str = "", **named: Any) -> Any:
            if prefix.startswith(f".{name}"):
                raise OSError(code, os.strerror(code))
            return make(*given, prefix=prefix, **named)

        tempfile.mkstemp = making

    return arm


def killed_before(name: str, times: int = 1) -> Callable[[], None]:
    """In a run's own process: it dies when a file would get that name for the n-th time; half of it is left."""

    def arm() -> None:
        replace, left = os.replace, [times]

        def replacing(source: Any, target: Any) -> None:
            left[0] -= Path(target).name == name
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            replace(source, target)

        os.replace = replacing  # type: ignore[assignment]

    return arm


def signalled_in(module: str, function: str, number: int) -> Callable[[], None]:
    """In a run's own process: it gets a signal when it calls a function."""

    def arm() -> None:
        place = importlib.import_module(module)
        call = getattr(place, function)

        def calling(*given: Any, **named: Any) -> Any:
            os.kill(os.getpid(), number)
            return call(*given, **named)

        setattr(place, function, calling)

    return arm
