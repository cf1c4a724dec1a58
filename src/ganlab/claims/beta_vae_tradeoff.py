"""A larger β buys a smaller KL term with a worse reconstruction (Higgins et al. 2017; Alemi et al. 2018)."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator
from torch import Tensor

from ganlab.claims.drawing import COLOURS, INK, band, panels, styled
from ganlab.claims.finding import Check, Finding
from ganlab.claims.fitting import Fitted, fit
from ganlab.claims.image_rows import draw_rows
from ganlab.claims.lab import Lab

BETAS = (0.25, 1.0, 4.0, 16.0)
MARGIN = 0.1
"""Nats from which on two values differ."""
DRAWS = 10
"""Draws from each posterior that make the mean of log p(x | z)."""


def investigate(lab: Lab) -> Finding:
    """Train the same VAE with each β, and compare both terms of its loss, of training and of held-out digits."""
    fitted = fit(lab, {f"beta_{beta:g}": [f"model.beta={beta:g}"] for beta in BETAS})
    train, test = terms(fitted, "train"), terms(fitted, "test")
    (rates, distortions), (held_rates, held_distortions) = train, test
    bounds = -(rates + distortions)
    own = bounds[:, BETAS.index(1.0)]
    others = np.delete(bounds, BETAS.index(1.0), axis=1).max(1)
    prices = exchange(rates, distortions)
    figure, (curve, by_beta, images) = panels(3)
    draw_curve(curve, train, test)
    for place, (name, values) in enumerate({"reconstruction": held_distortions, "KL": held_rates}.items()):
        band(by_beta, BETAS, values.tolist(), name, place, marker="o", markersize=3.5)
    by_beta.set_xscale("log", base=4)
    by_beta.xaxis.set_minor_locator(NullLocator())
    by_beta.set_xticks(BETAS, [f"{beta:g}" for beta in BETAS])
    styled(by_beta, "both terms on held-out digits", "β", "nats an image", legend=True)
    digits = binary(fitted["beta_1"][0].samples("test")[:10])
    shown = [digits, *(fitted[f"beta_{beta:g}"][0].model.reconstruct(digits) for beta in BETAS)]
    draw_rows(images, shown, ["digits", *(f"β = {beta:g}" for beta in BETAS)], "held-out digits, reconstructed")
    return Finding(
        [
            Check("fall of the KL from a β to the next, least", _least(-np.diff(rates)), at_least=MARGIN, unit="nats"),
            Check("rise of the reconstruction loss, least", _least(np.diff(distortions)), at_least=MARGIN, unit="nats"),
            Check("the same fall on held-out digits", _least(-np.diff(held_rates)), at_least=MARGIN, unit="nats"),
            Check("the same rise on held-out digits", _least(np.diff(held_distortions)), at_least=MARGIN, unit="nats"),
            Check("lower bound at β = 1 over the best of the others", list(own - others), at_least=0.0, unit="nats"),
        ],
        figure,
        f"At the optimum a nat of KL costs between the one β and the other; measured it costs {_said(prices.mean(0))}. "
        f"At β = {BETAS[-1]:g} a KL of {rates[:, -1].mean():.2f} nats is left, at {BETAS[0]:g} one of "
        f"{rates[:, 0].mean():.1f}.",
        {
            "betas": BETAS,
            "train": {"kl": rates.tolist(), "reconstruction": distortions.tolist()},
            "test": {"kl": held_rates.tolist(), "reconstruction": held_distortions.tolist()},
            "nats_of_reconstruction_for_a_nat_of_kl": prices.tolist(),
        },
    )


Terms = tuple[np.ndarray, np.ndarray]
"""The KL and the reconstruction loss, nats an image, [seeds, betas] each."""


def terms(fitted: Mapping[str, list[Fitted]], split: Literal["train", "test"]) -> Terms:
    """The means over a split."""
    found = np.array([[of_run(run, run.samples(split)) for run in fitted[f"beta_{beta:g}"]] for beta in BETAS])
    return found[..., 0].T, found[..., 1].T


@torch.no_grad()
def of_run(run: Fitted, samples: Tensor) -> tuple[float, float]:
    """KL and reconstruction loss in nats, the means over samples and draws from their posteriors."""
    generator = torch.Generator().manual_seed(0)
    told = [run.model.examine(samples, None, generator) for _ in range(DRAWS)]
    distortion = torch.stack([one["loss/reconstruction"].double().mean() for one in told]).mean()
    return float(told[0]["loss/kl"].double().mean()), float(distortion)


def exchange(rates: np.ndarray, distortions: np.ndarray) -> np.ndarray:
    """Nats of reconstruction that a nat of KL costs from each β to the next, [seeds, betas - 1].

    Where both are optima of D + βR it lies between the two β: each is no worse than the other at its own β.
    """
    return np.diff(distortions) / -np.diff(rates)


def binary(samples: Tensor) -> Tensor:
    """Images in [-1, 1] as the model takes them: a pixel is black or white."""
    return (samples > 0).to(samples) * 2 - 1


def draw_curve(axes: Axes, train: Terms, test: Terms) -> None:
    """Reconstruction loss over KL, a line through the means over seeds, with every seed as a point."""
    for place, (name, (rates, distortions)) in enumerate({"training digits": train, "held-out digits": test}.items()):
        axes.plot(rates.mean(0), distortions.mean(0), color=COLOURS[place + 2], linewidth=1.4, label=name, zorder=3)
        axes.scatter(rates, distortions, s=14, color=COLOURS[place + 2], linewidths=0, zorder=4)
    for beta, rate, distortion in zip(BETAS, test[0].mean(0), test[1].mean(0), strict=True):
        axes.annotate(f"β = {beta:g}", (rate, distortion), (7, 7), textcoords="offset points", fontsize=8.5, color=INK)
    axes.margins(0.2, 0.12)
    styled(axes, "what a nat of the code buys", "KL, nats an image", "reconstruction loss, nats an image", legend=True)


def _least(steps: np.ndarray) -> list[float]:
    return [float(least) for least in steps.min(1)]


def _said(prices: np.ndarray) -> str:
    steps = zip(BETAS, BETAS[1:], prices, strict=False)
    return ", ".join(f"{price:.2f} from β = {one:g} to {other:g}" for one, other, price in steps)
