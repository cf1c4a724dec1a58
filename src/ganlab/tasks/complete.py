"""`python -m ganlab.complete`: what it can be asked, before anything is loaded."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from ganlab.config.schema import Strict
from ganlab.config.types import NonNegativeFloat, NonNegativeInt, OpenFraction, PositiveFloat, PositiveInt
from ganlab.tasks import command
from ganlab.tasks.encode import Device

USAGE = """
ganlab.complete: the hidden part of images, made by a trained generator (Yeh et al. 2017; Amos 2016).

  python -m ganlab.complete run=outputs/dcgan-digits/2026-01-01_12-00-00           a hole in held-out images
  python -m ganlab.complete run=… mask=left count=64
  python -m ganlab.complete run=… images=photos/ mask=hole.png
  python -m ganlab.complete run=outputs/cgan-digits/… condition=any                of whatever class fits best

Searched is the latent whose sample agrees with the visible pixels (context), looks real to the discriminator and is
likely under the prior; its hidden part is blended in. For models that draw from a prior: every GAN, and model=vae.
Written are, into a fresh folder of the run's, completed.png (before and after), images/, completed.npz and
completion.json, with the error on the hidden part beside those of simpler fillings: the mean and the nearest training
image, and a smooth one from the rim of the hole.

keys:
  run            a run folder, or a checkpoint in it
  images         test | train: of the run's own data; or a folder of images, or one image (test)
  mask           center | random | left | right | top | bottom, or a picture that is white where images are hidden
  share          of the pixels that are hidden (center 0.25, the others 0.5)
  count          how many images (16)
  condition      a class, a list of classes, a vector, or any: the starts take all classes in turn, and the best start
                 decides (of test and train each image's own; of other images any)
  steps          of each search (200)
  restarts       starts of each image; the one with the least loss is kept, judged by the visible part (10)
  draws          from the prior for each start, of which the best one is kept (16)
  step_size      Adam's, at the start; it falls to 0 (0.1)
  context        absolute | squared differences of visible pixels
  window         pixels near the hole count by the share of hidden ones in such a square about them; 1: all alike (7)
  prior_weight   of the discriminator's word beside the context (0.003; a VAE has none)
  latent_weight  of the squared length of normal latents, halved (0.003)
  blend          poisson: gradients of what was made, without a seam | paste | none: the whole sample
  seed           of the starts and of random holes (0)
  checkpoint     last | best | the number of an iteration (last)
  root           where the run's data set lies now, if it was moved
  batch          latents at a time (1024)
  device         auto | cpu | cuda | mps (auto)
  trust          true: the run may name classes that are not ganlab's, and their code runs (false)
"""


def _odd(window: int) -> int:
    if window % 2 == 0:
        raise ValueError("must be odd, so that it has a middle")
    return window


class CompleteOptions(Strict):
    """The keys of `ganlab.complete`."""

    run: str
    images: str = "test"
    mask: str = "center"
    share: OpenFraction | None = None
    count: PositiveInt = 16
    condition: int | list[int] | list[float] | Literal["any"] | None = None
    steps: PositiveInt = 200
    restarts: PositiveInt = 10
    draws: PositiveInt = 16
    step_size: PositiveFloat = 0.1
    context: Literal["absolute", "squared"] = "absolute"
    window: Annotated[PositiveInt, AfterValidator(_odd)] = 7
    prior_weight: NonNegativeFloat = 0.003
    latent_weight: NonNegativeFloat = 0.003
    blend: Literal["poisson", "paste", "none"] = "poisson"
    seed: NonNegativeInt = 0
    checkpoint: str | int = "last"
    root: str | None = None
    batch: PositiveInt = 1024
    device: Device = "auto"
    trust: bool = False

    def search(self) -> dict[str, Any]:
        """What says how a latent is searched."""
        keys = ("steps", "restarts", "draws", "step_size", "context", "window", "prior_weight", "latent_weight", "seed")
        return {key: getattr(self, key) for key in keys}


def complete(options: CompleteOptions) -> None:
    """Write the completed images that were asked for."""
    from ganlab.tasks.completing import complete_run

    complete_run(options)


def main() -> None:
    """Entry point of `python -m ganlab.complete` and of the console script `ganlab-complete`."""
    command.run(USAGE, CompleteOptions, complete)
