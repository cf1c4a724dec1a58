"""The shape of a whole configuration, checked once before anything is built.

Groups whose keys are the project's own are pydantic classes here. Groups made from a
`_target_` (model, data, and the networks inside a model) are checked against that
target's constructor, so that a new family needs no entry in this file. Defaults are said in `conf/` alone.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model

from ganlab.config.signature import parameters_of
from ganlab.config.types import (
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveFraction,
    PositiveInt,
)


class Strict(BaseModel):
    """No unknown key, no silent conversion (a float key takes an int, nothing else bends)."""

    model_config = ConfigDict(extra="forbid", strict=True)


def _betas(betas: list[float]) -> list[float]:
    if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
        raise ValueError("betas are two numbers, each at least 0 and below 1")
    return betas


Betas = Annotated[list[float], AfterValidator(_betas)]


class OptimizerConfig(Strict):
    """What every optimizer has: its learning rate, the schedule of it, and clipping of the gradient."""

    lr: NonNegativeFloat
    weight_decay: NonNegativeFloat
    schedule: Literal["constant", "linear", "cosine"]
    decay_from: Fraction
    final_factor: Fraction
    warmup_iterations: NonNegativeInt
    clip_norm: PositiveFloat | None
    clip_value: PositiveFloat | None


class AdamConfig(OptimizerConfig):
    algorithm: Literal["adam", "adamw"]
    betas: Betas
    eps: PositiveFloat


class RMSpropConfig(OptimizerConfig):
    algorithm: Literal["rmsprop"]
    alpha: Fraction
    eps: PositiveFloat
    momentum: NonNegativeFloat


class SGDConfig(OptimizerConfig):
    algorithm: Literal["sgd"]
    momentum: NonNegativeFloat
    nesterov: bool


OPTIMIZERS: dict[str, type[OptimizerConfig]] = {
    "adam": AdamConfig,
    "adamw": AdamConfig,
    "rmsprop": RMSpropConfig,
    "sgd": SGDConfig,
}


class TrainerConfig(Strict):
    """How long, on what, how often to look. All counts are iterations."""

    max_iterations: PositiveInt
    devices: PositiveInt | Literal["auto"]
    num_nodes: PositiveInt
    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"]
    precision: Literal["32", "64", "bf16-mixed", "16-mixed"] | Literal[32, 64]
    accumulate: PositiveInt
    log_every: PositiveInt
    sample_every: PositiveInt | None
    evaluate_every: PositiveInt | None
    checkpoint_every: PositiveInt | None
    keep_checkpoints: PositiveInt
    compile: bool
    compile_mode: Literal["auto", "default", "reduce-overhead", "max-autotune"]
    tf32: bool
    deterministic: bool
    channels_last: bool | Literal["auto"]
    threads: PositiveInt | Literal["auto"]
    progress: bool


def _with_target(node: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(node.get("_target_"), str):
        raise ValueError("a callback needs a _target_, the dotted name of its class")
    return node


Extra = Annotated[dict[str, Any], AfterValidator(_with_target)]


class PruningConfig(Strict):
    """The study that ends a trial of a search which does badly: its journal, and the trial's number in it."""

    journal: str | None
    trial: NonNegativeInt | None


class CallbacksConfig(Strict):
    """What watches a run; `extra` takes any Lightning callbacks by `_target_`."""

    sample_rows: Annotated[int, Field(gt=0, le=100)]
    guards: bool
    not_finite: Literal["stop", "skip", "roll_back"]
    most_skipped: NonNegativeInt
    most_roll_backs: NonNegativeInt
    roll_back_factor: PositiveFraction
    pruning: PruningConfig
    extra: list[Extra]


class MetricsConfig(Strict):
    """Which scores are computed, on what; `extractor` is checked like any component."""

    scores: Literal["auto"] | list[str]
    extractor: dict[str, Any]
    monitor: str
    reference: Literal["test", "train"]
    count: Annotated[int, Field(ge=2)]
    reference_count: Annotated[int, Field(ge=2)]
    seed: NonNegativeInt
    importance_samples: PositiveInt
    batch_size: PositiveInt
    cache_dir: str


class LoggerConfig(Strict):
    """Where the logged values go."""

    tensorboard: bool
    csv: bool


class RunConfig(Strict):
    """A whole configuration; `model`, `data` and `optimizer` have schemas of their own."""

    name: str | None
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    resume: str | None
    trust: bool
    model: dict[str, Any]
    data: dict[str, Any]
    optimizer: dict[str, dict[str, Any]]
    trainer: TrainerConfig
    callbacks: CallbacksConfig
    metrics: MetricsConfig
    logger: LoggerConfig


def component_schema(target: str, name: str) -> type[BaseModel]:
    """A pydantic class for a node whose `_target_` is `target`; raises `TargetNotFound`."""
    fields: dict[str, Any] = {
        parameter.name: (parameter.annotation, ... if parameter.required else None)
        for parameter in parameters_of(target)
    }
    return create_model(name, __base__=Strict, **fields)
