"""A denoising autoencoder points back to the manifold (Vincent et al. 2008): r(x) - x is σ² times the score of the
data with the noise on them (Alain & Bengio 2014; exact for Gaussian noise of any size: Miyasawa 1961)."""

from copy import copy
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from ganlab.claims.drawing import COLOURS, INK, panels, styled
from ganlab.claims.finding import Check, Finding
from ganlab.claims.fitting import Fitted, fit
from ganlab.claims.lab import Lab

POINTS, LOOKED_AT = 20_000, 2_000
"""Points of the spiral that the exact density is made of; noisy points at which the two fields are compared."""
REACH, TICKS = 1.25, 27
NEAR = 2.0
"""Arrows are drawn where the spiral is within so many σ: farther out hardly a noisy point has been seen."""


def investigate(lab: Lab) -> Finding:
    """Train denoising and plain autoencoders on the swiss roll, and compare r(x) - x with σ² times the exact score."""
    fitted = fit(lab, {"denoising": [], "plain": ["model.train_corrupted=false"]})
    seen = {arm: [measured(run) for run in runs] for arm, runs in fitted.items()}
    denoising, plain = seen["denoising"], seen["plain"]
    figure = draw(fitted)

    def each(runs: list[dict[str, float]], key: str) -> list[float]:
        return [run[key] for run in runs]

    return Finding(
        [
            Check("cosine of r(x) - x and the score", each(denoising, "cosine"), at_least=0.95),
            Check("length of r(x) - x over σ² times the score's", each(denoising, "length"), at_least=0.9, at_most=1.1),
            Check("distance to the spiral, of r(x) over that of x", each(denoising, "distance"), at_most=0.5),
            Check("the same of a plain autoencoder, which copies", each(plain, "distance"), at_least=0.8),
        ],
        figure,
        f"A plain autoencoder of the same networks has arrows of {np.mean(each(plain, 'length')):.2f} times the "
        f"score's length, at a cosine of {np.mean(each(plain, 'cosine')):.2f}: it is the noise that teaches the "
        "field. The theorem of 2014 is for σ towards 0; against the density with the noise on it the "
        f"identity is exact, and it is at σ = {fitted['denoising'][0].settings['model']['corruption_level']:g} here.",
        {arm: {key: each(runs, key) for key in runs[0]} for arm, runs in seen.items()},
    )


def measured(run: Fitted) -> dict[str, float]:
    """At noisy held-out points: how like the exact field a model's is, and how much nearer to the spiral it leads."""
    sigma, deviation = noise_of(run)
    spiral = clean_points(run)
    clean = run.samples("test")[:LOOKED_AT]
    noisy = clean + sigma * torch.randn(clean.shape, generator=torch.Generator().manual_seed(run.seed))
    arrows, exact = field(run, noisy), sigma**2 * score(noisy, spiral, deviation)
    cosine, length = likeness(arrows, exact)
    before, after = distance(noisy, spiral), distance(noisy + arrows.float(), spiral)
    return {"cosine": cosine, "length": length, "distance": float(after.mean() / before.mean())}


def noise_of(run: Fitted) -> tuple[float, float]:
    """The standard deviations of the corruption, σ, and of corrupted points around the spiral."""
    sigma = float(run.settings["model"]["corruption_level"])
    return sigma, float(np.hypot(sigma, run.settings["data"]["noise"]))


def clean_points(run: Fitted) -> Tensor:
    """Points of the spiral itself, [20000, 2]: the data's own, drawn without their noise."""
    data: Any = copy(run.data)
    data.noise = 0.0
    return data.draw(POINTS, torch.Generator().manual_seed(0))[0]


@torch.no_grad()
def field(run: Fitted, points: Tensor) -> Tensor:
    """r(x) - x at points [n, 2], in double precision."""
    return (run.model.reconstruct(points) - points).double()


def score(points: Tensor, centres: Tensor, deviation: float) -> Tensor:
    """∇ log p(x) at points [n, d] of the mixture of round Gaussians at centres [k, d], equally likely: [n, d].

    It is (E[centre | x] - x) / deviation².
    """
    points, centres = points.double(), centres.double()
    parts = []
    for some in points.split(200):
        likely = torch.softmax(-torch.cdist(some, centres).square() / (2 * deviation**2), dim=1)
        parts.append((likely @ centres - some) / deviation**2)
    return torch.cat(parts)


def likeness(arrows: Tensor, exact: Tensor) -> tuple[float, float]:
    """Of two fields at the same points, each as one long vector: their cosine, and the ratio of their lengths."""
    length, of_exact = arrows.norm(), exact.norm()
    cosine = (arrows * exact).sum() / (length * of_exact).clamp_min(1e-300)
    return float(cosine), float(length / of_exact)


def distance(points: Tensor, spiral: Tensor) -> Tensor:
    """From each point to the nearest of the spiral's, [n]."""
    return torch.cat([torch.cdist(some, spiral).amin(1) for some in points.split(200)])


def draw(fitted: dict[str, list[Fitted]]) -> Figure:
    """The arrows of the first seed's models on the plane, and the exact ones, all drawn to scale."""
    run = fitted["denoising"][0]
    sigma, deviation = noise_of(run)
    spiral = clean_points(run)
    ticks = torch.linspace(-REACH, REACH, TICKS)
    grid = torch.cartesian_prod(ticks, ticks)
    grid = grid[distance(grid, spiral) < NEAR * sigma]
    fields = {
        "denoising autoencoder: r(x) - x": field(run, grid),
        "exact: σ² times the score of the noisy data": sigma**2 * score(grid, spiral, deviation),
        "plain autoencoder: r(x) - x": field(fitted["plain"][0], grid),
    }
    figure, axes = panels(3, width=4.4, height=4.5)
    for place, (one, (name, arrows)) in enumerate(zip(axes, fields.items(), strict=True)):
        draw_arrows(one, run.samples("test")[:1000], grid, arrows, COLOURS[place])
        styled(one, name, "first coordinate", "second coordinate" if place == 0 else "")
    return figure


def draw_arrows(axes: Axes, data: Tensor, grid: Tensor, arrows: Tensor, colour: str) -> None:
    """Arrows to scale on the plane, over the data."""
    axes.scatter(data[:, 0], data[:, 1], s=3, color=INK, alpha=0.35, linewidths=0, zorder=1)
    axes.quiver(
        *grid.T.numpy(), *arrows.T.numpy(), color=colour, angles="xy", scale_units="xy", scale=1, width=0.0035, zorder=3
    )
    axes.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), aspect="equal")
