"""What a run says to the person who started it."""

import math
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def say(line: str) -> None:
    """A line on standard output, at once."""
    print(line, flush=True)


def warn(line: str) -> None:
    """A line on standard error, at once."""
    print(f"warning: {line}", file=sys.stderr, flush=True)


TOLD = ("label_agreement", "precision", "recall", "high_quality", "modes", "psnr", "elbo")
"""Scores that are told at the end of a run, after the monitored one; all are in results.json."""


def say_finished(
    folder: Path,
    scores: Mapping[str, Mapping[str, Any]],
    monitored: str | None = None,
    why_nothing: str | None = None,
    use: str = "sample",
) -> None:
    """Where the run lies, what it scored (or why nothing), what to type next; `use`: a command for the model."""
    shown = relative(folder)
    say(f"run:    {shown}")
    say(f"scored: {_told(scores, monitored) or why_nothing or 'nothing'}")
    say(f"next:   {python()} -m ganlab.evaluate run={shown}  |  {python()} -m ganlab.{use} run={shown}")
    say(f"        {python()} -m tensorboard.main --logdir {shown}")


def _told(scores: Mapping[str, Mapping[str, Any]], monitored: str | None) -> str:
    """The monitored score and a few that everyone understands, each beside what real samples score."""
    tags = [tag for tag in scores if tag == monitored or tag.removeprefix("metric/") in TOLD]
    tags.sort(key=lambda tag: tag != monitored)
    words = [_with_real(tag, scores[tag]) for tag in tags]
    rest = len(scores) - len(words)
    return ", ".join(words) + (f"; {rest} more in results.json" if rest else "")


def _with_real(tag: str, score: Mapping[str, Any]) -> str:
    real = score.get("real")
    told = f"{tag.removeprefix('metric/')} {number(score['value'])}"
    if "pca" in score:
        told += f" (PCA {number(score['pca'])})"
    return told if real is None else f"{told} (real samples {number(real)})"


def number(value: float) -> str:
    """Three significant digits, without an exponent where a person would use none."""
    if not math.isfinite(value):
        return str(value)
    magnitude = abs(value)
    if value == int(value) and magnitude < 1e6:
        return str(int(value))
    if magnitude >= 100:
        return f"{value:,.0f}"
    if magnitude >= 1e-3:
        return f"{value:.{max(0, 2 - math.floor(math.log10(magnitude)))}f}"
    return f"{value:.1e}"


def say_interrupted(folder: Path, iteration: int, trust: bool = False) -> None:
    """Where a run that was asked to end stopped, and how it goes on. `trust`: it names classes of the user's own."""
    line = f"\nstopped after iteration {iteration}; saved. Go on with: {resuming(folder, trust)}"
    print(line, file=sys.stderr, flush=True)


def resuming(folder: Path, trust: bool = False) -> str:
    """The command by which a run goes on."""
    return f"{python()} -m ganlab resume={relative(folder)}" + " trust=true" * trust


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
