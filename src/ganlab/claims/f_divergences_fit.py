"""One Gaussian fitted to a mixture of two by each f-divergence (Nowozin et al. 2016, section 2.5)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from scipy.stats import norm
from torch import Tensor, nn

from ganlab.claims.drawing import COLOURS, INK, panels, styled
from ganlab.claims.finding import Check, Finding
from ganlab.claims.gaussian_fits import APART, NEAR, Mixture, X, divergence, optimum
from ganlab.claims.lab import Lab
from ganlab.claims.playing import Game, built
from ganlab.objectives.f_divergences import DIVERGENCES

ITERATIONS, ROWS = 1500, 1024
FINITE = [name for name in DIVERGENCES if name != "neyman"]
"""Those with a best Gaussian that samples can find."""
TOLD_APART = 1e-3
"""Nats that two divergences' best Gaussians differ by, so that fits to samples can be expected to."""
SETTINGS = (
    *("model=fgan", "model.generator_loss=minimax", "model.latent_dim=1", "model.prior=normal", "model.ema_decay=0.99"),
    *("data=ring", "data.sample_shape=[1]"),
    *(f"optimizer.{player}.lr=5e-3" for player in ("generator", "discriminator")),
    *(f"optimizer.{player}.schedule=linear" for player in ("generator", "discriminator")),
    *(f"optimizer.{player}.final_factor=0.02" for player in ("generator", "discriminator")),
)
Fit = tuple[float, float]
"""Mean and standard deviation."""


class Gaussian(nn.Module):
    """Latents z [n, 1] to μ + σz, the generator of the paper's experiment."""

    def __init__(self) -> None:
        super().__init__()
        self.mean, self.std = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.ones(1))

    def forward(self, latents: Tensor, conditions: Tensor | None = None) -> Tensor:
        return self.mean + self.std * latents


class Smooth(nn.Module):
    """Numbers [n, 1] to raw scores [n] through two layers of tanh, as the paper has it."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        hidden = [nn.Linear(1, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh()]
        self.layers = nn.Sequential(*hidden, nn.Linear(width, 1))

    def forward(self, samples: Tensor, conditions: Tensor | None = None) -> Tensor:
        return self.layers(samples).squeeze(1)


def fitted(name: str, mixture: Mixture, seed: int, iterations: int) -> Fit:
    """The Gaussian that f-GAN learns from samples of the mixture; σ is at least 0."""
    # tanh saturates: where the two first lie apart, nothing would pull without a penalty.
    penalty = ("model.r1=0.02",) if name == "total_variation" else ()
    torch.manual_seed(seed)
    model = built(
        seed,
        *SETTINGS,
        *(f"model.divergence={name}", f"trainer.max_iterations={iterations}", *penalty),
        generator=Gaussian(),
        discriminator=Smooth(),
    )
    Game(model, lambda count, random: drawn_from(mixture, count, random), ROWS).train(iterations)
    averaged = model.generator_ema.network
    return averaged.mean.item(), abs(averaged.std.item())


def drawn_from(mixture: Mixture, count: int, random: torch.Generator) -> Tensor:
    """Samples [count, 1] of the mixture."""
    which = (torch.rand(count, generator=random) >= mixture.share).long()
    noise = torch.randn(count, generator=random)
    return (torch.tensor(mixture.means)[which] + torch.tensor(mixture.stds)[which] * noise).unsqueeze(1)


def investigate(lab: Lab) -> Finding:
    """Fit by all divergences, and by the two KL ones where the modes are far apart; compare with the best Gaussians."""
    iterations = lab.steps(ITERATIONS)
    near = {name: [fitted(name, NEAR, seed, iterations) for seed in lab.seeds] for name in DIVERGENCES}
    far = {name: [fitted(name, APART, seed, iterations) for seed in lab.seeds] for name in ("kl", "reverse_kl")}
    best = {name: optimum(name, NEAR) for name in DIVERGENCES}
    best_far = {name: optimum(name, APART) for name in far}
    neyman = np.mean(near["neyman"], axis=0)
    checks = [
        Check("seven divergences: |μ - best μ| at most", _worst(near, best, 0), at_most=0.05),
        Check("seven divergences: |σ - best σ| at most", _worst(near, best, 1), at_most=0.08),
        Check("each is best at its own: how much another is better", _regrets(near), at_most=2e-3, unit="nats"),
        Check("how much another is worse, over what it is of the best; least", _gaps(near, best), at_least=0.5),
        Check("near modes: σ of KL less σ of reverse KL", _wider(near), at_least=0.05),
        Check("far modes, reverse KL: |μ - 2| (its mode)", [abs(fit[0] - 2) for fit in far["reverse_kl"]], at_most=0.3),
        Check("far modes, reverse KL: σ (its mode's is 0.8)", [fit[1] for fit in far["reverse_kl"]], at_most=1.1),
        Check("far modes, KL: σ (both modes' is 2.98)", [fit[1] for fit in far["kl"]], at_least=2.5),
    ]
    return Finding(
        checks,
        drawn(near, far, best, best_far),
        "At this mixture reverse KL covers both modes too, a little more narrowly than KL; it takes one mode alone "
        "where they are far apart. Neyman's divergence is left out of the checks: it is infinite for every Gaussian "
        f"with σ above 1.27, in tails where no sample lies; f-GAN, which sees samples, gets to ({neyman[0]:.2f}, "
        f"{neyman[1]:.2f}), and the best by integration over an interval is ({best['neyman'][0]:.2f}, "
        f"{best['neyman'][1]:.2f}).",
        {"fits": near, "best": best, "fits_far_modes": far, "best_far_modes": best_far},
    )


def _worst(fits: Mapping[str, list[Fit]], best: Mapping[str, Fit], which: int) -> list[float]:
    """Of each seed the largest distance, over divergences, from the best mean (0) or deviation (1)."""
    far = [[abs(fit[which] - best[name][which]) for fit in fits[name]] for name in FINITE]
    return [max(of_seed) for of_seed in zip(*far, strict=True)]


def _regrets(fits: Mapping[str, list[Fit]]) -> list[float]:
    """Of each seed, by how much any divergence is smaller at another's fit than at its own, at most."""
    seeds = range(len(fits["kl"]))
    table = {
        judge: [[divergence(judge, NEAR, *fits[name][seed]) for name in FINITE] for seed in seeds] for judge in FINITE
    }
    return [max(row[seed][FINITE.index(judge)] - min(row[seed]) for judge, row in table.items()) for seed in seeds]


