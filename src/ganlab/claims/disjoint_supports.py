"""Between parallel segments JS is log 2 at any distance θ ≠ 0, and Wasserstein-1 is |θ| (Arjovsky et al. 2017)."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from ganlab.claims.drawing import COLOURS, INK, band, panels, styled
from ganlab.claims.finding import Check, Finding
from ganlab.claims.lab import Lab
from ganlab.claims.playing import Game, built
from ganlab.claims.segments import SMALL, Segment, real_segment
from ganlab.metrics.transport import Wasserstein
from ganlab.models.base import derived_seed
from ganlab.objectives.adversarial import discriminator_terms, minimax_generator_loss, non_saturating_generator_loss
from ganlab.objectives.wasserstein import distance_estimate, generator_loss

DISTANCES = (-1.0, -0.3, 0.0, 0.3, 1.0)
APART = [place for place, distance in enumerate(DISTANCES) if distance != 0]
ROWS, FRESH = 256, 4096
"""Rows of an update, and those that a judge is then asked about."""
ASSIGNED = 512
"""Points on either side of an assignment."""
COMMON = ("data=ring", "model.latent_dim=1", "model.prior=uniform", "model.ema_decay=0", *SMALL)
JUDGES = {
    "discriminator": ("model=gan", "model.loss=minimax"),
    "penalised": ("model=wgan_gp", "optimizer.discriminator.lr=1e-3"),
    "clipped": ("model=wgan", "optimizer.discriminator.lr=3e-4"),
}
"""Adam at 1e-3, the second with λ 10; and RMSProp at 3e-4 with weights up to 0.01."""
UPDATES = {"discriminator": 500, "penalised": 300, "clipped": 600}

Values = dict[str, list[list[float]]]
"""By name: [seeds, distances]."""


def investigate(lab: Lab) -> Finding:
    """Train each judge between the segments at each distance; ask it for its divergence, and for its gradient in θ."""
    found: Values = {}
    profiles: dict[str, Any] = {}
    for seed in lab.seeds:
        rows: dict[str, list[float]] = {"assignment": [assigned(distance, seed) for distance in DISTANCES]}
        for distance in DISTANCES:
            for judge in JUDGES:
                model = trained_judge(judge, distance, seed, lab.steps(UPDATES[judge]))
                for name, value in measured(judge, model, seed).items():
                    rows.setdefault(name, []).append(value)
                if distance == DISTANCES[-1] and seed == lab.seeds[0]:
                    profiles[judge] = profile(model)
        for name, values in rows.items():
            found.setdefault(name, []).append(values)
    factors = [row[place] / abs(DISTANCES[place]) for row in found["clipped"] for place in APART]
    steep = [abs(row[place]) for row in found["non_saturating_gradient"] for place in APART]
    return Finding(
        checks_of(found),
        drawn(found, profiles),
        "The textbook's “only its critic” is of the exact divergence. The loss -log s(D) of a trained discriminator "
        "does point the right way, for a network is smooth between the segments; but its gradient is that network's "
        f"slope ({min(steep):.2g} to {max(steep):.2g} here), grows as the discriminator is trained on, and is the "
        "smaller the farther there is to go. With the penalty a critic's estimate is |θ|(1 + |θ|/20) by its objective, "
        "a little above |θ|. A clipped critic's is K|θ| with a K that is not one number: each training comes to its "
        f"own, {min(factors):.2g} to {max(factors):.2g} here, so that its estimates compare within a training only.",
        {"distances": list(DISTANCES), **found},
    )


def trained_judge(judge: str, distance: float, seed: int, updates: int) -> Any:
    """A model whose discriminator or critic was trained between the segments, the generator standing still."""
    model = built(seed, *JUDGES[judge], *COMMON, generator=Segment(distance))
    Game(model, real_segment, ROWS).train_discriminator(updates)
    return model


def measured(judge: str, model: Any, seed: int) -> dict[str, float]:
    """Its estimate on fresh samples, and the derivatives in θ of the generator's losses that it stands for."""
    random = torch.Generator().manual_seed(derived_seed("fresh", seed))
    real = model.discriminator(real_segment(FRESH, random), None)
    fake = model.discriminator(model.generator(model.latents(FRESH, random)), None)

    def gradient(loss: Tensor) -> float:
        return float(torch.autograd.grad(loss, model.generator.distance, retain_graph=True)[0])

    if judge == "discriminator":
        return {
            "jensen_shannon": jensen_shannon(real, fake),
            "minimax_gradient": gradient(minimax_generator_loss(fake)),
            "non_saturating_gradient": gradient(non_saturating_generator_loss(fake)),
        }
    return {judge: distance_estimate(real, fake).item(), f"{judge}_gradient": gradient(generator_loss(fake))}


def jensen_shannon(real_scores: Tensor, fake_scores: Tensor) -> float:
    """The bound on the Jensen-Shannon divergence in nats: log 2 less half of the discriminator's loss."""
    on_real, on_fake = discriminator_terms(real_scores.double(), fake_scores.double())
    return math.log(2) - (on_real + on_fake).item() / 2


def assigned(distance: float, seed: int) -> float:
    """Wasserstein-1 between so many points of both segments, by an optimal assignment."""
    random = torch.Generator().manual_seed(derived_seed("assigned", seed))
    metric = Wasserstein(real_segment(ASSIGNED, random), order=1)
    metric.update(real_segment(ASSIGNED, random) + torch.tensor([distance, 0.0]))
    return float(metric.compute())


