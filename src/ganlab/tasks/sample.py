"""`python -m ganlab.sample`: pictures and arrays from a checkpoint alone."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from ganlab.config.schema import Strict
from ganlab.config.types import NonNegativeInt, PositiveInt
from ganlab.errors import CheckpointError
from ganlab.tasks import command

USAGE = """
ganlab.sample: pictures from a trained run; the data set is not needed.

  python -m ganlab.sample run=outputs/cgan-digits/2026-01-01_12-00-00 count=64
  python -m ganlab.sample run=… condition=3 count=16       only threes
  python -m ganlab.sample run=… 'condition=[1,0,1]'        classes in turn, or an attribute vector of floats
  python -m ganlab.sample run=… interpolate=8              a walk through the latents: a strip and an animated GIF

A model with codes also gives traversal.png (what each code does), one with levels levels.png.

keys:
  run          a run folder, or a checkpoint in it
  count        how many samples (64)
  seed         of the noise (0)
  condition    a class, a list of classes, or a vector; without it all classes in turn
  interpolate  steps from one latent to the next (0: none)
  batch        samples at a time (256)
  trust        true: the run may name classes that are not ganlab's, and their code runs (false)
"""


class SampleOptions(Strict):
    """The keys of `ganlab.sample`."""

    run: str
    count: PositiveInt = 64
    seed: NonNegativeInt = 0
    condition: int | list[int] | list[float] | None = None
    interpolate: Annotated[int, Field(ge=0)] = 0
    batch: PositiveInt = 256
    trust: bool = False


def sample(options: SampleOptions) -> None:
    """Rebuild the model of a run and write what it generates into a fresh folder of the run's."""
    from ganlab.tasks import console
    from ganlab.tasks.sampling import write_generated
    from ganlab.tasks.trained import read_trained

    saved = read_trained(options.run, trust=options.trust)
    model = saved.restored()
    if not model.generates:
        raise CheckpointError(
            f"run={options.run}: model={model.name} gives samples back and draws none from a prior; its codes: "
            f"python -m ganlab.encode run={options.run}, new samples near given ones: python -m ganlab.augment run=…"
        )
    written = write_generated(
        model,
        Path(saved.folder) / "generated",
        count=options.count,
        seed=options.seed,
        condition=options.condition,
        interpolate=options.interpolate,
        batch=options.batch,
        # Great circles are for a normal prior; codes among the latents are on none.
        prior="uniform" if hasattr(model, "codes") else model.prior,
        num_classes=saved.settings["data"]["num_classes"],
        names=saved.condition_names,
    )
    console.say(f"{options.count} samples: {console.relative(written)}")


def main() -> None:
    """Entry point of `python -m ganlab.sample` and of the console script `ganlab-sample`."""
    command.run(USAGE, SampleOptions, sample)
