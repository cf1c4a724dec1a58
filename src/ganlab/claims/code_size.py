"""At a small code a deep autoencoder reconstructs better than PCA, a linear one never (Hinton & Salakhutdinov 2006)."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator
from torch import Tensor

from ganlab.claims.drawing import band, panels, styled
from ganlab.claims.finding import Check, Finding
from ganlab.claims.fitting import Fitted, fit, held_out_error
from ganlab.claims.image_rows import draw_rows
from ganlab.claims.lab import Lab
from ganlab.metrics.principal import PrincipalComponents

LENGTHS = (2, 4, 8, 16, 30)
SMALL = (2, 4, 8)
"""At most an eighth of the 64 pixels; the paper's code was 30 numbers of 784."""
DRAWN = (2, 30)
LINEAR = (
    "model/coders=linear", "model.encoder.activation=linear", "model.encoder.widths=[]", "model.output=linear",
    "data.batch_size=899", "optimizer.autoencoder.lr=3e-2", "optimizer.autoencoder.schedule=cosine",
    "optimizer.autoencoder.betas=[0.9,0.95]", "trainer.max_iterations=600",
)  # fmt: skip
"""What makes of the deep autoencoder the linear one: all training images at a time, so that it converges."""


def investigate(lab: Lab) -> Finding:
    """Train deep and linear autoencoders of all code lengths on digits, and compare their errors with PCA's."""
    arms: dict[str, list[str]] = {}
    for length in LENGTHS:
        arms[f"deep_{length}"] = [f"model.latent_dim={length}"]
        arms[f"linear_{length}"] = [f"model.latent_dim={length}", *LINEAR]
    fitted = fit(lab, arms)
    first = fitted["deep_2"][0]
    train, test = first.samples("train"), first.samples("test")
    pca = {length: PrincipalComponents([train], length) for length in LENGTHS}
    floor = {length: pixel_error(own, test) for length, own in pca.items()}
    deep = by_seed(fitted, "deep", held_out_error)
    linear = by_seed(fitted, "linear", held_out_error)
    least = by_seed(fitted, "linear", lambda run: training_error(run, train))
    over_optimum = least / np.array([pixel_error(own, train) for own in pca.values()])
    against_pca = deep / np.array(list(floor.values()))
    figure, (errors, ratios, images) = panels(3)
    drawn = {"PCA": [list(floor.values())], "linear": linear.tolist(), "deep": deep.tolist()}
    for place, (name, values) in enumerate(drawn.items()):
        line = (0, (3, 3)) if name == "linear" else "-"
        band(errors, LENGTHS, values, NAMES[name], place, marker="o", markersize=3.5, linestyle=line)
    log_lengths(errors)
    errors.set_yscale("log")
    styled(errors, "error on held-out digits", "numbers in the code", "squared error a pixel", legend=True)
    band(ratios, LENGTHS, against_pca.tolist(), NAMES["deep"], 2, marker="o", markersize=3.5)
    ratios.axhline(1, color="#303034", linewidth=1, linestyle=(0, (3, 3)))
    log_lengths(ratios)
    styled(ratios, "the deep autoencoder's error over PCA's", "numbers in the code", "ratio (below 1: better than PCA)")
    draw_rows(images, *reconstructions(fitted, pca, test), "held-out digits, from codes of 2 and of 30")
    checks = [
        Check(f"deep autoencoder's error over PCA's, {length} numbers", list(against_pca[:, place]), at_most=0.8)
        for place, length in enumerate(LENGTHS)
        if length in SMALL
    ]
    checks += [
        Check("linear autoencoder's training error over PCA's, least of all", list(over_optimum.min(1)), at_least=1.0),
        Check("linear autoencoder's training error over PCA's, most of all", list(over_optimum.max(1)), at_most=1.05),
    ]
    return Finding(
        checks,
        figure,
        told(against_pca[:, -2:].mean(0)),
        {
            "lengths": LENGTHS,
            "pca": list(floor.values()),
            "deep": deep.tolist(),
            "linear": linear.tolist(),
            "linear_training_error_over_pca": over_optimum.tolist(),
        },
    )


NAMES = {"PCA": "PCA", "linear": "linear autoencoder", "deep": "deep autoencoder, 64-256-128-code"}


def by_seed(fitted: Mapping[str, list[Fitted]], kind: str, measure: Callable[[Fitted], float]) -> np.ndarray:
    """A measurement of the runs of a kind: [seeds, lengths]."""
    return np.array([[measure(run) for run in fitted[f"{kind}_{length}"]] for length in LENGTHS]).T


def pixel_error(principal: PrincipalComponents, samples: Tensor) -> float:
    """PCA's mean squared error a pixel from 0 to 1; it was fitted to pixels from -1 to 1."""
    return float(principal.squared_errors(samples).mean()) / 4


@torch.no_grad()
def training_error(run: Fitted, samples: Tensor) -> float:
    """A model's mean squared error a pixel from 0 to 1, in double precision: single would round it below PCA's."""
    samples = samples.double()
    return float((deepcopy(run.model).double().reconstruct(samples) - samples).square().mean()) / 4


def reconstructions(
    fitted: Mapping[str, list[Fitted]], pca: Mapping[int, PrincipalComponents], test: Tensor
) -> tuple[list[Tensor], list[str]]:
    """Rows of ten digits, their images through PCA and the first seed's deep autoencoder, and the rows' names."""
    digits = test[:10]
    rows, names = [digits], ["digits"]
    for length in DRAWN:
        own = pca[length]
        centred = digits.flatten(1).double() - own.mean
        projected = centred @ own.directions @ own.directions.T + own.mean
        rows += [projected.view_as(digits).clamp(-1, 1), fitted[f"deep_{length}"][0].model.reconstruct(digits)]
        names += [f"PCA, {length}", f"deep, {length}"]
    return rows, names


def log_lengths(axes: Axes) -> None:
    """Code lengths on a logarithmic axis, each with its tick."""
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(LENGTHS, [str(length) for length in LENGTHS])


def told(longer: Sequence[float]) -> str:
    """What is seen at the longer codes, of mean ratios at 16 and 30 numbers."""
    at_16, at_30 = longer
    if at_30 < 1:
        return f"At 16 and 30 numbers the error is {at_16:.2f} and {at_30:.2f} times PCA's."
    return (
        f"The advantage ends where the code is long: with 16 numbers for 64 pixels the deep autoencoder has "
        f"{at_16:.2f} times PCA's error, with 30 it has {at_30:.2f} times, and PCA wins. The paper's 30 numbers were "
        "few for 784 pixels."
    )
