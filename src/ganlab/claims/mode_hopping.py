"""A generator that hops from mode to mode of a ring, and what cures it (Metz et al. 2017; Goodfellow 2016)."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from ganlab.claims.drawing import INK, band, styled
from ganlab.claims.finding import Check, Finding
from ganlab.claims.frames import Frames, frames_of, hit, hops, modes_at_a_time, moved, nearest_modes, shares
from ganlab.claims.lab import Lab
from ganlab.claims.reading import trained_of
from ganlab.pictures import Limits, plane_limits, save_gif
from ganlab.pictures.plane import GENERATED, REAL, draw_points

HOPPING, CURED = "hopping", "cured"
ARMS = {
    HOPPING: (),
    CURED: (
        *("model.latent_dim=2", "model.ema_decay=0.999", "data.batch_size=512"),
        *("model.instance_noise=0.3", "model.instance_noise_until=0.4"),
        *("optimizer.generator.lr=1e-3", "optimizer.generator.betas=[0.5,0.999]"),
        *("optimizer.discriminator.lr=1e-3", "optimizer.discriminator.betas=[0.5,0.999]"),
        *("optimizer.generator.schedule=linear", "optimizer.discriminator.schedule=linear"),
        "trainer.max_iterations=6000",
    ),
}
"""experiment=ring_collapse, and what is changed of it: that comes to experiment=ring."""
NAMES = {HOPPING: "experiment=ring_collapse", CURED: "experiment=ring"}
SHOWN = 400
"""Points of a frame that are drawn, generated and real each."""
GIF = "mode_hopping.gif"


def investigate(lab: Lab) -> Finding:
    """Train the ring that hops and the one that does not, and count modes along the runs."""
    runs = lab.train(ARMS)
    data = trained_of(runs[HOPPING][0]).data
    assert data.mixture is not None
    modes, std = data.mixture
    frames = {arm: [frames_of(folder) for folder in folders] for arm, folders in runs.items()}
    seen = {arm: [measured(one, modes, std) for one in of_arm] for arm, of_arm in frames.items()}
    real = data.examples(SHOWN, "test").samples
    animate({NAMES[arm]: frames[arm][0] for arm in ARMS}, real, lab.folder / GIF)
    hopping, cured = seen[HOPPING], seen[CURED]
    return Finding(
        [
            Check("hopping: modes at a time, median along the run", _each(hopping, "median"), at_most=2.0),
            Check("hopping: times that most points are at another mode", _each(hopping, "hops"), at_least=5),
            Check("hopping: modes covered at any time, at most", _each(hopping, "most_covered"), at_most=7),
            Check("cured: modes covered at the end, of 8", _each(cured, "covered_at_end"), at_least=8),
            Check("cured: points that change their mode within 50 iterations", _each(cured, "moving"), at_most=0.02),
        ],
        draw(frames, seen, real),
        f"Over the run {np.mean(_each(hopping, 'near')):.1%} of the hopping generator's points are within three "
        "standard deviations of a mode; were it at rest on one at a time, as it is told, it would be nearly all. The "
        "cure changes several things at once (both rates of learning, momentum, batch, noise on what is seen, an "
        "average of the weights, twice the iterations); which of them it takes is not asked here.",
        {arm: {key: _each(of_arm, key) for key in SCALARS} for arm, of_arm in seen.items()},
    )


SCALARS = ("median", "hops", "most_covered", "covered_at_end", "near", "moving")


def measured(frames: Frames, modes: Tensor, std: float) -> dict[str, np.ndarray]:
    """What a run's frames say: curves over the frames, and the numbers of `SCALARS`.

    "moving" is over the second half of the run, the mean share of points that change their mode between two frames.
    """
    nearest = nearest_modes(frames.points, modes)
    share = shares(nearest, len(modes))
    at_a_time, moving = modes_at_a_time(share), moved(nearest)
    covered, near = hit(frames.points, modes, std)
    numbers = {
        "at_a_time": at_a_time,
        "moved": moving,
        "median": at_a_time.median(),
        "hops": torch.tensor(hops(share)),
        "most_covered": covered.max(),
        "covered_at_end": covered[-1],
        "near": near.mean(),
        "moving": moving[len(moving) // 2 :].mean(),
    }
    return {key: value.numpy() for key, value in numbers.items()}


def _each(runs: list[dict[str, np.ndarray]], key: str) -> list[float]:
    return [float(run[key]) for run in runs]


def draw(frames: Mapping[str, list[Frames]], seen: Mapping[str, list[dict[str, np.ndarray]]], real: Tensor) -> Figure:
    """Frames of the first seed, and the curves of all."""
    figure = Figure(figsize=(13.2, 7.0), dpi=110, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(3, 8, height_ratios=[1, 1, 1.9])
    limits = plane_limits(real, margin=0.5)
    for row, arm in enumerate(ARMS):
        one = frames[arm][0]
        for column, place in enumerate(np.linspace(0, len(one.iterations) - 1, 8).round().astype(int)):
            axes = figure.add_subplot(grid[row, column])
            cloud(axes, one.points[place], real, limits)
            axes.set_title(f"iteration {one.iterations[place]:,}", fontsize=8, color=INK)
            if column == 0:
                axes.set_ylabel(NAMES[arm], fontsize=8.5, color=INK)
    left, right = figure.add_subplot(grid[2, :4]), figure.add_subplot(grid[2, 4:])
    for place, arm in enumerate(frames):
        iterations = frames[arm][0].iterations
        band(left, iterations, [run["at_a_time"].tolist() for run in seen[arm]], NAMES[arm], place)
        band(right, iterations[1:], [run["moved"].tolist() for run in seen[arm]], NAMES[arm], place)
    left.set_ylim(0.8, 8.2)
    right.set_ylim(-0.02, 1.02)
    styled(
        left,
        "modes at a time: mean over seeds, and their range",
        "iteration",
        "exp of the entropy of the shares",
        legend=True,
    )
    styled(right, "points nearest to another mode than 50 iterations before", "iteration", "share")
    return figure


def cloud(axes: Axes, points: Tensor, real: Tensor, limits: Limits) -> None:
    """Generated points over real ones, on axes that are the same in each frame."""
    draw_points(axes, real, REAL, 10, alpha=0.3)
    draw_points(axes, points[:SHOWN], GENERATED, 5, alpha=0.8)
    axes.set(xlim=limits[:2], ylim=limits[2:], aspect="equal", xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color="#c8c8c4", linewidth=0.8)


def animate(arms: Mapping[str, Frames], real: Tensor, path: Path) -> None:
    """An animated GIF with the arms side by side, from the beginning to the end of each."""
    limits = plane_limits(real, margin=0.5)
    pictures = []
    count = min(len(frames.iterations) for frames in arms.values())
    places = {name: np.linspace(0, len(frames.iterations) - 1, count).round() for name, frames in arms.items()}
    for number in range(count):
        figure = Figure(figsize=(3.1 * len(arms), 3.45), dpi=90, facecolor="white")
        canvas = FigureCanvasAgg(figure)
        for column, (name, frames) in enumerate(arms.items()):
            axes = figure.add_axes(((column + 0.03) / len(arms), 0.02, 0.94 / len(arms), 0.845))
            place = int(places[name][number])
            cloud(axes, frames.points[place], real, limits)
            axes.set_title(name, fontsize=9.5, loc="left", color=INK)
            axes.set_title(f"{frames.iterations[place]:,}", fontsize=9.5, loc="right", color=INK)
        canvas.draw()
        pictures.append(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB"))
    save_gif(pictures, path, milliseconds=120)
