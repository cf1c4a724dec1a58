"""Training whichever network has the larger loss keeps both losses near each other (the PaddlePaddle tutorial)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from ganlab.claims.drawing import band, panels, styled
from ganlab.claims.finding import Check, Finding
from ganlab.claims.image_rows import draw_sheet
from ganlab.claims.lab import Lab
from ganlab.claims.reading import curves, last_values, model_of, scores

ARMS = {
    "balanced": [],
    "five_in_a_row": ["model.longest_streak=5"],
    # An iteration has two updates here and one there: as many in all.
    "alternate": ["model.balanced=false", "trainer.max_iterations=2000"],
}
NAMES = {
    "balanced": "balanced",
    "five_in_a_row": "balanced, at most five in a row",
    "alternate": "in turn",
}
BALANCED, ALTERNATE = "balanced", "alternate"
SHOWN, COLUMNS = 40, 8


def investigate(lab: Lab) -> Finding:
    """Train a GAN on digits in turn, and whichever player has the larger loss, by as many updates in all."""
    runs = lab.train(ARMS)
    losses = {arm: losses_of(folders, arm == ALTERNATE) for arm, folders in runs.items()}
    gaps = {arm: [distance(*pair) for pair in zip(*losses[arm][1:], strict=True)] for arm in ARMS}
    quality = {arm: scores(folders, "metric/fd_digits") for arm, folders in runs.items()}
    shares = {arm: generator_shares(runs[arm]) for arm in ARMS if arm != ALTERNATE}
    return Finding(
        [
            Check(
                f"{NAMES[arm]}: distance of the losses, as a share of that in turn",
                [own / other for own, other in zip(gaps[arm], gaps[ALTERNATE], strict=True)],
                at_most=0.5,
            )
            for arm in ARMS
            if arm != ALTERNATE
        ],
        draw(losses, runs),
        f"How near the losses are says nothing of quality: fd_digits is {_mean(quality, BALANCED)} balanced, "
        f"{_mean(quality, 'five_in_a_row')} with at most five updates in a row, {_mean(quality, ALTERNATE)} in turn. "
        f"The generator has {np.mean(shares[BALANCED]):.0%} of the balanced updates.",
        {"distance": gaps, "fd_digits": quality, "share_of_updates_of_the_generator": shares},
    )


def _mean(values: Mapping[str, Sequence[float]], arm: str) -> str:
    return f"{np.mean(values[arm]):.3g}"


def losses_of(folders: Sequence[Path], alternate: bool) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Updates of either player so far, [points]; the discriminator's and the generator's loss, [runs, points].

    The discriminator's loss is the mean of its real and its fake part, as the tutorial compares them.
    """
    if not alternate:
        updates, discriminator = curves(folders, "balance/discriminator")
        return updates, discriminator, curves(folders, "balance/generator")[1]
    iterations, whole = curves(folders, "loss/discriminator")
    return [2 * iteration for iteration in iterations], whole / 2, curves(folders, "loss/generator")[1]


def distance(discriminator: np.ndarray, generator: np.ndarray) -> float:
    """The mean distance of the two losses over the second half of a run, in nats."""
    return float(np.abs(discriminator - generator)[len(generator) // 2 :].mean())


def generator_shares(folders: Sequence[Path]) -> list[float]:
    """The share of all updates that were the generator's, of each run."""
    own, others = last_values(folders, "updates/generator"), last_values(folders, "updates/discriminator")
    return [mine / (mine + other) for mine, other in zip(own, others, strict=True)]


def draw(losses: Mapping[str, tuple[list[int], np.ndarray, np.ndarray]], runs: Mapping[str, Sequence[Path]]) -> Figure:
    """Above: both losses over the updates; below: samples of the first seed."""
    figure, axes = panels(len(ARMS), 2)
    highest = max(float(one.max()) for _, *both in losses.values() for one in both)
    for column, (arm, (updates, discriminator, generator)) in enumerate(losses.items()):
        band(axes[column], updates, generator.tolist(), "generator", 1)
        band(axes[column], updates, discriminator.tolist(), "discriminator (mean of its two parts)", 0)
        axes[column].set_ylim(0, 1.05 * highest)
        styled(axes[column], NAMES[arm], "updates of either player", "loss, nats", legend=True)
        images = model_of(runs[arm][0]).sample(SHOWN, generator=torch.Generator().manual_seed(0))
        draw_sheet(axes[len(ARMS) + column], images, COLUMNS, f"{NAMES[arm]}: samples, first seed")
    return figure
