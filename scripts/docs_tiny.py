"""A documented training command, composed and checked as it is typed, and made small enough to be executed."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from ganlab.config import resolvers
from ganlab.config.callback import check_job
from ganlab.config.explain import REFUSALS, explain
from ganlab.config.paths import conf_folder
from ganlab.errors import ConfigError

NEED_FILES = ("mnist", "fashion_mnist", "cifar10", "celeba")
ITERATIONS, PHASED_ITERATIONS = 2, 12
"""Of a run, and of one whose layers learn in turn, one iteration each."""
TOLD = {"--help", "-h", "--hydra-help", "--version", "--cfg", "-c", "--info", "-i"}
"""Flags that ask Hydra for something else than a run."""


@dataclass(frozen=True)
class Typed:
    """What follows `python -m ganlab`."""

    overrides: tuple[str, ...]
    sweeps: bool
    config_dir: str | None
    told: bool

    @property
    def flags(self) -> list[str]:
        """Those that a run needs again."""
        return [*(["--config-dir", self.config_dir] if self.config_dir else []), *(["-m"] if self.sweeps else [])]


def typed(words: Sequence[str]) -> Typed:
    """Flags and overrides apart; raises `SystemExit` for a flag that Hydra does not have."""
    parsed = get_args_parser().parse_args(list(words))
    told = any(word.partition("=")[0] in TOLD for word in words)
    return Typed(tuple(parsed.overrides), parsed.multirun, parsed.config_dir, told)


def composed(overrides: Sequence[str], config_dir: str | None = None) -> DictConfig:
    """The configuration of one run, checked; raises `GanlabError` in the words of the command line."""
    resolvers.register()
    search = [f"hydra.searchpath=[file://{Path(config_dir).resolve()}]"] if config_dir else []
    try:
        with initialize_config_dir(str(conf_folder()), version_base="1.3"):
            config = compose("config", overrides=[*overrides, *search], return_hydra_config=True)
    except REFUSALS as error:
        raise ConfigError(explain(overrides, config_dir, error)) from None
    config.hydra.job.num = 0
    check_job(config, overrides)
    OmegaConf.resolve(config.model)
    return config


def why_not_run(config: DictConfig) -> str | None:
    """Why a run of this configuration is not for any machine; None if it is."""
    trainer = config.trainer
    reasons = {
        f"needs the files of {config.data.name}": config.data.name in NEED_FILES,
        "needs several devices": trainer.devices != 1 or trainer.num_nodes != 1,
        "needs a GPU": trainer.accelerator in ("gpu", "cuda", "mps") or str(trainer.precision) == "16-mixed",
        "compiles for minutes": bool(trainer.compile),
        "needs Inception's weights": "Inception" in str(config.metrics.extractor.get("_target_")),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def tiny_words(config: Mapping[str, Any], overrides: Sequence[str]) -> list[str]:
    """Overrides behind those that were typed, by which a run takes a second: few iterations, few samples, thin nets."""
    model = config["model"]
    phased = "pretrain_iterations" in model
    iterations = PHASED_ITERATIONS if phased else ITERATIONS
    words = [f"trainer.max_iterations={iterations}", f"trainer.sample_every={iterations}", "trainer.log_every=1"]
    words += ["trainer.threads=1", "trainer.progress=false", "logger.tensorboard=false"]
    words += ["trainer.checkpoint_every=null", "data.batch_size=8"]
    if not any("trainer.evaluate_every" in word for word in overrides):
        words.append("trainer.evaluate_every=null")
    if phased:
        words.append("model.pretrain_iterations=1")
    for player in ("generator", "discriminator"):
        if player in model and "width" in model[player]:
            words.append(f"model.{player}.width=4")
    # A search compares scores, and a page that speaks of them wants some.
    searches = any(word.startswith("sweep=") and ("optuna" in word or "random" in word) for word in overrides)
    if not searches and not any(word.lstrip("+").startswith("metrics") for word in overrides):
        return [*words, "metrics.scores=[]", "metrics.monitor=auto"]
    return [*words, "metrics.count=20", "metrics.reference_count=50"]


def first_jobs(overrides: Sequence[str]) -> list[list[str]]:
    """The overrides of two of a sweep's jobs: that of all first values, and that of all second ones (or the last)."""
    choices = [_values(override) for override in overrides]
    return [[of_key[min(job, len(of_key) - 1)] for of_key in choices] for job in range(2)]


def short_sweep(overrides: Sequence[str]) -> list[str]:
    """The same sweep with two jobs: two values of the first key that has several, one of each other."""
    several = next((at for at, override in enumerate(overrides) if len(_values(override)) > 1), None)
    words = [_values(override)[0] for override in overrides]
    if several is not None:
        first, second = _values(overrides[several])
        words[several] = f"{first},{second.partition('=')[2]}"
    return words


def _values(override: str) -> list[str]:
    """An override once for each of the first two values that it sweeps over; itself if there is one."""
    (parsed,) = OverridesParser.create().parse_overrides([override])
    if not parsed.is_sweep_override():
        return [override]
    key = override.partition("=")[0]
    value = parsed.value()
    if isinstance(value, IntervalSweep):
        return [f"{key}={value.start}", f"{key}={value.end}"]
    return [f"{key}={text}" for text in itertools.islice(parsed.sweep_string_iterator(), 2)]


def write_images(folder: Path, classes: int = 0) -> None:
    """Thirty small images, in so many sub-folders, in the place of the reader's own."""
    for number in range(30):
        place = folder / f"class_{number % classes}" if classes else folder
        place.mkdir(parents=True, exist_ok=True)
        shade = 8 * number
        Image.linear_gradient("L").resize((16, 16)).point(lambda value, s=shade: (value + s) % 256).save(
            place / f"{number:02d}.png"
        )
