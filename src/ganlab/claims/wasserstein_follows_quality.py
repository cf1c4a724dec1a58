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
from ganlab.claims.finding import Check, Finding, listed
from ganlab.claims.lab import Lab
from ganlab.claims.reading import curves

GAN = ("model.gradient_penalty=0", "model.discriminator_updates=1")
DIGITS = (
    *("data=digits", "data.image_size=8", "data.margin=0", "data.batch_size=64"),
    *("model.latent_dim=64", "model.generator.width=16", "model.discriminator.width=16"),
    *("trainer.max_iterations=600", "trainer.evaluate_every=30", "trainer.log_every=10"),
    *("metrics.scores=[fd]", "metrics.count=500"),
)
ARMS = {
    "ring_wgan_gp": (),
    "ring_gan": ("model=gan", *GAN),
    "digits_wgan_gp": (*DIGITS, "model.gradient_penalty=10"),
    "digits_dcgan": ("model=dcgan", *DIGITS, *GAN),
}
NAMES = {
    "ring_wgan_gp": "WGAN-GP on the ring",
    "ring_gan": "GAN on the ring",
    "digits_wgan_gp": "WGAN-GP on digits",
    "digits_dcgan": "DCGAN on digits",
}
ESTIMATE, GENERATOR, DISCRIMINATOR = "wasserstein/estimate", "loss/generator", "loss/discriminator"
IN_WORDS = {
    ESTIMATE: "critic's estimate",
    GENERATOR: "generator's loss",
    "metric/w1": "W1 from real points",
    "metric/fd_digits": "fd_digits",
}


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
    def correlations_from_peak(self) -> list[float]:
        """The same of what comes from the loss's highest value on: before it the critic is still learning."""
        return [
            rank_correlation(loss[loss.argmax() :], quality[loss.argmax() :])
            for loss, quality in zip(self.loss, self.quality, strict=True)
        ]

    @property
    def improvement(self) -> list[float]:
        """The last distance over the first, of each run."""
        return [float(run[-1] / run[0]) for run in self.quality]


def investigate(lab: Lab) -> Finding:
    """Train WGAN-GP and GANs on the ring and on digits, and correlate their losses with the quality of samples."""
    runs = lab.train(ARMS)
    followed = {arm: followed_in(folders, *tags(arm)) for arm, folders in runs.items()}
    own = {arm: one.correlations for arm, one in followed.items()}
    # The estimate of the Jensen-Shannon divergence is log 2 minus half of the discriminator's loss.
    divergence = {
        arm: [-value for value in followed_in(runs[arm], DISCRIMINATOR, tags(arm)[1]).correlations]
        for arm in ("ring_gan", "digits_dcgan")
    }
    from_peak = {arm: followed[arm].correlations_from_peak for arm in ("ring_wgan_gp", "digits_wgan_gp")}
    ring, digits = followed["ring_gan"].improvement, followed["digits_dcgan"].improvement
    return Finding(
        [
            Check("WGAN-GP, ring: rank correlation of estimate and W1", own["ring_wgan_gp"], at_least=0.7),
            Check("WGAN-GP, digits: of estimate and fd_digits", own["digits_wgan_gp"], at_least=0.7),
            Check("GAN, ring: of generator loss and W1", own["ring_gan"], at_most=0.3),
            Check("DCGAN, digits: of generator loss and fd_digits", own["digits_dcgan"], at_most=0.3),
            Check("GAN, ring: W1 at the end over that at the first look", ring, at_most=0.5),
            Check("DCGAN, digits: fd_digits at the end over that at the first look", digits, at_most=0.5),
        ],
        draw(followed),
        "The Jensen-Shannon divergence that the GAN's discriminator estimates has a rank correlation of "
        f"{np.mean(divergence['ring_gan']):.2f} with W1 on the ring and of {np.mean(divergence['digits_dcgan']):.2f} "
        "with fd_digits. On digits the critic has to learn first: its estimate grows over the first looks, while the "
        "samples are at their worst. From its peak on the rank correlation with fd_digits is "
        f"{listed(from_peak['digits_wgan_gp'], '.2f')} by seed "
        f"(on the ring with W1 {listed(from_peak['ring_wgan_gp'], '.2f')}).",
        {
            "rank_correlation": own,
            "rank_correlation_from_peak": from_peak,
            "rank_correlation_of_jensen_shannon": divergence,
            "last_over_first": {arm: one.improvement for arm, one in followed.items()},
        },
    )


def tags(arm: str) -> tuple[str, str]:
    """The loss of an arm, and the score that says how good its samples are."""
    loss = ESTIMATE if arm.endswith("wgan_gp") else GENERATOR
    return loss, "metric/w1" if arm.startswith("ring") else "metric/fd_digits"


def followed_in(folders: Sequence[Path], loss: str, quality: str) -> Followed:
    """A logged loss beside a score; at each evaluation the mean of what was logged of the loss since the last one."""
    iterations, scores = curves(folders, quality)
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
    """Above: loss and quality over the iterations, of the first seed; below: one against the other, of all seeds."""
    figure, axes = panels(len(ARMS), 2, width=3.9, height=3.2)
    for column, (arm, one) in enumerate(followed.items()):
        loss, quality = (IN_WORDS[tag] for tag in tags(arm))
        over_time(axes[column], one, f"{NAMES[arm]}, first seed", loss, quality)
        against(axes[len(ARMS) + column], one, loss, quality)
    return figure


def over_time(axes: Axes, one: Followed, title: str, loss: str, quality: str) -> None:
    other: Axes = axes.twinx()  # type: ignore[assignment]
    axes.plot(one.iterations, one.loss[0], color=COLOURS[0], linewidth=1.6)
    other.plot(one.iterations, one.quality[0], color=COLOURS[1], linewidth=1.6)
    styled(axes, title, "iteration", loss)
    styled(other, "", "", quality, grid=False)
    for side, colour in ((axes, COLOURS[0]), (other, COLOURS[1])):
        side.yaxis.label.set_color(colour)


def against(axes: Axes, one: Followed, loss: str, quality: str) -> None:
    """A point for each evaluation of each run, the darker the later."""
    shade = np.tile(one.iterations, len(one.loss))
    axes.scatter(one.quality.ravel(), one.loss.ravel(), c=shade, cmap="viridis_r", s=14, linewidths=0)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    told = listed(one.correlations, ".2f")
    styled(axes, f"rank correlation by seed: {told}", f"{quality} (dark: late in the run)", loss)