def slope(estimates: Sequence[float]) -> float:
    """The factor K of K·|θ| that is nearest to the estimates, in least squares."""
    far = np.abs(DISTANCES)
    return float(far @ np.asarray(estimates) / (far @ far))


def checks_of(found: Values) -> list[Check]:
    """The claim in numbers, for each seed the worst distance."""
    far, signs = np.abs(DISTANCES)[APART], np.sign(DISTANCES)[APART]
    apart = {name: np.array(values)[:, APART] for name, values in found.items()}
    at_zero = np.abs(np.array(found["jensen_shannon"])[:, DISTANCES.index(0)])
    errors = np.abs(apart["penalised"] / far - 1).max(1)
    of_exact = np.abs(np.array(found["assignment"]) - np.abs(DISTANCES)).max(1)
    linear = [float(np.corrcoef(np.abs(DISTANCES), row)[0, 1]) for row in found["clipped"]]
    pulls = apart["penalised_gradient"] * signs
    farthest = [float(row[np.abs(row - 1).argmax()]) for row in pulls]
    return [
        Check("discriminator: least JS at θ ≠ 0", apart["jensen_shannon"].min(1).tolist(), 0.65, math.log(2), "nats"),
        Check("discriminator: JS at θ = 0, its size", at_zero.tolist(), at_most=0.02, unit="nats"),
        Check("assignment: W1 less |θ|, at most", of_exact.tolist(), at_most=0.05),
        Check("critic with penalty: error of its W1 over |θ|, at most", errors.tolist(), at_most=0.1),
        Check("clipped critic: correlation of its W1 with |θ|", linear, at_least=0.99),
        Check("log(1 - s(D)): largest |gradient| in θ", np.abs(apart["minimax_gradient"]).max(1).tolist(), at_most=0.1),
        Check("critic with penalty: gradient in |θ| farthest from 1", farthest, at_least=0.9, at_most=1.15),
    ]


@torch.no_grad()
def profile(model: Any) -> list[float]:
    """Raw scores along x, at half height."""
    return model.discriminator(torch.tensor([[x, 0.5] for x in _ALONG]), None).tolist()


_ALONG = np.linspace(-0.5, 1.5, 161).tolist()


def drawn(found: Values, profiles: dict[str, list[float]]) -> Any:
    """Divergences, gradients, and what a judge looks like along x."""
    figure, (entropy, transport, gradients, along) = panels(2, 2)
    entropy.axhline(math.log(2), color=INK, linewidth=1, linestyle="--", label="exact: log 2, and 0 at θ = 0")
    entropy.plot([0], [0], "o", color=INK, markersize=7, fillstyle="none")
    band(entropy, DISTANCES, found["jensen_shannon"], "trained discriminator", 1, marker="o", linestyle="none")
    styled(entropy, "Jensen-Shannon divergence", "distance θ", "nats", legend=True)
    transport.plot(DISTANCES, np.abs(DISTANCES), color=INK, linewidth=1, linestyle="--", label="exact: |θ|")
    band(transport, DISTANCES, found["assignment"], "optimal assignment", 2, marker="s", markersize=4)
    band(transport, DISTANCES, found["penalised"], "critic, gradient penalty", 0, marker="o", markersize=4)
    scaled = [[value / slope(row) for value in row] for row in found["clipped"]]
    factor = np.mean([slope(row) for row in found["clipped"]])
    band(transport, DISTANCES, scaled, f"critic, clipped (over its K = {factor:.2g})", 3, marker="^", markersize=4)
    styled(transport, "Wasserstein-1 distance", "distance θ", "units of θ", legend=True)
    _draw_gradients(gradients, found)
    _draw_profiles(along, profiles)
    return figure


def _draw_gradients(axes: Axes, found: Values) -> None:
    names = {
        "minimax_gradient": ("log(1 - s(D))", 1),
        "non_saturating_gradient": ("-log s(D)", 5),
        "penalised_gradient": ("critic, gradient penalty", 0),
    }
    for name, (label, place) in names.items():
        band(axes, DISTANCES, found[name], label, place, marker="o", markersize=4)
    axes.set_yscale("symlog", linthresh=1)
    styled(axes, "gradient that the generator gets: the sign of θ is the right way", "distance θ", "d loss / dθ")
    axes.legend(frameon=False, fontsize=8, labelcolor=INK, loc="upper left")


def _draw_profiles(axes: Axes, profiles: dict[str, list[float]]) -> None:
    squashed = torch.tensor(profiles["discriminator"]).sigmoid()
    axes.plot(_ALONG, squashed, color=COLOURS[1], linewidth=1.6, label="s(D), discriminator")
    critic = np.array(profiles["penalised"])
    at_fake = np.interp(1, _ALONG, critic)
    axes.plot(_ALONG, critic - at_fake, color=COLOURS[0], linewidth=1.6, label="critic, gradient penalty")
    for place, name in ((0, "real"), (1, "generated")):
        axes.axvline(place, color=INK, linewidth=1, linestyle=":")
        axes.annotate(name, (place, -0.47), fontsize=8, color=INK, ha="center", backgroundcolor="white")
    styled(axes, "what each says between the segments, at θ = 1", "x", "score", legend=True)
