"""A deep autoencoder that begins at the weights of RBMs trains, one that begins at random hardly does (Hinton &
Salakhutdinov 2006)."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator
from torch import Tensor

from ganlab.claims.drawing import INK, band, panels, styled
from ganlab.claims.finding import Check, Finding
from ganlab.claims.fitting import Fitted, fit, fit_all, held_out_error
from ganlab.claims.image_rows import draw_rows
from ganlab.claims.lab import Lab

MACHINE, FULL = 2000, 2000
"""Iterations of each of the four machines, and of fine-tuning."""
LOOKS = (0, 10, 30, 100, 300, 600, 1000, 2000)
EARLY = LOOKS.index(300)
RECTIFIED = (
    "model=ae", "model/coders=mlp", "model.encoder.widths=[128,64,32]", "model.encoder.activation=relu",
    "model.latent_dim=8", "model.reconstruction=bernoulli", "data=digits", "data.image_size=8", "data.margin=0",
    "optimizer.autoencoder.lr=3e-3",
)  # fmt: skip
"""The same layers with rectifiers, begun as He et al. 2015 do; machines could not begin them."""
NAMES = {"pretrained": "from RBMs", "random": "random start", "rectified": "random start, rectifiers"}


def investigate(lab: Lab) -> Finding:
    """Fine-tune the same networks from RBMs and from random weights, and follow the error on held-out digits."""
    steps = lab.steps(FULL)
    watched = Watched([round(look * steps / FULL) for look in LOOKS])
    arms = {
        "pretrained": [f"model.pretrain_iterations={lab.steps(MACHINE)}"],
        "random": ["model.pretrain_iterations=0", f"trainer.max_iterations={FULL}"],
    }
    fitted = fit(lab, arms, watched)
    modern = [*RECTIFIED, f"trainer.max_iterations={steps}"]
    fitted |= fit_all([([*modern, f"seed={seed}"], "rectified", seed, watched) for seed in lab.seeds], lab.jobs)
    errors = {arm: np.array([watched.errors_of(run) for run in runs]) for arm, runs in fitted.items()}
    average = error_of_average(fitted["random"][0])
    figure, (over_steps, images) = panels(2, width=6.2, height=4.2)
    draw_errors(over_steps, watched.looks, errors, average)
    draw_rows(images, *pictured(watched, fitted), "held-out digits, reconstructed")
    pretrained, random = errors["pretrained"], errors["random"]
    return Finding(
        [
            Check(
                "300 steps: error of a random start over that from RBMs", _ratio(random, pretrained, EARLY), at_least=2
            ),
            Check("2,000 steps: the same", _ratio(random, pretrained, -1), at_least=1.1),
            Check(
                "2,000 steps: a random start's error over the average digit's",
                list(random[:, -1] / average),
                at_least=0.5,
            ),
        ],
        figure,
        told({arm: of_arm.mean(0) for arm, of_arm in errors.items()}, average),
        {"steps": watched.looks, "average_digit": average}
        | {"errors": {arm: of_arm.tolist() for arm, of_arm in errors.items()}},
    )


class Watched:
    """Held-out errors, a value, after so many steps of fine-tuning (`looks`), and what became of ten digits."""

    def __init__(self, looks: Sequence[int]) -> None:
        self.looks = list(looks)
        self.errors: dict[tuple[str, int], dict[int, float]] = {}
        self.pictures: dict[tuple[str, int], dict[int, Tensor]] = {}

    def __call__(self, run: Fitted) -> None:
        phases = run.model.phases
        step = run.model.iteration - (phases[-1].first if phases else 0)
        if step in self.looks:
            of = run.arm, run.seed
            self.errors.setdefault(of, {})[step] = held_out_error(run)
            self.pictures.setdefault(of, {})[step] = run.model.reconstruct(run.samples("test")[:10])

    def join(self, other: "Watched") -> None:
        """Take over what a copy has seen of a run."""
        self.errors |= other.errors
        self.pictures |= other.pictures

    def errors_of(self, run: Fitted) -> list[float]:
        """At each look, or at the last one before it where a run is some steps shorter."""
        seen = self.errors[run.arm, run.seed]
        return [seen[max(step for step in seen if step <= look)] for look in self.looks]


def error_of_average(run: Fitted) -> float:
    """The squared error a pixel of the training digits' average as the reconstruction of every held-out one."""
    average = run.samples("train").mean(0)
    return float((run.samples("test") - average).double().square().mean()) / 4


def told(errors: Mapping[str, np.ndarray], average: float) -> str:
    """What is seen, of mean errors at the looks."""
    early, random = errors["pretrained"][EARLY], errors["random"]
    reached = next((look for look, error in zip(LOOKS, random, strict=True) if error <= early), None)
    words = (
        f"The average digit has an error of {average:.4f}. After 2,000 steps it is {errors['pretrained'][-1]:.4f} from "
        f"RBMs, {random[-1]:.4f} from a random start and {errors['rectified'][-1]:.4f} from one with rectifiers."
    )
    if random[-1] < average / 2:
        later = "not within these steps" if reached is None else f"only after {reached:,}"
        words += (
            f" With Adam a random start does train: to the error of 300 steps from RBMs, {early:.4f}, it comes {later}."
            f" The machines took {4 * MACHINE:,} steps of their own, which are not counted here."
        )
    return words


def draw_errors(axes: Axes, looks: Sequence[int], errors: Mapping[str, np.ndarray], average: float) -> None:
    """Errors against steps, on two logarithmic axes with the beginning on the first."""
    for place, (arm, of_arm) in enumerate(errors.items()):
        band(axes, looks, of_arm.tolist(), NAMES[arm], place, marker="o", markersize=3.5)
    axes.axhline(average, color=INK, linewidth=1, linestyle=(0, (3, 3)), label="the average digit")
    axes.set_xscale("symlog", linthresh=max(1, looks[1]))
    axes.set_xticks(looks, [f"{look:,}" for look in looks], rotation=45)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(left=0)
    axes.set_yscale("log")
    styled(axes, "error on held-out digits", "steps of fine-tuning", "squared error a pixel", legend=True)


def pictured(watched: Watched, fitted: Mapping[str, list[Fitted]]) -> tuple[list[Tensor], list[str]]:
    """Ten digits, and what the first seed's models make of them at the early look and at the end; the rows' names."""
    first = fitted["random"][0]
    rows, names = [first.samples("test")[:10]], ["digits"]
    for arm, runs in fitted.items():
        seen = watched.pictures[arm, runs[0].seed]
        early = watched.looks[EARLY]
        rows += [seen[early], seen[max(seen)]]
        names += [f"{NAMES[arm]}, {step:,} steps" for step in (early, max(seen))]
    return rows, names


def _ratio(own: np.ndarray, other: np.ndarray, look: int) -> list[float]:
    return list(own[:, look] / other[:, look])