def _gaps(fits: Mapping[str, list[Fit]], best: Mapping[str, Fit]) -> list[float]:
    """Of each seed, by how much a divergence is larger at another's fit than at its own, over the same of the best
    Gaussians: the least of all pairs that those tell apart."""
    exact = {(judge, name): _gap(judge, best[name], best[judge]) for judge in FINITE for name in FINITE}
    apart = [pair for pair, gap in exact.items() if gap > TOLD_APART]
    return [
        min(_gap(judge, fits[name][seed], fits[judge][seed]) / exact[judge, name] for judge, name in apart)
        for seed in range(len(fits["kl"]))
    ]


def _gap(judge: str, other: Fit, own: Fit) -> float:
    return divergence(judge, NEAR, *other) - divergence(judge, NEAR, *own)


def _wider(fits: Mapping[str, list[Fit]]) -> list[float]:
    return [kl[1] - reverse[1] for kl, reverse in zip(fits["kl"], fits["reverse_kl"], strict=True)]


def drawn(
    near: Mapping[str, list[Fit]],
    far: Mapping[str, list[Fit]],
    best: Mapping[str, Fit],
    best_far: Mapping[str, Fit],
) -> Any:
    """Densities at both mixtures, and fits beside the best Gaussians in the plane of μ and σ."""
    figure, (overlapping, plane, apart) = panels(3, width=5.0, height=4.0)
    _draw_densities(overlapping, NEAR, near, (-9, 6.5))
    styled(overlapping, "fits to a mixture of near modes", "x", "density", legend=True)
    for place, (name, fits) in enumerate(near.items()):
        colour, marker = COLOURS[place % len(COLOURS)], "os^Dv<>P"[place]
        means, stds = zip(*fits, strict=True)
        plane.plot(means, stds, marker, color=colour, markersize=5, label=name.replace("_", " "), linestyle="none")
        if name in FINITE:
            plane.plot(*best[name], "x", color=INK, markersize=8, zorder=1)
    plane.plot([], [], "x", color=INK, markersize=8, linestyle="none", label="best, by integration")
    styled(plane, "the same fits, a marker a seed", "mean μ", "standard deviation σ", legend=True)
    _draw_densities(apart, APART, far, (-9, 7.5))
    for name, fit in best_far.items():
        label = "best, by integration" if name == "kl" else None
        apart.plot(X, norm(*fit).pdf(X), color=INK, linestyle=":", linewidth=1.2, label=label, zorder=4)
    styled(apart, "modes far apart: KL covers, reverse KL seeks", "x", "density", legend=True)
    return figure


def _draw_densities(axes: Axes, mixture: Mixture, fits: Mapping[str, list[Fit]], limits: tuple[float, float]) -> None:
    axes.fill_between(X, np.exp(mixture.log_density(X)), color="#d8d8d4", linewidth=0, label="mixture")
    for place, (name, of_seeds) in enumerate(fits.items()):
        colour, dashes = COLOURS[place % len(COLOURS)], "-" if place < len(COLOURS) else "--"
        for number, fit in enumerate(of_seeds):
            label = name.replace("_", " ") if number == 0 else None
            axes.plot(X, norm(*fit).pdf(X), color=colour, linestyle=dashes, linewidth=1.2, label=label)
    axes.set_xlim(*limits)
    axes.set_ylim(bottom=0)
