"""`python -m ganlab.encode`: what it can be asked, before anything is loaded."""

from typing import Literal

from ganlab.config.schema import Strict
from ganlab.config.types import PositiveInt
from ganlab.tasks import command

USAGE = """
ganlab.encode: the codes of a whole split, in its order, for use elsewhere.

  python -m ganlab.encode run=outputs/ae-digits/2026-01-01_12-00-00
  python -m ganlab.encode run=… split=both out=codes/
  python -m ganlab.encode run=outputs/dcgan-digits/… layers=last     what its discriminator sees

A model that encodes gives its codes; one that does not, the features of its discriminator. Of both the labels are
kept from the model: where it wants a condition, it is given zeros. Written are codes.json and, for each split,
<split>.npz with codes float32 [n, dims] and labels int64 [n] (attributes: conditions float32 [n, attributes]).

keys:
  run          a run folder, or a checkpoint in it
  checkpoint   last | best | the number of an iteration (last)
  split        train | test | both (test)
  layers       of a discriminator: all its convolutions, max-pooled to 4×4 and joined, or the last features
               auto | all | last (auto: all, if there are convolutions)
  count        samples at most (all; of data drawn without end 10000)
  out          the folder to write, which must not hold codes yet (the run's own codes/001, 002, …)
  root         where the run's data set lies now, if it was moved
  batch        samples at a time (256)
  device       auto | cpu | cuda | mps (auto)
  trust        true: the run may name classes that are not ganlab's, and their code runs (false)
"""

Layers = Literal["auto", "all", "last"]
Device = Literal["auto", "cpu", "cuda", "mps"]


class EncodeOptions(Strict):
    """The keys of `ganlab.encode`."""

    run: str
    checkpoint: str | int = "last"
    split: Literal["train", "test", "both"] = "test"
    layers: Layers = "auto"
    count: PositiveInt | None = None
    out: str | None = None
    root: str | None = None
    batch: PositiveInt = 256
    device: Device = "auto"
    trust: bool = False


def encode(options: EncodeOptions) -> None:
    """Write the codes that were asked for."""
    from ganlab.tasks.encoding import encode_run

    encode_run(options)


def main() -> None:
    """Entry point of `python -m ganlab.encode` and of the console script `ganlab-encode`."""
    command.run(USAGE, EncodeOptions, encode)
