"""Weight clipping pushes a critic's weights to the ends of the allowed range (Gulrajani et al. 2017, figure 1b)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from ganlab.claims.drawing import COLOURS, FAINT, band, panels, styled
from ganlab.claims.finding import Check, Finding, listed
from ganlab.claims.lab import Lab
from ganlab.claims.reading import trained_of
from ganlab.models.base import GenerativeModel
from ganlab.objectives.penalties import mixtures
from ganlab.tasks.trained import Trained

CLIPS = {"clip_0.1": 0.1, "clip_0.01": 0.01}
PENALTY = "penalty"
ARMS = {
    "clip_0.1": ("model=wgan", "model.clip=0.1"),
    # WGAN's own width and rates; at ten times the width there are ten times the rates.
    "clip_0.01": ("model=wgan", "model.clip=0.01", "optimizer.generator.lr=5e-5", "optimizer.discriminator.lr=5e-5"),
    # The weight that its authors took on such toys.
    PENALTY: ("model=wgan_gp", "model.gradient_penalty=0.1"),
}
NAMES = {"clip_0.1": "clipped to ±0.1", "clip_0.01": "clipped to ±0.01", PENALTY: "gradient penalty"}
MARGIN = 0.05
"""The share of the range at either side that counts as its end."""
COUNT = 500


def investigate(lab: Lab) -> Finding:
    """Train critics on the swiss roll, clipped at two widths and with the penalty, and look at their weights."""
    runs = {arm: [trained_of(folder) for folder in folders] for arm, folders in lab.train(ARMS).items()}
    before = {arm: [_weights(run.untrained(), CLIPS.get(arm)) for run in of_arm] for arm, of_arm in runs.items()}
    after = {arm: [_weights(run.model) for run in of_arm] for arm, of_arm in runs.items()}
    norms = {
        arm: [norms_by_layer(run.model.network("discriminator"), points_between(run)) for run in of_arm]
        for arm, of_arm in runs.items()
    }

    def at_ends(weights: Mapping[str, Sequence[list[Tensor]]], arm: str) -> list[float]:
        return [share_at_ends(matrices, CLIPS.get(arm)) for matrices in weights[arm]]

    began, ended = at_ends(before, "clip_0.01"), at_ends(after, "clip_0.01")
    return Finding(
        [
            Check("clipped to ±0.1: weights at the ends, before training", at_ends(before, "clip_0.1"), at_most=0.05),
            Check("clipped to ±0.1: weights at the ends, trained", at_ends(after, "clip_0.1"), at_least=0.5),
            Check("clipped to ±0.01: weights at the ends, trained", ended, at_least=0.5),
            Check("clipped to ±0.01: the same less that before training", _rise(began, ended), at_least=0),
            Check("gradient penalty: weights at their own extremes", at_ends(after, PENALTY), at_most=0.1),
        ],
        draw(before, after, norms),
        "Training heaps weights at ±0.1, where the initial weights of the hidden layers fit in: from "
        f"{np.mean(at_ends(before, 'clip_0.1')):.1%} at the ends to {listed(at_ends(after, 'clip_0.1'), '.0%')} by "
        "seed (an even spread would have 5%). At the paper's ±0.01 the first clipping does that alone: it cuts the "
        f"usual initial weights, which reach to ±0.09, so that {np.mean(began):.0%} lie at the ends before training, "
        f"and {listed(ended, '.0%')} after it.",
        {
            "at_ends_before": {arm: at_ends(before, arm) for arm in ARMS},
            "at_ends": {arm: at_ends(after, arm) for arm in ARMS},
            "gradient_norm_by_layer": norms,
        },
    )


def _weights(model: GenerativeModel, clip: float | None = None) -> list[Tensor]:
    """The critic's weight matrices; cut to ±clip, as they are after its first update."""
    matrices = [weight.detach() for weight in model.network("discriminator").parameters() if weight.dim() == 2]
    return matrices if clip is None else [matrix.clamp(-clip, clip) for matrix in matrices]


