"""Guards: they know how training goes wrong, and say so once, with what was seen and what to try.

Each looks at what is logged, one look after the other, and is a function of that sequence alone; `Guards` shows it to
them and tells the user what they say.
"""

import math
from abc import abstractmethod
from collections.abc import Mapping
from statistics import median
from typing import Any, ClassVar

import torch
from lightning import Callback, Trainer

from ganlab.callbacks.measure import Measure
from ganlab.callbacks.symptoms import AT_CLIP, AVERAGE_MOVED, DIVERSITY, MOVED, Diversity, Movement, weights_at_clip
from ganlab.callbacks.telling import warn

APART = 25
"""Iterations at least between two looks."""
REMEMBERED = 50
"""Values of the past that a guard keeps."""
STATE = "guards"

Values = Mapping[str, float]


class Guard:
    """A way in which training goes wrong. It is told after `patience` looks in a row that show it, and again only
    after as many that do not."""

    name: ClassVar[str]
    patience: ClassVar[int] = 3
    means: ClassVar[str]
    """What it usually means, and what to try."""

    def __init__(self) -> None:
        self.past: list[float] = []
        self.bad = self.good = 0
        self.standing = False

    @abstractmethod
    def symptom(self, values: Values) -> str | None:
        """What is wrong, in numbers; empty if nothing is, None if the values do not tell."""

    def look(self, values: Values) -> str | None:
        """A symptom that is to be told now."""
        seen = self.symptom(values)
        if seen is None:
            return None
        self.bad, self.good = (self.bad + 1, 0) if seen else (0, self.good + 1)
        began = self.bad >= self.patience and not self.standing
        if self.bad >= self.patience or self.good >= self.patience:
            self.standing = self.bad >= self.patience
        return seen if began else None

    def remember(self, value: float) -> None:
        self.past = [*self.past, value][-REMEMBERED:]

    def state(self) -> dict[str, Any]:
        return {"past": list(self.past), "bad": self.bad, "good": self.good, "standing": self.standing}

    def restore(self, state: dict[str, Any]) -> None:
        self.past, self.bad, self.good = list(state["past"]), state["bad"], state["good"]
        self.standing = state["standing"]


REAL, FAKE = "accuracy/discriminator_real", "accuracy/discriminator_fake"
GRADIENT, SLOPE = "grad_norm/generator", "grad_norm/critic_mean"


class Saturation(Guard):
    """The discriminator is right on at least 99 % of both kinds, and the norm of the generator's gradient is below
    1e-4, or has fallen below a tenth of the median of the first five looks."""

    name = "discriminator_saturated"
    means = (
        "the discriminator is so far ahead that the generator learns little from it; try model.instance_noise=0.3, "
        "model.r1=1, a lower optimizer.discriminator.lr or fewer model.discriminator_updates"
    )

    def symptom(self, values: Values) -> str | None:
        if not _known(values, REAL, FAKE, GRADIENT):
            return None
        gradient = values[GRADIENT]
        if len(self.past) < 5:
            self.past.append(gradient)
        early = median(self.past)
        if min(values[REAL], values[FAKE]) < 0.99 or gradient >= max(0.1 * early, 1e-4):
            return ""
        right = f"right on {values[REAL]:.1%} of real and {values[FAKE]:.1%} of generated samples"
        return (
            f"the discriminator is {right}, and the generator's gradient norm is {gradient:.2g}, early on {early:.2g}"
        )


class VanishedGradient(Guard):
    """The norm of the generator's gradient is below 1e-8, or below a thousandth of its median so far."""

    name = "generator_gradient_vanished"
    means = (
        "nothing tells the generator where to go; try model.loss=non_saturating, model.instance_noise=0.3 or "
        "model=wgan_gp, and with clipped weights another model.clip"
    )

    def symptom(self, values: Values) -> str | None:
        if not _known(values, GRADIENT):
            return None
        gradient = values[GRADIENT]
        usual = median(self.past) if len(self.past) >= 3 else 0.0
        if gradient >= 1e-8 and gradient >= 1e-3 * usual:
            self.remember(gradient)
            return ""
        return f"the generator's gradient norm is {gradient:.2g}" + (f", before {usual:.2g}" if usual else "")


