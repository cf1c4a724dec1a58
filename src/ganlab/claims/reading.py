"""What runs of an experiment left behind, read back: curves, scores, trained models."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ganlab.errors import CheckpointError
from ganlab.models.base import GenerativeModel
from ganlab.tasks.comparing.curves import read_table
from ganlab.tasks.comparing.runs import RESULTS
from ganlab.tasks.trained import Trained, read_trained

ALL = 10**9
"""More samples than any data have: `examples(ALL, split)` gives all of a split."""


def curves(folders: Sequence[Path], tag: str) -> tuple[list[int], np.ndarray]:
    """A logged value over the iterations that all runs have: iterations, and values [runs, iterations].

    Raises `CheckpointError` where a run has not logged it.
    """
    found = [read_table(folder / "metrics.csv").get(tag, {}) for folder in folders]
    common = sorted(set(found[0]).intersection(*found))
    if not common:
        raise CheckpointError(f"{folders[0].parent}: the runs have no common values of {tag}")
    return common, np.array([[one[iteration] for iteration in common] for one in found])


def scores(folders: Sequence[Path], tag: str) -> list[float]:
    """A final score of each run, as results.json has it."""
    return [float(json.loads((folder / RESULTS).read_text())["scores"][tag]["value"]) for folder in folders]


def last_values(folders: Sequence[Path], tag: str) -> list[float]:
    """The last logged value of each run."""
    return [float(json.loads((folder / RESULTS).read_text())["last_values"][tag]) for folder in folders]


def model_of(folder: Path, checkpoint: str | int = "last") -> GenerativeModel:
    """The trained model, on the CPU, in eval mode, with gradients off its weights."""
    return read_trained(str(folder), checkpoint).restored().eval().requires_grad_(False)


def trained_of(folder: Path, checkpoint: str | int = "last") -> Trained:
    """The trained model and its data, on the CPU."""
    return read_trained(str(folder), checkpoint).load(device="cpu")