def share_at_ends(matrices: Sequence[Tensor], clip: float | None = None) -> float:
    """The share of all weights within 5 % of ±clip or beyond; without one, of ± what 1 % of their own matrix exceed.

    Weights spread evenly over their range have 0.05 or 0.06, normal ones 0.014 of their own.
    """
    bounds = [_extreme(matrix) if clip is None else clip for matrix in matrices]
    ends = sum(
        int((matrix.abs() >= (1 - MARGIN) * bound).sum()) for matrix, bound in zip(matrices, bounds, strict=True)
    )
    return ends / sum(matrix.numel() for matrix in matrices)


def _extreme(matrix: Tensor) -> float:
    """What a hundredth of the weights exceed, so that a few large ones do not stretch the range."""
    return float(matrix.abs().flatten().double().quantile(0.99))


def _rise(before: Sequence[float], after: Sequence[float]) -> list[float]:
    return [one - other for one, other in zip(after, before, strict=True)]


def points_between(run: Trained) -> Tensor:
    """Points between real and generated ones, where the penalty is, [COUNT, 2]."""
    model: Any = run.model
    generator = torch.Generator().manual_seed(0)
    real = run.data.examples(COUNT, "test").samples
    fakes = model.decode_last(model.latents(len(real), generator))
    return mixtures(real, fakes, torch.rand(len(real), generator=generator))


def norms_by_layer(critic: nn.Module, points: Tensor) -> list[float]:
    """The mean norm of the gradient of the critic's score in its input and in each hidden layer, in their order."""
    layers: list[Tensor] = [points.requires_grad_()]
    hooks = [
        module.register_forward_hook(lambda _module, _given, made: layers.append(made))
        for module in critic.modules()
        if isinstance(module, nn.LeakyReLU)
    ]
    try:
        gradients = torch.autograd.grad(critic(points).sum(), layers)
    finally:
        for hook in hooks:
            hook.remove()
    return [float(torch.linalg.vector_norm(gradient, dim=1).mean()) for gradient in gradients]


def draw(
    before: Mapping[str, Sequence[list[Tensor]]],
    after: Mapping[str, Sequence[list[Tensor]]],
    norms: Mapping[str, list[list[float]]],
) -> Figure:
    """Histograms of the critic's weights, all seeds together, and the norms of gradients through its layers."""
    figure, axes = panels(2, 2)
    for place, arm in enumerate(ARMS):
        clip = CLIPS.get(arm)
        histogram(axes[place], _joined(before[arm]), _joined(after[arm]), COLOURS[place], clip)
        styled(axes[place], f"{NAMES[arm]}: the critic's weights", "weight", "share of the weights", legend=True)
    for place, (arm, of_arm) in enumerate(norms.items()):
        band(axes[3], range(len(of_arm[0])), of_arm, NAMES[arm], place, marker="o")
    axes[3].set_yscale("log")
    axes[3].set_xticks(range(len(norms[PENALTY][0])))
    title = "gradient of the critic's score, by layer"
    styled(axes[3], title, "hidden layer (0: the points themselves)", "mean norm of the gradient", legend=True)
    return figure


def _joined(seeds: Sequence[list[Tensor]]) -> np.ndarray:
    return torch.cat([matrix.flatten() for matrices in seeds for matrix in matrices]).numpy()


def histogram(axes: Axes, before: np.ndarray, after: np.ndarray, colour: str, clip: float | None) -> None:
    """Shares in 41 bins over the allowed range, or half as far again as all but one weight in a hundred."""
    reach = 1.5 * float(np.quantile(np.abs(after), 0.99)) if clip is None else clip
    bins = np.linspace(-reach, reach, 42).tolist()
    of_after, of_before = (np.full(len(values), 1 / len(values)) for values in (after, before))
    axes.hist(after, bins=bins, weights=of_after, color=colour, alpha=0.75, label="trained")
    axes.hist(
        before, bins=bins, weights=of_before, histtype="step", color="#505054", linewidth=1.1, label="before training"
    )
    if clip is not None:
        axes.set_xticks(np.linspace(-clip, clip, 5))
        for end in (-clip, clip):
            axes.axvline(end, color=FAINT, linewidth=0.8, zorder=0)