class Collapse(Guard):
    """Samples of fixed noise lie, by the median of five looks, closer together than a quarter of what real samples do:
    after they lay twice as far apart, or from the twentieth look on."""

    name = "mode_collapse"
    means = (
        "the generator makes few kinds of samples; try model.discriminator.minibatch_kernels=32, "
        "model.instance_noise=0.3, model.r1=1, a lower optimizer.generator.lr or model=wgan_gp"
    )
    share = 0.25

    def symptom(self, values: Values) -> str | None:
        if not _known(values, DIVERSITY):
            return None
        self.remember(values[DIVERSITY])
        # A heap of samples that wanders from mode to mode is torn apart on its way: one look says little.
        now = median(self.past[-5:])
        # An untrained generator's samples are alike too: that it has not begun is no collapse.
        begun = len(self.past) >= 20 or (len(self.past) >= 5 and max(self.past) >= 2 * self.share)
        if not begun or now >= self.share:
            return ""
        return f"samples of fixed noise are {now:.1%} as far apart as real ones, once {max(self.past):.0%}"


class Clipped(Guard):
    """Most weights of a clipped critic lie at the bound, and its slope is below 1e-5, where 1 is meant.

    A critic that learns may have more of them there: model=wgan on data=ring 98 % at iteration 350, and a slope of
    4e-3; of one that does not, with model.clip=1e-4, it is 2e-11."""

    name = "weights_at_clip_bound"
    means = (
        "the bound is so tight that the critic is flat and tells the generator nothing; try model.clip ten times as "
        "high, or model=wgan_gp"
    )
    share = 0.5

    def symptom(self, values: Values) -> str | None:
        if not _known(values, AT_CLIP, SLOPE):
            return None
        share, slope = values[AT_CLIP], values[SLOPE]
        if share < self.share or slope >= 1e-5:
            return ""
        return f"{share:.1%} of the critic's weights lie at the clip bound, and the norm of its gradient is {slope:.2g}"


class StillAverage(Guard):
    """The generator moves, and the running average of its weights does not: less than a thousandth as far."""

    name = "average_not_moving"
    means = (
        "pictures and scores are of weights that training has left behind; try a lower model.ema_decay, or 0 for none"
    )

    def symptom(self, values: Values) -> str | None:
        if not _known(values, MOVED, AVERAGE_MOVED):
            return None
        moved, average = values[MOVED], values[AVERAGE_MOVED]
        if moved == 0 or average >= 1e-3 * moved:
            return ""
        return (
            f"the generator's weights moved by {moved:.2g} since the last look, their running average by {average:.2g}"
        )


class PosteriorCollapse(Guard):
    """No latent of a VAE says anything of a sample."""

    name = "posterior_collapse"
    patience = 5
    means = "the decoder does without the code; try model.beta_warmup=0.5, model.free_bits=0.1 or a lower model.beta"

    def symptom(self, values: Values) -> str | None:
        if not _known(values, "latents/active"):
            return None
        return (
            ""
            if values["latents/active"] > 0
            else "0 latents are active, and KL {:.2g} nats".format(values.get("loss/kl", math.nan))
        )


class DeadUnits(Guard):
    """Most units of a sparse code answer to no sample of the batch."""

    name = "dead_units"
    patience = 5
    means = "they get no gradient and stay so; try a lower model.sparsity_weight or optimizer.autoencoder.lr"

    def symptom(self, values: Values) -> str | None:
        if not _known(values, "sparsity/dead_units"):
            return None
        share = values["sparsity/dead_units"]
        return "" if share < 0.9 else f"{share:.1%} of the code's units are dead"


