"""The sparsity penalty brings mean activations to their target, and units become detectors of strokes (Ng 2011)."""

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from ganlab.claims.drawing import COLOURS, INK, panels, styled
from ganlab.claims.finding import Check, Finding
from ganlab.claims.fitting import Fitted, fit, held_out_error
from ganlab.claims.image_rows import draw_rows
from ganlab.claims.lab import Lab
from ganlab.claims.reading import ALL

ARMS = {
    "kl": [],
    "none": ["model.sparsity_weight=0"],
    "l1": ["model.penalty=l1", "model.sparsity_weight=0.1"],
}
NAMES = {"kl": "KL penalty", "none": "no penalty", "l1": "L1 penalty"}
SHOWN = 12
STROKE = 0.5
"""Of the pixels that a digit covers a stroke has no more than this share."""


def investigate(lab: Lab) -> Finding:
    """Train wide autoencoders on digits with the KL penalty, without, and with L1; look at activations and filters."""
    fitted = fit(lab, ARMS)
    seen = {arm: [measured(run) for run in runs] for arm, runs in fitted.items()}
    rho = float(fitted["kl"][0].settings["model"]["rho"])
    figure, (histogram, images) = panels(2, width=6.2, height=4.2)
    draw_activations(histogram, {arm: runs[0] for arm, runs in fitted.items()}, rho)
    draw_rows(images, *filters(fitted), "filters: what the first units multiply the pixels with", weights=True)

    def each(arm: str, key: str) -> list[float]:
        return [run[key] for run in seen[arm]]

    def said(key: str, digits: int = 2) -> str:
        return ", ".join(f"{np.mean(each(arm, key)):.{digits}f} ({NAMES[arm]})" for arm in ARMS)

    return Finding(
        [
            Check(
                f"mean activation of all units, target {rho:g}",
                each("kl", "mean"),
                at_least=0.8 * rho,
                at_most=1.2 * rho,
            ),
            Check("share of units within half and twice the target", each("kl", "near"), at_least=0.9),
            Check("the same without the penalty", each("none", "near"), at_most=0.1),
            Check("pixels that a filter covers, over those of a digit", each("kl", "cover"), at_most=STROKE),
        ],
        figure,
        f"A unit's filter covers so many times the pixels of a digit: {said('cover')}. Of a unit's activity on its "
        f"favourite class, where a tenth would be no choice, there is {said('choice')}.{whole(each('kl', 'cover'))} "
        f"Held-out squared error a pixel: {said('error', 4)}.",
        {arm: {key: each(arm, key) for key in runs[0]} for arm, runs in seen.items()},
    )


def whole(cover: list[float]) -> str:
    """What is said of filters that are no strokes; nothing of those that are."""
    if np.mean(cover) <= STROKE:
        return ""
    return (
        " A target of one image in twenty is half of a class: of these 899 digits the units are templates of ways to "
        "write a digit, and not detectors of strokes as of natural images."
    )


def measured(run: Fitted) -> dict[str, float]:
    """The mean activation, the share of units within half and twice of ρ, what filters cover of a digit, how much of
    their activity units have on one class, and the held-out squared error a pixel."""
    train = run.data.examples(ALL, "train")
    assert train.conditions is not None
    codes = run.model.encode(train.samples)
    means, rho = codes.mean(0), float(run.settings["model"]["rho"])
    ink = (train.samples + 1) / 2
    return {
        "mean": float(means.mean()),
        "near": float(((means >= rho / 2) & (means <= 2 * rho)).float().mean()),
        "cover": float(covered(run.model.filters()).median() / covered(ink).median()),
        "choice": float(choice(codes, train.conditions).median()),
        "error": held_out_error(run),
    }


def covered(images: Tensor) -> Tensor:
    """How many pixels hold an image's energy, [n]: (Σ w²)² / Σ w⁴, which of k equal ones and zeros is k."""
    energy = images.flatten(1).double().square()
    return energy.sum(1).square() / energy.square().sum(1).clamp_min(1e-300)


def choice(codes: Tensor, labels: Tensor) -> Tensor:
    """The largest share that one class has of each unit's activity, [units]; classes count alike."""
    by_class = torch.stack([codes[labels == label].double().mean(0) for label in labels.unique()])
    return by_class.amax(0) / by_class.sum(0).clamp_min(1e-300)


def filters(fitted: dict[str, list[Fitted]]) -> tuple[list[Tensor], list[str]]:
    """Two rows of the first seed's filters for each arm, and the rows' names."""
    rows, names = [], []
    for arm, runs in fitted.items():
        own = runs[0].model.filters()
        rows += [own[:SHOWN], own[SHOWN : 2 * SHOWN]]
        names += [NAMES[arm], ""]
    return rows, names


def draw_activations(axes: Axes, runs: dict[str, Fitted], rho: float) -> None:
    """Every unit's mean activation over the training digits, sorted, with the target as a line."""
    for place, (arm, run) in enumerate(runs.items()):
        means = run.model.encode(run.samples("train")).mean(0).sort().values.numpy()
        axes.plot(np.linspace(0, 1, len(means)), means, color=COLOURS[place], linewidth=1.8, label=NAMES[arm], zorder=3)
    axes.axhline(rho, color=INK, linewidth=1, linestyle=(0, (3, 3)), label=f"target {rho:g}")
    axes.set_yscale("log")
    styled(axes, "units sorted by their mean activation", "share of units", "mean activation", legend=True)
