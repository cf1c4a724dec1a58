"""What a generator is given as a discriminator gets better: figures 2 and 3 of Arjovsky & Bottou 2017."""

from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ganlab.claims.drawing import band, panels, styled
from ganlab.claims.finding import Check, Finding, listed
from ganlab.claims.lab import Lab
from ganlab.claims.playing import Game
from ganlab.claims.reading import ALL, trained_of
from ganlab.models.base import derived_seed
from ganlab.objectives.adversarial import minimax_generator_loss, non_saturating_generator_loss
from ganlab.tasks.building import build_model
from ganlab.tasks.devices import choose_threads

EPOCHS, EPOCH, ITERATIONS = (1, 20, 25), 14, 350
"""Of the generator, at which it is frozen; iterations of an epoch, and of the run."""
ROWS, UPDATES, LOOKS = 64, 1500, 24
BATCHES = 3
"""Batches of latents whose gradients are looked at."""
LEARNT = 10
"""Updates after which a discriminator has begun to tell: growth is counted from there, not from random weights."""


class Gradients(NamedTuple):
    """Norms of both gradients of the generator's weights after so many updates of the discriminator."""

    updates: list[int]
    saturating: list[float]
    non_saturating: list[float]
    spread: list[float]
    """Of the second: its distance from batch to batch, over the mean gradient's norm."""


def investigate(lab: Lab) -> Finding:
    """Freeze the generators of young and older runs, train discriminators from scratch, and follow the gradients."""
    folders = lab.train({"dcgan": []})["dcgan"]
    found = {epoch: [followed(folder, stage(epoch, lab), lab.steps(UPDATES)) for folder in folders] for epoch in EPOCHS}
    by_seed = list(zip(*found.values(), strict=True))
    ratios = [[one.non_saturating[-1] / one.saturating[-1] for one in stages] for stages in by_seed]
    growth = [fmean([grown(stages[place]) for stages in by_seed]) for place in range(len(EPOCHS))]
    first_rises = np.mean([max(one.saturating) / one.saturating[0] for stages in by_seed for one in stages])
    spread = [fmean([stages[place].spread[-1] for stages in by_seed]) for place in range(len(EPOCHS))]
    checks = [
        Check(
            "log(1 - s(D)): its gradient's peak over that at the end, least of the epochs",
            [min(max(one.saturating) / one.saturating[-1] for one in stages) for stages in by_seed],
            at_least=100,
        ),
        Check(
            f"-log s(D): its gradient at the end over that after {LEARNT} updates, least of the epochs",
            [min(grown(one) for one in stages) for stages in by_seed],
            at_least=2,
        ),
        Check("the second gradient over the first at the end, least of the epochs", list(map(min, ratios)), 100),
    ]
    return Finding(
        checks,
        drawn(found),
        f"The saturating gradient does not fall from the first update on: while the discriminator learns anything it "
        f"first rises, here {first_rises:.3g}-fold on average, and falls then. For generators of "
        f"{', '.join(map(str, EPOCHS))} epochs the non-saturating gradient grows {listed(growth, '.2g')}-fold after "
        f"the first {LEARNT} updates, in which a discriminator has the youngest found out already; from batch to batch "
        f"it differs by {listed(spread, '.2g')} times its mean at the end.",
        {str(epoch): [one._asdict() for one in runs] for epoch, runs in found.items()},
    )


def stage(epoch: int, lab: Lab) -> str | int:
    """The checkpoint of an epoch; of a smaller budget that of the same share of the run."""
    iteration = max(1, int(epoch * lab.budget)) * EPOCH
    return iteration if iteration <= lab.steps(ITERATIONS) else "last"


def followed(folder: Path, checkpoint: str | int, updates: int) -> Gradients:
    """A discriminator of new weights is trained against the frozen generator of a run, on that run's data."""
    run = trained_of(folder, checkpoint)
    model: Any = run.model.train()
    fresh: Any = build_model({**run.settings, "seed": derived_seed("from scratch", run.settings["seed"])})
    model.discriminator = fresh.discriminator
    model.prepare_training(optimizers=run.settings["optimizer"], seed=run.settings["seed"], max_iterations=updates)
    torch.set_num_threads(choose_threads("auto", model, 1))
    images = run.data.examples(ALL, "train").samples
    game = Game(model, lambda count, random: images[torch.randint(len(images), (count,), generator=random)], ROWS)
    random = torch.Generator().manual_seed(derived_seed("latents", run.settings["seed"]))
    batches = [model.latents(ROWS, random) for _ in range(BATCHES)]
    looks = sorted({0, *np.geomspace(1, updates, min(LOOKS, updates)).round().astype(int).tolist()})
    seen = Gradients(looks, [], [], [])
    for before, now in zip([0, *looks], looks, strict=False):
        game.train_discriminator(now - before)
        saturating, non_saturating = gradients(model, batches)
        seen.saturating.append(float(saturating.mean(0).norm()))
        seen.non_saturating.append(float(non_saturating.mean(0).norm()))
        seen.spread.append(spread_of(non_saturating))
    return seen


def gradients(model: Any, batches: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Of both losses in all of the generator's weights, for each batch of latents: [batches, weights] each."""
    weights = list(model.generator.parameters())
    rows: tuple[list[Tensor], list[Tensor]] = [], []
    for latents in batches:
        scores = model.observe(model.make(latents, None), None).scores
        for own, loss in zip(rows, (minimax_generator_loss, non_saturating_generator_loss), strict=True):
            parts = torch.autograd.grad(loss(scores), weights, retain_graph=True)
            own.append(torch.cat([part.flatten() for part in parts]))
    return torch.stack(rows[0]), torch.stack(rows[1])


def spread_of(rows: Tensor) -> float:
    """How far the gradients of batches [batches, weights] are from their mean, over its norm."""
    mean = rows.mean(0)
    apart = (rows - mean).square().sum() / (len(rows) - 1)
    return float(apart.sqrt() / mean.norm())


def grown(one: Gradients) -> float:
    """The non-saturating gradient at the end over that when the discriminator had begun to tell."""
    begun = next(place for place, updates in enumerate(one.updates) if updates >= min(LEARNT, one.updates[-1]))
    return one.non_saturating[-1] / one.non_saturating[begun]


def drawn(found: dict[int, list[Gradients]]) -> Any:
    """Both gradients, a line an epoch, on a common logarithmic axis."""
    figure, axes = panels(2, width=5.2, height=4.0)
    for place, (epoch, runs) in enumerate(found.items()):
        label = f"generator of {epoch} epoch{'s' if epoch > 1 else ''}"
        band(axes[0], runs[0].updates, [one.saturating for one in runs], label, place)
        band(axes[1], runs[0].updates, [one.non_saturating for one in runs], label, place)
    everything = [value for runs in found.values() for one in runs for value in one.saturating + one.non_saturating]
    for one, title in zip(axes, ("saturating: log(1 - s(D))", "non-saturating: -log s(D)"), strict=True):
        one.set_xscale("symlog", linthresh=1)
        one.set_yscale("log")
        one.set_ylim(min(everything) / 2, max(everything) * 2)
        styled(one, title, "updates of a discriminator from scratch", "norm of the generator's gradient", legend=True)
    return figure
