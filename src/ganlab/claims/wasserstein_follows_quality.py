"""The critic's estimate falls as samples get better; the loss of a GAN's generator does not (Arjovsky et al. 2017)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from scipy.stats import spearmanr

from ganlab.claims.drawing import COLOURS, panels, styled
from ganlab.claims.finding import Check, Finding
from ganlab.claims.lab import Lab
from ganlab.claims.reading import curves

WASSERSTEIN, PLAIN = "wgan_gp", "gan"
ARMS = {WASSERSTEIN: (), PLAIN: ("model=gan", "model.gradient_penalty=0", "model.discriminator_updates=1")}
"""The same networks, optimizer, batch and iterations; the losses differ, and what belongs to them."""
LOSSES = {WASSERSTEIN: "wasserstein/estimate", PLAIN: "loss/generator"}
NAMES = {WASSERSTEIN: "WGAN-GP, critic's estimate", PLAIN: "GAN, generator's loss"}
QUALITY, DISCRIMINATOR = "metric/w1", "loss/discriminator"


@dataclass(frozen=True)
class Followed:
    """A loss beside the distance of the samples from real ones, at an arm's evaluations: [runs, evaluations]."""

    iterations: list[int]
    loss: np.ndarray
    quality: np.ndarray

    @property
    def correlations(self) -> list[float]:
        """Spearman's, of each run: 1 where the loss is lower whenever samples are better."""
        return [rank_correlation(*pair) for pair in zip(self.loss, self.quality, strict=True)]

    @property
    def improvement(self) -> list[float]:
        """The last distance over the first, of each run."""
        return [float(run[-1] / run[0]) for run in self.quality]


def investigate(lab: Lab) -> Finding:
    """Train WGAN-GP and a GAN on the ring, and correlate their losses with the exact distance of their samples."""
    runs = lab.train(ARMS)
    followed = {arm: followed_in(folders, LOSSES[arm]) for arm, folders in runs.items()}
    own = {arm: one.correlations for arm, one in followed.items()}
    # The estimate of the Jensen-Shannon divergence is log 2 minus half of the discriminator's loss.
    divergence = [-value for value in followed_in(runs[PLAIN], DISCRIMINATOR).correlations]
    improvement = {arm: one.improvement for arm, one in followed.items()}
    return Finding(
        [
            Check("WGAN-GP: rank correlation of the estimate and W1", own[WASSERSTEIN], at_least=0.7),
            Check("GAN: rank correlation of the generator's loss and W1", own[PLAIN], at_most=0.3),
            Check("WGAN-GP: W1 at the end over that at the first look", improvement[WASSERSTEIN], at_most=0.5),
            Check("GAN: the same, for its samples get better too", improvement[PLAIN], at_most=0.5),
        ],
        draw(followed),
        "The Jensen-Shannon divergence that the GAN's discriminator estimates has a rank correlation with W1 of "
        f"{np.mean(divergence):.2f}, its generator's loss one of {np.mean(own[PLAIN]):.2f}, the critic's estimate one "
        f"of {np.mean(own[WASSERSTEIN]):.2f}.",
        {
            "rank_correlation": own,
            "rank_correlation_of_jensen_shannon": divergence,
            "last_over_first": improvement,
        },
    )


def followed_in(folders: Sequence[Path], loss: str) -> Followed:
    """A logged loss beside W1; at each evaluation the mean of what was logged of the loss since the last one."""
    iterations, scores = curves(folders, QUALITY)
    logged, losses = curves(folders, loss)
    return Followed(iterations, means_since_last(logged, losses, iterations), scores)


def means_since_last(logged: Sequence[int], values: np.ndarray, at: Sequence[int]) -> np.ndarray:
    """Means of `values` [runs, logged] over what was logged after the last of the iterations `at`: [runs, at]."""
    places = np.searchsorted(at, logged)
    return np.stack([values[:, places == place].mean(1) for place in range(len(at))], 1)


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's, ties sharing their rank; NaN where one of them is constant."""
    return float(spearmanr(first, second).statistic)


def draw(followed: Mapping[str, Followed]) -> Figure:
    """Above: loss and distance over the iterations, of the first seed; below: one against the other, of all seeds."""
    figure, axes = panels(len(ARMS), 2)
    for column, (arm, one) in enumerate(followed.items()):
        over_time(axes[column], one, NAMES[arm])
        against(axes[len(ARMS) + column], one, NAMES[arm])
    return figure


def over_time(axes: Axes, one: Followed, name: str) -> None:
    other: Axes = axes.twinx()  # type: ignore[assignment]
    axes.plot(one.iterations, one.loss[0], color=COLOURS[0], linewidth=1.6)
    other.plot(one.iterations, one.quality[0], color=COLOURS[1], linewidth=1.6)
    styled(axes, f"{name.partition(',')[0]} along the first seed's run", "iteration", name.partition(", ")[2])
    styled(other, "", "", "W1 from real points", grid=False)
    for side, colour in ((axes, COLOURS[0]), (other, COLOURS[1])):
        side.yaxis.label.set_color(colour)


def against(axes: Axes, one: Followed, name: str) -> None:
    """A point for each evaluation of each run, the darker the later."""
    shade = np.tile(one.iterations, len(one.loss))
    axes.scatter(one.quality.ravel(), one.loss.ravel(), c=shade, cmap="viridis_r", s=16, linewidths=0)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    told = ", ".join(f"{value:.2f}" for value in one.correlations)
    styled(axes, f"rank correlation by seed: {told}", "W1 from real points (dark: late in the run)", name)
