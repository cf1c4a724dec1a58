"""The shape of a whole configuration, checked once before anything is built.

Groups whose keys are the project's own are pydantic classes here. Groups made from a
`_target_` (model, data, and the networks inside a model) are checked against that
target's constructor, so that a new family needs no entry in this file.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, create_model

from ganlab.config.signature import parameters_of
from ganlab.config.types import Fraction, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt


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
    weight_decay: NonNegativeFloat = 0.0
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    decay_from: Fraction = 0.5
    final_factor: Fraction = 0.0
    warmup_iterations: NonNegativeInt = 0
    clip_norm: PositiveFloat | None = None
    clip_value: PositiveFloat | None = None


class AdamConfig(OptimizerConfig):
    algorithm: Literal["adam", "adamw"]
    betas: Betas = [0.9, 0.999]
    eps: PositiveFloat = 1e-8


class RMSpropConfig(OptimizerConfig):
    algorithm: Literal["rmsprop"]
    alpha: Fraction = 0.99
    eps: PositiveFloat = 1e-8
    momentum: NonNegativeFloat = 0.0


class SGDConfig(OptimizerConfig):
    algorithm: Literal["sgd"]
    momentum: NonNegativeFloat = 0.0
    nesterov: bool = False


OPTIMIZERS: dict[str, type[OptimizerConfig]] = {
    "adam": AdamConfig,
    "adamw": AdamConfig,
    "rmsprop": RMSpropConfig,
    "sgd": SGDConfig,
}


class TrainerConfig(Strict):
    """How long, on what, how often to look. All counts are iterations."""

    max_iterations: PositiveInt
    devices: PositiveInt | Literal["auto"] = 1
    num_nodes: PositiveInt = 1
    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"] = "auto"
    precision: Literal["32", "64", "bf16-mixed", "16-mixed"] | Literal[32, 64] = "32"
    accumulate: PositiveInt = 1
    log_every: PositiveInt = 50
    sample_every: PositiveInt | None = 250
    evaluate_every: PositiveInt | None = None
    checkpoint_every: PositiveInt | None = 500
    keep_checkpoints: PositiveInt = 1
    compile: bool = False
    channels_last: bool | Literal["auto"] = "auto"
    threads: PositiveInt | Literal["auto"] = "auto"
    progress: bool = True


class CallbacksConfig(Strict):
    """What watches a run; `extra` takes any Lightning callbacks by `_target_`."""

    sample_rows: PositiveInt = 8
    extra: list[dict[str, Any]] = []


class MetricsConfig(Strict):
    """Which scores are computed at the end of a run."""

    label_agreement: bool = True
    count: PositiveInt = 1000


class LoggerConfig(Strict):
    """Where the logged values go."""

    tensorboard: bool = True
    csv: bool = True


class RunConfig(Strict):
    """A whole configuration; `model`, `data` and `optimizer` have schemas of their own."""

    name: str | None = None
    seed: NonNegativeInt
    resume: str | None = None
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
