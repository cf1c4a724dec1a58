"""`python -m ganlab.probe`: what it can be asked, before anything is loaded."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from ganlab.config.schema import Strict
from ganlab.config.types import PositiveInt
from ganlab.errors import CheckpointError, ConfigError
from ganlab.tasks import command
from ganlab.tasks.encode import Device, Layers
from ganlab.typed_path import typed_path

USAGE = """
ganlab.probe: how well classes are read from a model's codes, beside raw pixels and PCA.

  python -m ganlab.probe run=outputs/ae-digits/2026-01-01_12-00-00
  python -m ganlab.probe 'runs=outputs/*/*'                      all of them in one table; their data must be the same
  python -m ganlab.probe 'runs=[outputs/vae-digits/…,outputs/dcgan-digits/…]'

The codes are those of ganlab.encode. Classifiers are fitted on the training split and scored on the test split: a
linear probe (logistic regression), nearest neighbours, and a linear probe of a few labels a class, over several draws.
The table is printed, and probes.json with its protocol goes to the (first) run's folder, into probes/001, 002, …

keys:
  run          a run folder, or a checkpoint in it
  runs         several, as a list or as a pattern of folders
  checkpoint   last | best | the number of an iteration (last)
  layers       of a discriminator: auto | all | last, as in ganlab.encode (auto)
  count        samples of each split at most (10000; of data drawn without end 2000)
  neighbours   of the nearest-neighbour classifier (5)
  per_class    labels a class of the few (10)
  draws        of the few (5)
  untrained    whether the networks are judged with their first, random weights as well (true)
  root         where the data set lies now, if it was moved
  batch        samples at a time (256)
  device       auto | cpu | cuda | mps (auto)
  trust        true: the run may name classes that are not ganlab's, and their code runs (false)
"""


class ProbeOptions(Strict):
    """The keys of `ganlab.probe`."""

    run: str | None = None
    runs: str | list[str] | None = None
    checkpoint: str | int = "last"
    layers: Layers = "auto"
    count: Annotated[int, Field(ge=2)] | None = None
    neighbours: PositiveInt = 5
    per_class: PositiveInt = 10
    draws: PositiveInt = 5
    untrained: bool = True
    root: str | None = None
    batch: PositiveInt = 256
    device: Device = "auto"
    trust: bool = False


def probe(options: ProbeOptions) -> None:
    """Find the runs without torch, then probe them."""
    runs = runs_of(options)
    from ganlab.tasks.probing import probe_runs

    probe_runs(runs, options)


def runs_of(options: ProbeOptions) -> list[str]:
    """The run folders that are meant; raises `GanlabError` if there are none."""
    if (options.run is None) == (options.runs is None):
        raise ConfigError("give run=… (a trained run) or runs=… (several), one of them")
    if options.run is not None:
        return [options.run]
    if isinstance(options.runs, list):
        if not options.runs:
            raise ConfigError("runs=[]: name at least one run")
        return options.runs
    assert options.runs is not None
    found = sorted(str(path.parent.parent) for path in _matching(f"{options.runs}/checkpoints/last.ckpt"))
    if not found:
        raise CheckpointError(f"runs={options.runs}: no run matches; a run folder holds checkpoints/last.ckpt")
    return found


def _matching(pattern: str) -> list[Path]:
    path = typed_path(pattern, "runs")
    return list(Path(path.anchor).glob(str(path.relative_to(path.anchor))))


def main() -> None:
    """Entry point of `python -m ganlab.probe` and of the console script `ganlab-probe`."""
    command.run(USAGE, ProbeOptions, probe)
