"""The best discriminator against a fixed generator is p_r / (p_r + p_g) (Goodfellow et al. 2014, proposition 1)."""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from ganlab.claims.drawing import INK, band, panels, styled
from ganlab.claims.finding import Check, Finding
from ganlab.claims.known_densities import (
    GENERATED_MODES,
    GENERATED_STD,
    REACH,
    REAL_MODES,
    REAL_STD,
    SIDE,
    GaussianModes,
    Square,
    excess,
    mass_levels,
    mean_error,
    square,
)
from ganlab.claims.lab import Lab
from ganlab.claims.playing import Game, built
from ganlab.claims.reading import curves

ROWS, UPDATES = 512, 1500
LOOKS = 30
LOG_2 = math.log(2)
LATE = 0.25
"""The share of a run, at its end, over which losses and accuracies are averaged."""
TAGS = ("loss/discriminator_real", "loss/discriminator_fake")
ACCURACIES = ("accuracy/discriminator_real", "accuracy/discriminator_fake")
OVERALL = "accuracy"


def investigate(lab: Lab) -> Finding:
    """A discriminator against a fixed generator, its output against the closed form; then a GAN that trains."""
    on = square()
    trained = [followed(seed, lab.steps(UPDATES), on) for seed in lab.seeds]
    folders = lab.train({"gan": []})["gan"]
    losses = {tag: curves(folders, tag) for tag in (*TAGS, *ACCURACIES)}
    # As many real as generated samples are judged.
    losses[OVERALL] = losses[ACCURACIES[0]][0], np.mean([losses[tag][1] for tag in ACCURACIES], axis=0)
    late = {tag: late_means(values) for tag, (_, values) in losses.items()}
    both = np.mean([losses[tag][1] for tag in TAGS], axis=0)
    ahead = [LOG_2 - float(smoothed(row).min()) for row in both]
    checks = [
        Check("fixed generator: mean |s(D) - p_r/(p_r + p_g)|", [one.errors[-1] for one in trained], at_most=0.03),
        Check("… before training (control)", [one.errors[0] for one in trained], at_least=0.1),
        Check("fixed generator: loss above its least", [one.excess for one in trained], 0, 0.01, "nats"),
        *(Check(f"GAN at the end: {tag}", late[tag], LOG_2 - 0.07, LOG_2 + 0.07, "nats") for tag in TAGS),
        *(Check(f"GAN at the end: {tag}", late[tag], 0.45, 0.6) for tag in ACCURACIES),
        Check("GAN at the end: accuracy over real and generated samples", late[OVERALL], 0.45, 0.6),
        Check("GAN: how far below log 2 the mean of both losses was before", ahead, at_least=0.1, unit="nats"),
    ]
    mean = {tag: float(np.mean(values)) for tag, values in late.items()}
    return Finding(
        checks,
        drawn(trained, on, losses),
        f"In the last quarter of the run the losses are {mean[TAGS[0]]:.3f} on real and {mean[TAGS[1]]:.3f} on "
        f"generated samples (log 2 is 0.693). It is the accuracy over both that goes to 1/2, here {mean[OVERALL]:.3f}; "
        f"those of the two sides need not, and are {mean[ACCURACIES[0]]:.2f} and {mean[ACCURACIES[1]]:.2f}: where all "
        "scores are near 0, a small shift of them decides which side is called right.",
        {"errors": [one.errors for one in trained], "updates": trained[0].updates, "late_means": late},
    )


class Followed(NamedTuple):
    """Mean error after so many updates; what the last discriminator says at the grid's points; its loss's excess."""

    updates: list[int]
    errors: list[float]
    probabilities: Tensor
    excess: float


