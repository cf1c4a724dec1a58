"""From an optimizer's configuration to the optimizer and its learning-rate schedule."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

_CLASSES: dict[str, type[Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}
_FUSED = {"adam", "adamw", "sgd"}
_NOT_FOR_THE_CLASS = {
    "algorithm",
    "schedule",
    "decay_from",
    "final_factor",
    "warmup_iterations",
    "clip_norm",
    "clip_value",
}


def build_optimizer(parameters: Iterable[Tensor], config: dict[str, Any], fused: bool) -> Optimizer:
    """A torch optimizer for `parameters` from a checked optimizer configuration.

    fused: use torch's fused kernels where the algorithm has them. A fused optimizer
    unscales fp16 gradients inside its step, out of sight of clipping: pass False with a GradScaler.
    """
    options = {key: value for key, value in config.items() if key not in _NOT_FOR_THE_CLASS}
    if "betas" in options:
        options["betas"] = tuple(options["betas"])
    if config["algorithm"] in _FUSED and fused:
        options["fused"] = True
    return _CLASSES[config["algorithm"]](parameters, **options)


def schedule_factor(config: dict[str, Any], max_iterations: int) -> Callable[[int], float]:
    """The factor on the learning rate as a function of the finished iterations.

    A linear rise over `warmup_iterations`; then 1 until the share `decay_from` of
    `max_iterations`; from there to `final_factor` at the end, on a line or half a cosine wave.
    """
    schedule = config.get("schedule", "constant")
    warmup = config.get("warmup_iterations", 0)
    final = config.get("final_factor", 0.0)
    begin = config.get("decay_from", 0.5) * max_iterations

    def factor(iteration: int) -> float:
        rise = min(1.0, (iteration + 1) / (warmup + 1))
        if schedule == "constant" or iteration <= begin:
            return rise
        progress = min(1.0, (iteration - begin) / max(max_iterations - begin, 1e-9))
        if schedule == "cosine":
            progress = (1 - math.cos(math.pi * progress)) / 2
        return rise * (1 + (final - 1) * progress)

    return factor


def build_schedule(optimizer: Optimizer, config: dict[str, Any], max_iterations: int) -> LambdaLR | None:
    """A scheduler to step once an iteration, or None where the learning rate never changes."""
    if config.get("schedule", "constant") == "constant" and not config.get("warmup_iterations", 0):
        return None
    return LambdaLR(optimizer, schedule_factor(config, max_iterations))


def clip_gradients(parameters: list[Tensor], config: dict[str, Any]) -> None:
    """Clip the gradients in place, by value and then by their common norm, as configured."""
    if config.get("clip_value") is not None:
        torch.nn.utils.clip_grad_value_(parameters, config["clip_value"])
    if config.get("clip_norm") is not None:
        torch.nn.utils.clip_grad_norm_(parameters, config["clip_norm"])
