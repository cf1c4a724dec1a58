"""Without its KL term a VAE is a plain autoencoder (Kingma & Welling 2013): codes without noise, and no prior."""

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from torch import Tensor

from ganlab.claims.drawing import COLOURS, INK, panels, styled
from ganlab.claims.finding import Check, Finding
from ganlab.claims.fitting import Fitted, fit
from ganlab.claims.image_rows import draw_rows
from ganlab.claims.lab import Lab
from ganlab.tasks.scoring import Scorer
from ganlab.tasks.suiting import build_extractor

ARMS = {"with_kl": ["model.beta=1"], "without_kl": ["model.beta=0"]}
NAMES = {"with_kl": "β = 1", "without_kl": "β = 0"}


def investigate(lab: Lab) -> Finding:
    """Train the same VAE with and without its KL term; compare codes, reconstructions and samples from the prior."""
    fitted = fit(lab, ARMS)
    seen = {arm: [measured(run) for run in runs] for arm, runs in fitted.items()}

    def each(arm: str, key: str) -> list[float]:
        return [run[key] for run in seen[arm]]

    def ratio(key: str) -> list[float]:
        return [own / whole for own, whole in zip(each("without_kl", key), each("with_kl", key), strict=True)]

    figure, count = draw(fitted), len(fitted["with_kl"][0].samples("train"))
    return Finding(
        [
            Check("β = 0: noise of the codes over their spread", each("without_kl", "noise"), at_most=0.1),
            Check(
                "β = 1: deviation of drawn codes (the prior's: 1)", each("with_kl", "drawn"), at_least=0.8, at_most=1.2
            ),
            Check("β = 0: the same", each("without_kl", "drawn"), at_least=2.0),
            Check("squared error on training digits, β = 0 over β = 1", ratio("training_error"), at_most=0.95),
            Check("squared error on held-out digits, β = 0 over β = 1", ratio("error"), at_most=0.95),
            Check("fd_digits of samples from the prior, β = 0 over β = 1", ratio("fd_digits"), at_least=2.0),
        ],
        figure,
        f"Standard deviations of the posterior are {np.mean(each('without_kl', 'deviation')):.3f} without the KL "
        f"term and {np.mean(each('with_kl', 'deviation')):.2f} with it, where the prior's is 1; the codes' own are "
        f"{np.mean(each('without_kl', 'spread')):.1f} and {np.mean(each('with_kl', 'spread')):.2f}: codes move apart "
        "until the noise does not matter, and the prior's draws are at places that no digit has. The squared error is "
        f"{np.mean(ratio('training_error')):.2f} times that with the KL term on the {count} digits that were learnt "
        f"from, and {np.mean(ratio('error')):.2f} times on others: what is gained may be learnt by heart.",
        {arm: {key: each(arm, key) for key in runs[0]} for arm, runs in seen.items()},
    )


def measured(run: Fitted) -> dict[str, float]:
    """Of held-out digits: the posterior's deviation, the spread of its means, noise over spread, the deviation of codes
    that are drawn from all posteriors; the squared error a pixel, and that of training digits; and the Fréchet distance
    of samples from the prior.
    """
    test = run.samples("test")
    mean, deviation = posterior(run, test)
    noise, spread = deviation.square().mean().sqrt(), mean.var(0).mean().sqrt()
    return {
        "deviation": float(noise),
        "spread": float(spread),
        "noise": float(noise / spread),
        "drawn": float(torch.hypot(noise, spread)),
        "error": float(run.model.examine(test)["reconstruction/mse"].mean()),
        "training_error": float(run.model.examine(run.samples("train"))["reconstruction/mse"].mean()),
        "fd_digits": frechet(run),
    }


@torch.no_grad()
def posterior(run: Fitted, samples: Tensor) -> tuple[Tensor, Tensor]:
    """Means and standard deviations of q(z | x), [n, latent_dim] each."""
    model = run.model
    values = model.binarised(model.values_of(samples), model.draw_shared)
    mean, log_variance = model.posterior(values, None)
    return mean, (log_variance / 2).exp()


def frechet(run: Fitted) -> float:
    """fd_digits as `python -m ganlab` computes it at the end of a run."""
    options = {**run.settings["metrics"], "scores": ["fd"], "monitor": "auto"}
    scorer = Scorer(options, run.data, run.model, build_extractor(options["extractor"], run.data))
    return float(scorer(run.model)["metric/fd_digits"]["value"])


def draw(fitted: dict[str, list[Fitted]]) -> Figure:
    """Of the first seed: codes of held-out digits, with their noise, over the prior; and samples from the prior."""
    figure, (with_kl, without_kl, images) = panels(3, width=4.5, height=4.1)
    for arm, axes in {"with_kl": with_kl, "without_kl": without_kl}.items():
        draw_codes(axes, fitted[arm][0], NAMES[arm])
    rows = []
    for arm in ARMS:
        model = fitted[arm][0].model
        drawn = model.sample(20, generator=torch.Generator().manual_seed(0))
        rows += [(f"{NAMES[arm]}", drawn[:10]), ("", drawn[10:])]
    draw_rows(images, [row for _, row in rows], [name for name, _ in rows], "samples from the prior")
    return figure


def draw_codes(axes: Axes, run: Fitted, name: str) -> None:
    """The two latents in which codes differ most: means, circles of one posterior deviation, and the prior's."""
    mean, deviation = posterior(run, run.samples("test")[:150])
    widest = mean.var(0).topk(2).indices
    mean, deviation = mean[:, widest], deviation[:, widest]
    for centre, radius in zip(mean.tolist(), deviation.mean(1).tolist(), strict=True):
        axes.add_patch(Circle(centre, radius, facecolor=COLOURS[0], alpha=0.07, linewidth=0, zorder=2))
    axes.scatter(
        mean[:, 0], mean[:, 1], s=4, color=COLOURS[0], linewidths=0, zorder=3, label="code of a digit, and its noise"
    )
    angle = np.linspace(0, 2 * np.pi, 200)
    for radius in (1, 2):
        of_prior = "prior: one and two deviations" if radius == 1 else None
        circle = radius * np.cos(angle), radius * np.sin(angle)
        axes.plot(*circle, linestyle="--", color=INK, linewidth=1, zorder=4, label=of_prior)
    reach = max(3.0, 1.35 * float(mean.abs().max()))
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    styled(axes, f"codes with {name}", "widest latent", "second widest latent", legend=True)