def followed(seed: int, updates: int, on: Square) -> Followed:
    """Train a discriminator against the fixed generator, and look at it on the way."""
    model = built(
        seed,
        *("model=gan", "data=ring", "model.latent_dim=3", "model.ema_decay=0"),
        *("optimizer.discriminator.schedule=linear", f"trainer.max_iterations={updates}"),
        generator=GaussianModes(GENERATED_MODES, GENERATED_STD),
    )
    real = GaussianModes(REAL_MODES, REAL_STD).requires_grad_(False)
    game = Game(model, lambda count, random: real(torch.randn(count, 3, generator=random)), ROWS)
    looks = sorted({0, *np.geomspace(1, updates, min(LOOKS, updates)).round().astype(int).tolist()})
    errors = []
    for before, now in zip([0, *looks], looks, strict=False):
        game.train_discriminator(now - before)
        scores = model.score(on.points).double()
        errors.append(mean_error(scores.sigmoid(), on))
    return Followed(looks, errors, scores.sigmoid(), excess(scores, on))


def late_means(values: np.ndarray) -> list[float]:
    """Of each run [runs, points], the mean over its last part."""
    first = values.shape[1] - max(1, round(LATE * values.shape[1]))
    return [float(mean) for mean in values[:, first:].mean(1)]


def smoothed(row: np.ndarray, width: int = 5) -> np.ndarray:
    """Means over so many neighbouring points."""
    return np.convolve(row, np.ones(width) / width, "valid") if len(row) >= width else row


def drawn(trained: list[Followed], on: Square, losses: dict[str, tuple[list[int], np.ndarray]]) -> Any:
    """The two maps and their difference above; the error, the losses and the accuracies below."""
    figure, axes = panels(3, 2)
    found = trained[0].probabilities
    maps = (
        (on.optimal, "closed form: p_r / (p_r + p_g)", "RdBu_r", 1.0),
        (found, "s(D) of a trained discriminator", "RdBu_r", 1.0),
        ((found - on.optimal).abs(), "|difference|; lines: half the mass, 99 % of it", "magma_r", 0.25),
    )
    for one, (values, title, colours, most) in zip(axes, maps, strict=False):
        _draw_map(one, values, on, title, colours, most)
    band(axes[3], trained[0].updates, [one.errors for one in trained], "mean |s(D) - p_r / (p_r + p_g)|")
    axes[3].set_xscale("symlog", linthresh=1)
    axes[3].set_yscale("log")
    styled(axes[3], "fixed generator: how far from the closed form", "discriminator's updates", "probability")
    _draw_curves(axes[4], TAGS, losses, LOG_2, "log 2")
    styled(axes[4], "a GAN that trains: discriminator's loss", "iteration", "nats a sample", legend=True)
    _draw_curves(axes[5], ACCURACIES, losses, 0.5, "1/2")
    rows = [smoothed(row).tolist() for row in losses[OVERALL][1]]
    band(axes[5], losses[OVERALL][0][-len(rows[0]) :], rows, "both", 2)
    styled(axes[5], "… and its accuracy", "iteration", "share that is called right", legend=True)
    return figure


def _draw_curves(
    axes: Axes, tags: tuple[str, ...], losses: dict[str, tuple[list[int], np.ndarray]], level: float, name: str
) -> None:
    for place, (tag, label) in enumerate(zip(tags, ("real samples", "generated samples"), strict=True)):
        iterations, values = losses[tag]
        rows = [smoothed(row).tolist() for row in values]
        band(axes, iterations[-len(rows[0]) :], rows, label, place)
    axes.axhline(level, color=INK, linewidth=1, linestyle="--", label=name)


def _draw_map(axes: Axes, values: Tensor, on: Square, title: str, colours: str, most: float) -> None:
    extent = (-REACH, REACH, -REACH, REACH)
    shown = axes.imshow(values.view(SIDE, SIDE).T, extent=extent, origin="lower", cmap=colours, vmin=0, vmax=most)
    mixed = (on.real + on.generated).view(SIDE, SIDE).T
    axes.contour(mixed, levels=mass_levels(mixed, on.area), extent=extent, colors="#606060", linewidths=0.7)
    bar = axes.figure.colorbar(shown, ax=axes, fraction=0.046)
    bar.ax.tick_params(labelsize=7, length=0)
    bar.outline.set_visible(False)  # type: ignore[operator]
    styled(axes, title, "x", "y", grid=False)
