"""The contractive penalty lets codes vary along the manifold alone (Rifai et al. 2011)."""

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from ganlab.claims.drawing import COLOURS, INK, band, panels, styled
from ganlab.claims.finding import Check, Finding
from ganlab.claims.fitting import Fitted, fit, held_out_error
from ganlab.claims.lab import Lab

ARMS = {"contractive": [], "plain": ["model.contraction=0"]}
NAMES = {"contractive": "contractive autoencoder", "plain": "without the penalty"}
NEIGHBOURS, TANGENTS = 20, 5
"""Training digits around a held-out one, and the directions of their largest variance, which stand for the manifold."""
LARGE = 0.1
"""A singular value is large from this share of the largest one on."""


def investigate(lab: Lab) -> Finding:
    """Train autoencoders of one sigmoid layer with and without the penalty; look at the encoder's Jacobians."""
    fitted = fit(lab, ARMS)
    spectra = {arm: np.array([spectrum(run) for run in runs]) for arm, runs in fitted.items()}
    seen = {arm: [measured(run) for run in runs] for arm, runs in fitted.items()}

    def each(arm: str, key: str) -> list[float]:
        return [run[key] for run in seen[arm]]

    def ratio(key: str) -> list[float]:
        return [own / plain for own, plain in zip(each("contractive", key), each("plain", key), strict=True)]

    figure, (values, relative, sides) = panels(3)
    for place, (arm, of_arm) in enumerate(spectra.items()):
        order = range(1, of_arm.shape[1] + 1)
        band(values, order, of_arm.tolist(), NAMES[arm], place)
        band(relative, order, (of_arm / of_arm[:, :1]).tolist(), NAMES[arm], place)
    relative.axhline(LARGE, color=INK, linewidth=1, linestyle=(0, (3, 3)))
    styled(values, "the encoder's Jacobian at held-out digits", "singular value, by size", "mean value", legend=True)
    styled(relative, "the same over the largest", "singular value, by size", "share of the largest one", legend=True)
    draw_sides(sides, {arm: (each(arm, "along"), each(arm, "across")) for arm in ARMS})
    return Finding(
        [
            Check("mean squared norm of the Jacobian, over that without the penalty", ratio("norm"), at_most=0.2),
            Check("large singular values, over those without the penalty", ratio("large"), at_most=0.8),
            Check("response along over across the manifold", each("contractive", "preference"), at_least=2.0),
            Check("the same over that without the penalty", ratio("preference"), at_least=1.2),
        ],
        figure,
        f"Of 64 singular values {np.mean(each('contractive', 'large')):.1f} are at least a tenth of the largest, "
        f"without the penalty {np.mean(each('plain', 'large')):.1f}. The price: on held-out digits a squared error a "
        f"pixel of {np.mean(each('contractive', 'error')):.4f} against {np.mean(each('plain', 'error')):.4f}.",
        {arm: {key: each(arm, key) for key in runs[0]} for arm, runs in seen.items()}
        | {"spectra": {arm: of_arm.tolist() for arm, of_arm in spectra.items()}},
    )


@torch.no_grad()
def jacobians(run: Fitted, samples: Tensor) -> Tensor:
    """∂code/∂value at each sample, [n, codes, values], by automatic differentiation."""
    encoder = run.model.autoencoder.encoder

    def code_of(value: Tensor) -> Tensor:
        return encoder(value[None])[0]

    values = run.model.values_of(samples)
    return torch.func.vmap(torch.func.jacrev(code_of))(values).flatten(2).double()


def spectrum(run: Fitted) -> list[float]:
    """The mean over held-out digits of the Jacobian's singular values, the largest first."""
    return torch.linalg.svdvals(jacobians(run, run.samples("test"))).mean(0).tolist()


def measured(run: Fitted) -> dict[str, float]:
    """Of held-out digits: the Jacobian's mean squared norm, how many of its singular values are large, the mean
    squared response to a step of one along and across the manifold, one over the other; the squared error a pixel."""
    test = run.samples("test")
    own = jacobians(run, test)
    values = torch.linalg.svdvals(own)
    along, across = responses(own, tangents(run.samples("train"), test))
    return {
        "norm": float(own.square().sum((1, 2)).mean()),
        "large": float((values >= LARGE * values[:, :1]).double().sum(1).mean()),
        "along": float(along.mean()),
        "across": float(across.mean()),
        "preference": float(along.mean() / across.mean()),
        "error": held_out_error(run),
    }


def tangents(train: Tensor, samples: Tensor) -> Tensor:
    """An orthonormal basis of the manifold at each sample, [n, values, 5]: the principal directions of its nearest
    training samples."""
    near = torch.cdist(samples.flatten(1), train.flatten(1)).topk(NEIGHBOURS, largest=False).indices
    around = train.flatten(1).double()[near]
    directions = torch.linalg.svd(around - around.mean(1, keepdim=True), full_matrices=False).Vh
    return directions[:, :TANGENTS].transpose(1, 2)


def responses(jacobian: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """E‖J v‖² over unit vectors v within the span of an orthonormal basis, and over those that are orthogonal to it.

    `jacobian` [n, codes, values], `basis` [n, values, k]; [n] each.
    """
    within = (jacobian @ basis).square().sum((1, 2))
    whole = jacobian.square().sum((1, 2))
    dimensions, count = basis.shape[1:]
    return within / count, (whole - within) / (dimensions - count)


def draw_sides(axes: Axes, sides: dict[str, tuple[list[float], list[float]]]) -> None:
    """Mean squared responses along the manifold and across it, a line for each seed of each arm."""
    for place, (arm, (along, across)) in enumerate(sides.items()):
        for seed, ends in enumerate(zip(along, across, strict=True)):
            label = NAMES[arm] if seed == 0 else None
            axes.plot([0, 1], ends, color=COLOURS[place], marker="o", linewidth=1.4, label=label, zorder=3)
    axes.set_yscale("log")
    axes.set_xlim(-0.3, 1.3)
    axes.set_xticks([0, 1], ["along the manifold", "across it"])
    styled(axes, "how far a code moves", "", "square of it, for a step of 1 in pixels", legend=True)
