"""Noise on what the discriminator sees gives gradients where supports do not overlap (Arjovsky & Bottou 2017, 3)."""

import math
from typing import Any

import numpy as np
import torch
from scipy.stats import norm

from ganlab.claims.drawing import INK, band, panels, styled
from ganlab.claims.finding import Check, Finding
from ganlab.claims.lab import Lab
from ganlab.claims.playing import Game, built
from ganlab.claims.segments import SMALL, Segment, real_segment
from ganlab.models.base import derived_seed

STDS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0)
DISTANCE = 1.0
"""Of the segments, where gradients are measured."""
ROWS, UPDATES, FRESH = 256, 500, 16384
CLOSED_FORM_FROM = 0.5
"""The least noise at which a trained discriminator's gradient is held against the exact one."""
START, AHEAD, ITERATIONS, UPDATES_EACH = 2.0, 100, 200, 3
"""Of training: where the generator begins; the discriminator's lead in updates; iterations, each of so many updates."""
COMMON = ("model=gan", "data=ring", "model.latent_dim=1", "model.prior=uniform", "model.ema_decay=0", *SMALL)
FOREVER = "trainer.max_iterations=1000000000"
ARMS = {
    "without noise": ("model.loss=minimax",),
    "with noise": ("model.loss=minimax", "model.instance_noise=1.5", "model.instance_noise_until=1.0"),
    "without noise, -log s(D)": ("model.loss=non_saturating",),
}
"""Plain gradient descent moves the generator: Adam would make a full step of any gradient, however small. The noise is
1 when the generator begins, and has gone at the end."""


def investigate(lab: Lab) -> Finding:
    """The generator's gradient under several levels of noise, then training with and without it."""
    measured = [[pull(std, seed, lab.steps(UPDATES)) for std in STDS] for seed in lab.seeds]
    exact = [exact_pull(std) for std in STDS]
    paths = {arm: [path(words, seed, lab) for seed in lab.seeds] for arm, words in ARMS.items()}
    ends = {arm: [abs(one[-1]) for one in runs] for arm, runs in paths.items()}
    compared = [place for place, std in enumerate(STDS) if std >= CLOSED_FORM_FROM]
    errors = [max(abs(row[place] / exact[place] - 1) for place in compared) for row in measured]
    erratic = [float(np.abs(np.diff(one)).max()) for one in paths["without noise, -log s(D)"]]
    fine = np.linspace(0.05, max(STDS), 79)
    strongest = float(fine[np.argmax([exact_pull(std) for std in fine])])
    checks = [
        Check("gradient without noise", [abs(row[0]) for row in measured], at_most=0.05),
        Check(f"gradient with noise of {CLOSED_FORM_FROM:g} and more: error over the exact one", errors, at_most=0.2),
        Check(
            f"training without noise: distance at the end, of {START:g}", ends["without noise"], at_least=0.9 * START
        ),
        Check(f"training with noise: distance at the end, of {START:g}", ends["with noise"], at_most=0.1 * START),
    ]
    return Finding(
        checks,
        drawn(measured, exact, paths),
        f"More noise is not more gradient: it is strongest at {strongest:.2f} of the distance, and fades with less and "
        "with more. It is the saturating loss that needs the noise: a trained network is smooth between the segments, "
        "and -log s(D) brings the generator without any to "
        f"{np.mean(ends['without noise, -log s(D)']):.2g} from the data, in steps of up to {max(erratic):.2g}.",
        {"stds": list(STDS), "measured": measured, "exact": exact, "ends": ends},
    )


def noisy(std: float) -> tuple[str, ...]:
    """Overrides for noise that stays at a level."""
    return (f"model.instance_noise={std}", "model.instance_noise_until=1.0", FOREVER)


def pull(std: float, seed: int, updates: int) -> float:
    """The derivative, in the distance, of the saturating loss under a discriminator that was trained in that noise."""
    model = built(seed, *COMMON, "model.loss=minimax", *noisy(std), generator=Segment(DISTANCE))
    Game(model, real_segment, ROWS).train_discriminator(updates)
    real = real_segment(FRESH, torch.Generator().manual_seed(derived_seed("fresh", seed)))
    model.begin_iteration()
    loss, _ = model.generator_loss(model.answer(real, None))
    return float(torch.autograd.grad(loss, model.generator.distance)[0])


def noisy_jensen_shannon(distance: float, std: float) -> float:
    """Of N(0, std²) and N(distance, std²) in nats, by integration: what is left of the segments under noise.

    Their heights have the same distribution, so x alone tells them apart. Without noise it is log 2.
    """
    if std == 0:
        return math.log(2) if distance else 0.0
    x = np.linspace(min(0, distance) - 10 * std, max(0, distance) + 10 * std, 20001)
    real, fake = norm(0, std).logpdf(x), norm(distance, std).logpdf(x)
    middle = np.logaddexp(real, fake) - math.log(2)
    return float(np.trapezoid(np.exp(real) * (real - middle) + np.exp(fake) * (fake - middle), x) / 2)


def exact_pull(std: float, distance: float = DISTANCE, step: float = 1e-4) -> float:
    """d(2 JS) / d distance: the saturating loss's derivative under the best discriminator."""
    above, below = noisy_jensen_shannon(distance + step, std), noisy_jensen_shannon(distance - step, std)
    return (above - below) / step


def path(words: tuple[str, ...], seed: int, lab: Lab) -> list[float]:
    """Where the generator is after each iteration, against a discriminator that was a good one before it began."""
    ahead, iterations = lab.steps(AHEAD), lab.steps(ITERATIONS)
    model = built(
        seed,
        *(*COMMON, *words, f"model.discriminator_updates={UPDATES_EACH}"),
        *("+optimizer/algorithm@optimizer.generator=sgd", "optimizer.generator.lr=0.05"),
        *("~optimizer.generator.betas", "~optimizer.generator.eps"),
        f"trainer.max_iterations={ahead + iterations}",
        generator=Segment(START),
    )
    game = Game(model, real_segment, ROWS)
    game.train_discriminator(ahead)
    walked = [START]
    for _ in range(iterations):
        game.train(1)
        walked.append(model.generator.distance.item())
    return walked


def drawn(measured: list[list[float]], exact: list[float], paths: dict[str, list[list[float]]]) -> Any:
    """The gradient over the noise, beside the exact one; and the ways to the data."""
    figure, (gradient, training) = panels(2, width=5.2, height=4.0)
    fine = np.linspace(0, max(STDS), 101)
    line = [exact_pull(std) for std in fine]
    gradient.plot(fine, line, color=INK, linewidth=1, linestyle="--", label="exact: d(2 JS)/dθ")
    band(gradient, STDS, measured, "trained discriminator", 0, marker="o", markersize=5)
    styled(
        gradient,
        "gradient of log(1 - s(D)) between segments at distance 1",
        "standard deviation of the noise",
        "d loss / dθ",
        legend=True,
    )
    for (arm, runs), place in zip(paths.items(), (1, 0, 5), strict=True):
        label = arm if "log" in arm else f"{arm}, log(1 - s(D))"
        band(training, range(len(runs[0])), runs, label, place)
    training.axhline(0, color=INK, linewidth=1, linestyle=":")
    styled(training, "training: where the generated segment is; data at 0", "iteration", "distance θ", legend=True)
    return figure