KINDS: tuple[type[Guard], ...] = (
    Saturation, VanishedGradient, Collapse, Clipped, StillAverage, PosteriorCollapse, DeadUnits,
)  # fmt: skip


def _known(values: Values, *tags: str) -> bool:
    return all(math.isfinite(values.get(tag, math.nan)) for tag in tags)


class Guards(Callback):
    """Shows the guards what was logged, every `every` iterations or a multiple of it that is at least 25, and tells.

    A warning is a line on the screen and in train.log, and a text on TensorBoard; `guard/<name>` is 1 while it stands
    and else 0. Beside what is logged anyway they are shown the diversity of fixed noise, the share of weights at the
    clip bound and how far the average moved. The first process looks alone.

    Training is the same, bit for bit, with and without this callback.
    """

    def __init__(self, measure: Measure, every: int) -> None:
        self.measure = measure
        self.every = every * -(-APART // every)
        self.guards = [kind() for kind in KINDS]
        self.warnings: list[dict[str, Any]] = []
        """Told so far, one a guard: what was seen first and when, how often it began, whether it stands."""
        self._diversity: Diversity | None = None
        self._movement = Movement()

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        self._diversity = None

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if pl_module.iteration % self.every or not trainer.is_global_zero:
            return
        measured = self._measured(pl_module, trainer.datamodule)  # type: ignore[attr-defined]
        self.look(trainer, self.measure.latest | measured, pl_module.iteration, measured)

    def _measured(self, model: Any, data: Any) -> dict[str, float]:
        measured: dict[str, float] = {}
        if hasattr(model, "decode_last") and hasattr(data, "examples"):
            devices = [model.device] if model.device.type == "cuda" else []
            with torch.random.fork_rng(devices=devices):
                self._diversity = self._diversity or Diversity(model, data)
                measured |= self._diversity(model)
        if hasattr(model, "clip"):
            measured |= weights_at_clip(model)
        if getattr(model, "generator_ema", None) is not None:
            measured |= self._movement(model)
        return measured

    def look(self, trainer: Any, values: Values, iteration: int, measured: Values) -> None:
        """Show the values of an iteration to all guards; tell what they say, and log `measured` with it."""
        logged = dict(measured)
        for guard in self.guards:
            began = guard.look(values)
            if began:
                self._tell(trainer, guard, began, iteration)
            if guard.bad or guard.good:
                logged[f"guard/{guard.name}"] = float(guard.standing)
        for entry in self.warnings:
            entry["stands"] = next(guard.standing for guard in self.guards if guard.name == entry["guard"])
        for logger in trainer.loggers:
            logger.log_metrics(logged, step=iteration)

    def _tell(self, trainer: Any, guard: Guard, seen: str, iteration: int) -> None:
        line = f"{guard.name} at iteration {iteration}: {seen}; {guard.means}"
        known = next((entry for entry in self.warnings if entry["guard"] == guard.name), None)
        if known is None:
            known = {"guard": guard.name, "iteration": iteration, "line": line, "times": 0}
            self.warnings.append(known)
        known["times"] += 1
        warn(trainer, line)
        for logger in trainer.loggers:
            add_text = getattr(getattr(logger, "experiment", None), "add_text", None)
            if add_text is not None:
                add_text(f"guard/{guard.name}", line, iteration)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint[STATE] = {
            "guards": {guard.name: guard.state() for guard in self.guards},
            "warnings": [dict(entry) for entry in self.warnings],
            "movement": self._movement.before,
        }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        self.restore(checkpoint)

    def restore(self, checkpoint: Mapping[str, Any]) -> None:
        """Go on as the run did whose checkpoint this is; from the beginning, if it had no guards."""
        state = checkpoint.get(STATE)
        if state is None:
            return
        for guard in self.guards:
            if guard.name in state["guards"]:
                guard.restore(state["guards"][guard.name])
        self.warnings = [dict(entry) for entry in state["warnings"]]
        self._movement.before = state["movement"]
