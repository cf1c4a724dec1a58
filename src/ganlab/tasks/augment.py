"""`python -m ganlab.augment`: what it can be asked, before anything is loaded."""

from typing import Literal

from ganlab.config.schema import Strict
from ganlab.config.types import NonNegativeFloat, NonNegativeInt, PositiveInt
from ganlab.tasks import command
from ganlab.tasks.encode import Device

USAGE = """
ganlab.augment: new samples near given ones: encoded, moved a little, decoded.

  python -m ganlab.augment run=outputs/ae-digits/2026-01-01_12-00-00 count=1000
  python -m ganlab.augment run=… method=interpolate          between neighbours of the same class
  python -m ganlab.augment run=outputs/vae-digits/… method=posterior

For models that encode and decode (model=ae, denoising_ae, contractive_ae, sparse_ae, stacked_ae, deep_ae, vae). Written
are, into a fresh folder of the run's, augmented.npz (samples, the rows that they came from, labels, codes),
augmented.json and a picture: originals, what the code keeps of them, and their offspring.

keys:
  run          a run folder, or a checkpoint in it
  checkpoint   last | best | the number of an iteration (last)
  split        train | test: where the originals are from (train)
  count        new samples (64)
  each         of one original (4)
  method       noise: the code plus Gaussian noise of each coordinate's deviation over the split
               interpolate, extrapolate: towards a near code of the same class, or away from it
               posterior: drawn from what the encoder believes (model=vae)
  spread       how far: of the deviation, or of the way (0.5; posterior 1)
  neighbours   so many near codes are chosen from (10)
  seed         of all that is drawn (0)
  root         where the run's data set lies now, if it was moved
  batch        samples at a time (256)
  device       auto | cpu | cuda | mps (auto)
  trust        true: the run may name classes that are not ganlab's, and their code runs (false)
"""

Method = Literal["noise", "interpolate", "extrapolate", "posterior"]


class AugmentOptions(Strict):
    """The keys of `ganlab.augment`."""

    run: str
    checkpoint: str | int = "last"
    split: Literal["train", "test"] = "train"
    count: PositiveInt = 64
    each: PositiveInt = 4
    method: Method = "noise"
    spread: NonNegativeFloat | None = None
    neighbours: PositiveInt = 10
    seed: NonNegativeInt = 0
    root: str | None = None
    batch: PositiveInt = 256
    device: Device = "auto"
    trust: bool = False

    @property
    def distance(self) -> float:
        """The spread, or what it is unless given."""
        return self.spread if self.spread is not None else 1.0 if self.method == "posterior" else 0.5


def augment(options: AugmentOptions) -> None:
    """Write new samples near those of the run's data."""
    from ganlab.tasks.augmenting import augment_run

    augment_run(options)


def main() -> None:
    """Entry point of `python -m ganlab.augment` and of the console script `ganlab-augment`."""
    command.run(USAGE, AugmentOptions, augment)
