"""What a model says of samples that it never learnt from, and the exact Wasserstein distance where that can be had."""

from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor

from ganlab.metrics.computing import ALONE, over_modes
from ganlab.metrics.transport import Wasserstein

COUNT = 500
"""Held-out and generated samples each, if there are so many."""
FLOOR_SETS = 5
"""Sets of real points whose mean distance is the floor, if there are points enough."""
ESTIMATE = "wasserstein/estimate"
EXACT, FLOOR = "wasserstein/exact", "wasserstein/exact_floor"


class HeldOut(Callback):
    """Logs at iterations `every`, 2·`every`, … and at the last one, for models that name something to watch.

    Each tag in the model's `watched_held_out` as `<tag>_held_out`: the same function of the scores (`model.judge`), of
    real samples of the test split and of generated ones. Where it lies below the value of training, the discriminator
    knows its training samples by heart. The networks are in eval mode, samples are shown to them without augmentation
    and noise, and the generator's weights are the last ones, not their average: it is they that it is trained against.

    For a Wasserstein model of points also `wasserstein/exact`, the exact W_1 between held-out and generated points,
    and `wasserstein/exact_floor`: what a perfect generator would have there, since real points stand in for its own.

    Of a model that reconstructs, the tags are of what `held_out` says of each sample, with the mean over them.

    The samples and the noise are the same each time, the conditions are those of the real samples. The first process
    computes alone. Training is the same, bit for bit, with and without this callback.
    """

    def __init__(self, every: int, max_iterations: int) -> None:
        self.every = every
        self.max_iterations = max_iterations
        self._estimates: Estimates | Examination | None = None
        self._transport: Transport | None = None

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        self._estimates = self._transport = None

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        iteration = pl_module.iteration
        due = iteration % self.every == 0 or iteration == self.max_iterations
        if not (due and pl_module.watched_held_out and trainer.is_global_zero):
            return
        devices = [pl_module.device] if pl_module.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            values = self._measured(pl_module, trainer.datamodule)  # type: ignore[attr-defined]
        for logger in trainer.loggers:
            logger.log_metrics(values, step=iteration)

    def _measured(self, model: Any, data: Any) -> dict[str, float]:
        if self._estimates is None:
            self._estimates = (Examination if model.reconstructs else Estimates)(model, data)
        values = self._estimates(model)
        if ESTIMATE in model.watched_held_out and len(model.sample_shape) == 1:
            self._transport = self._transport or Transport(model, data)
            values |= self._transport(model)
        return values


class Estimates:
    """What the discriminator's scores say, on the first samples of the test split."""

    def __init__(self, model: Any, data: Any) -> None:
        samples, conditions, *_ = data.examples(COUNT, "test")
        # Whole batches of the size of training: a discriminator may compare the samples of a batch.
        self.batch_size = min(data.batch_size, max(len(samples), 1))
        count = len(samples) // self.batch_size * self.batch_size
        self.real = samples[:count].to(model.device)
        self.conditions = _conditions(model, conditions, slice(count))
        self.latents = model.latents(count, torch.Generator().manual_seed(0))

    def __call__(self, model: Any) -> dict[str, float]:
        """By tag; nothing if there are no held-out samples."""
        places = torch.arange(len(self.real), device=self.real.device).split(self.batch_size)
        if not len(self.real):
            return {}
        on_real, on_fake = [], []
        for place in places:
            condition = None if self.conditions is None else self.conditions[place]
            on_real.append(model.score(self.real[place], condition))
            on_fake.append(model.score(model.decode_last(self.latents[place], condition), condition))
        judged = model.judge(torch.cat(on_real).float(), torch.cat(on_fake).float())
        return {f"{tag}_held_out": float(judged[tag]) for tag in model.watched_held_out}


class Examination:
    """The means of what a model says of each of the first samples of the test split."""

    def __init__(self, model: Any, data: Any) -> None:
        samples, conditions, *_ = data.examples(COUNT, "test")
        self.real, self.batch_size = samples.to(model.device), data.batch_size
        self.conditions = _conditions(model, conditions, slice(len(samples)))

    def __call__(self, model: Any) -> dict[str, float]:
        """By tag; nothing if there are no held-out samples."""
        generator = torch.Generator().manual_seed(2)
        said: dict[str, list[Tensor]] = {tag: [] for tag in model.watched_held_out}
        for place in torch.arange(len(self.real), device=self.real.device).split(self.batch_size):
            condition = None if self.conditions is None else self.conditions[place]
            examined = model.held_out(self.real[place], condition, generator)
            for tag in said:
                said[tag].append(examined[tag])
        return {f"{tag}_held_out": float(torch.cat(parts).mean()) for tag, parts in said.items() if parts}


class Transport:
    """The exact W_1 from held-out points to generated ones, and to real ones in their place.

    The held-out points are spread evenly over the modes of a mixture, so that one side has no counting noise. What
    stands for a perfect generator has it, as the generator has; but not under conditions, which are spread as well.
    """

    def __init__(self, model: Any, data: Any) -> None:
        points, conditions, *_ = data.examples(20 * COUNT, "test")
        conditional = model.condition_size > 0 and conditions is not None
        self.count = min(COUNT, len(points) // 2)
        if conditional and data.mixture is not None:
            self.count -= self.count % len(data.mixture[0])  # else two sets could differ by a point a mode
        if self.count < 2:
            return
        sets = max(1, min(FLOOR_SETS, len(points) // (2 * self.count)))
        if conditional:
            rows, others, _ = over_modes(points, data.mixture).tensor_split([self.count, (1 + sets) * self.count])
        else:
            others, rows = torch.arange(len(points)).tensor_split([sets * self.count])
            rows = rows[over_modes(points[rows], data.mixture)][: self.count]
        self.real = points[rows]
        self.conditions = _conditions(model, conditions, rows)
        self.latents = model.latents(self.count, torch.Generator().manual_seed(1))
        self.floor = sum(self._distance(points[chunk]) for chunk in others.split(self.count)) / sets

    def __call__(self, model: Any) -> dict[str, float]:
        """By tag; nothing if there are too few held-out points."""
        if self.count < 2:
            return {}
        generated = model.decode_last(self.latents, self.conditions)
        return {EXACT: self._distance(generated.cpu().float()), FLOOR: self.floor}

    def _distance(self, points: Tensor) -> float:
        metric = Wasserstein(self.real, 1, **ALONE)
        metric.update(points)
        return float(metric.compute())


def _conditions(model: Any, conditions: Tensor | None, rows: Any) -> Tensor | None:
    """Those of some rows, if the model takes any."""
    if not model.condition_size or conditions is None:
        return None
    return conditions[rows].to(model.device)
