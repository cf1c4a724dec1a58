"""What a run says to the person who started it."""

import shutil
import sys
from pathlib import Path
from typing import Any


def say(line: str) -> None:
    """A line on standard output, at once."""
    print(line, flush=True)


def say_finished(folder: Path, scores: dict[str, dict[str, Any]]) -> None:
    """Three lines: where the run lies, what it scored, what to type next."""
    shown = relative(folder)
    scored = ", ".join(f"{tag} {score['value']:.3f}" for tag, score in scores.items())
    say(f"run:    {shown}")
    say(f"scored: {scored or 'nothing yet for this kind of model and data; losses are in metrics.csv'}")
    say(f"next:   {python()} -m ganlab.sample run={shown}  |  {python()} -m tensorboard.main --logdir {shown}")


def say_interrupted(folder: Path, iteration: int) -> None:
    """Where a run that was asked to end stopped, and how it goes on."""
    print(
        f"\nstopped after iteration {iteration}; saved. Go on with: {python()} -m ganlab resume={relative(folder)}",
        file=sys.stderr,
        flush=True,
    )


def python() -> str:
    """How this interpreter is called from here: `python` if that is it, else its path."""
    found = shutil.which("python")
    # Not the link's target: the folder of an environment's interpreter decides what it imports.
    return "python" if found and Path(found).parent == Path(sys.executable).parent else _short(sys.executable)


def _short(executable: str) -> str:
    """Below the working directory, without following the link that an environment's interpreter is."""
    try:
        return str(Path(executable).relative_to(Path.cwd()))
    except ValueError:
        return executable


def relative(path: Path) -> str:
    """The path as a person would type it from here."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
