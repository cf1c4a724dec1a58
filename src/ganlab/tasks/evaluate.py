"""`python -m ganlab.evaluate`: what it can be asked, before anything is loaded."""

from typing import Annotated, Any, Literal

from pydantic import Field

from ganlab.config.check import extractor_problems
from ganlab.config.nearest import nearest
from ganlab.config.schema import Strict
from ganlab.config.scores import AUTO, EXTRACTORS, UnknownScore, extractor_of, generic, known_names
from ganlab.config.types import PositiveInt
from ganlab.errors import ConfigError, DataError
from ganlab.tasks import command

USAGE = """
ganlab.evaluate: scores, each with its protocol.

  python -m ganlab.evaluate run=outputs/cgan-digits/2026-01-01_12-00-00
  python -m ganlab.evaluate run=… checkpoint=best metrics=[fd,precision,recall] seeds=5
  python -m ganlab.evaluate run=… metrics=fid count=10000          by Inception, if its weights are there
  python -m ganlab.evaluate images=generated/ reference=real/      any two folders of images

of a trained run:
  run              a run folder, or a checkpoint in it
  checkpoint       last | best | the number of an iteration (last)
  reference        train | test | both: the real samples to compare with (both)
  seeds            so many draws of the noise, told as mean ± standard deviation (3)
  importance_samples  draws that make a VAE's importance-weighted bound (the run's own: 100)
  root             where the run's data set lies now, if it was moved
  trust            true: the run may name classes that are not ganlab's, and their code runs (false)

of images:
  images           a folder of generated images
  reference        a folder of real ones
  size             scale both to so many pixels along a side (as they are)
  on_corrupt       refuse | skip: what to do with an image that cannot be read (refuse)
  out              where to write results.json (outputs/evaluations/<date>_<time>)

of both:
  metrics          auto, a name, or a list: {names}
  extractor        digits | random_conv | inception | the dotted name of a class, or with options
                   '{_target_: my.Net, width: 8}' (by the data; random_conv)
  weights, sha256  the file of Inception's weights; how its hash begins, if it is one of your own
  count            samples to generate (1000); images at most (all)
  reference_count  real samples at most (10000; all)
  batch            samples at a time (256)
  device           auto | cpu | cuda | mps (auto)
"""


class EvaluateOptions(Strict):
    """The keys of `ganlab.evaluate`."""

    run: str | None = None
    images: str | None = None
    reference: str | None = None
    checkpoint: str | int = "last"
    metrics: str | list[str] = AUTO
    extractor: str | dict[str, Any] | None = None
    weights: str | None = None
    sha256: str | None = None
    count: Annotated[int, Field(ge=2)] | None = None
    reference_count: Annotated[int, Field(ge=2)] | None = None
    importance_samples: PositiveInt | None = None
    seeds: PositiveInt | None = None
    size: PositiveInt | None = None
    on_corrupt: Literal["refuse", "skip"] = "refuse"
    root: str | None = None
    trust: bool = False
    out: str | None = None
    batch: PositiveInt = 256
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"

    @property
    def scores(self) -> str | list[str]:
        """`auto`, or a list of names."""
        if isinstance(self.metrics, str) and self.metrics != AUTO:
            return [name.strip() for name in self.metrics.split(",")]
        return self.metrics

    def extractor_node(self) -> dict[str, Any] | None:
        """The extractor that was asked for, in words or by the name of a score; None: the data decides."""
        named = self.extractor
        if named is None and isinstance(self.scores, list):
            named = next(filter(None, map(extractor_of, self.scores)), None)
        if named is None:
            return None
        node = dict(named) if isinstance(named, dict) else {"_target_": EXTRACTORS.get(named, named)}
        own = {"weights": self.weights, "sha256": self.sha256}
        return {**node, **{key: value for key, value in own.items() if value is not None}}


OF_RUNS = ("checkpoint", "seeds", "importance_samples", "root", "trust")
OF_IMAGES = ("size", "on_corrupt", "out")


def evaluate(options: EvaluateOptions) -> None:
    """Check what can be checked without torch, then score."""
    try:
        verify(options)
        if options.run is not None:
            from ganlab.tasks.evaluation import evaluate_run

            evaluate_run(options)
        else:
            from ganlab.tasks.image_evaluation import evaluate_images

            evaluate_images(options)
    except (ConfigError, DataError) as error:
        # These speak of a run's configuration; the keys of this command are shorter.
        raise type(error)(_in_own_words(str(error))) from None


def _in_own_words(message: str) -> str:
    for key, own in (
        ("metrics.extractor._target_", "extractor"),
        ("metrics.extractor.", ""),
        ("metrics/extractor", "extractor"),
        ("metrics.extractor", "extractor"),
        ("metrics.scores", "metrics"),
        ("metrics.count", "count"),
        ("data.root", "root"),
    ):
        message = message.replace(key, own)
    return message


def verify(options: EvaluateOptions) -> None:
    """Raise `ConfigError` with a line for each key that cannot be."""
    problems = [*_of_scores(options), *_of_extractor(options)]
    if (options.run is None) == (options.images is None):
        problems.append("give run=… (a trained run) or images=… reference=… (two folders), one of them")
    elif options.run is not None:
        problems += [f"{key}: is for folders of images, and this is a run" for key in OF_IMAGES if _given(options, key)]
        if options.reference not in (None, "train", "test", "both"):
            problems.append(f"reference={options.reference}: of a run it is train, test or both")
    else:
        problems += [f"{key}: is for a run, and these are images" for key in OF_RUNS if _given(options, key)]
        if options.reference is None:
            problems.append("reference: missing; give the folder of real images to compare with")
    if problems:
        raise ConfigError("\n".join(problems))


def _given(options: EvaluateOptions, key: str) -> bool:
    return key in options.model_fields_set


def _of_scores(options: EvaluateOptions) -> list[str]:
    problems = (
        ["metrics=[]: there is nothing to score; leave it out for all that suits"] if options.scores == [] else []
    )
    for name in options.scores if isinstance(options.scores, list) else []:
        try:
            generic(name)
        except UnknownScore:
            problems.append(f"metrics={name}: there is no such score{nearest(name, known_names())}")
    return problems


def _of_extractor(options: EvaluateOptions) -> list[str]:
    node = options.extractor_node()
    if node is None:
        return [] if options.weights is None else ["weights: of which extractor? Add extractor=inception"]
    named = options.extractor
    if isinstance(named, str) and named not in EXTRACTORS and "." not in named:
        return [f"extractor={named}: there is no such extractor{nearest(named, EXTRACTORS)}"]
    return extractor_problems(node)


def main() -> None:
    """Entry point of `python -m ganlab.evaluate` and of the console script `ganlab-evaluate`."""
    command.run(USAGE.replace("{names}", ", ".join(known_names())), EvaluateOptions, evaluate)
