"""What each code of a latent does: its values in turn, all else held fixed."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganlab.pictures.figures import freed
from ganlab.pictures.grid import image_grid
from ganlab.pictures.plane import Limits, class_colours, draw_points, frame, name_classes, plane_limits
from ganlab.pictures.stacking import stacked

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Places in inches, and not a layout by contents: nothing must move between two iterations.
PANEL_WIDTH, PANEL_HEIGHT, HEADING = 4.0, 3.6, 0.35
PLOT_LEFT, PLOT_BOTTOM, PLOT_SIDE = 0.45, 0.3, 2.9
BAR_LEFT, BAR_WIDTH = 3.43, 0.1
REAL_AREA, POINT_AREA = 14.0, 9.0
MOST_PANELS = 3
"""Panels side by side."""
PATHS = 12
"""Noises whose points are joined: more lines would hide the points."""


class CodeValues(NamedTuple):
    """What a code is at each step."""

    numbers: list[float]
    categorical: bool

    @property
    def captions(self) -> list[str]:
        return [f"{number:.0f}" if self.categorical else f"{number:.3g}" for number in self.numbers]

    def at(self, steps: Sequence[int]) -> "CodeValues":
        return CodeValues([self.numbers[step] for step in steps], self.categorical)


class Traversal(NamedTuple):
    """Samples along one code, under several noises."""

    name: str
    values: CodeValues
    samples: Tensor
    """[noises, steps, *sample_shape]; along a row nothing changes but the code."""


def code_values(latents: Tensor) -> CodeValues:
    """The values of the code along latents [steps, latent_dim], read from what changes between the steps.

    One coordinate: a continuous code, its numbers. Several: a categorical code, whose classes are
    one-hot in them.
    """
    changing = latents[:, (latents != latents[0]).any(0)].detach().cpu().float()
    if changing.shape[1] == 0:
        return CodeValues([0.0] * len(latents), categorical=True)
    if changing.shape[1] == 1:
        # Sums of steps end a hair beside zero, and "-1e-08" is no caption.
        return CodeValues([round(number, 6) + 0.0 for number in changing[:, 0].tolist()], categorical=False)
    return CodeValues([float(index) for index in changing.argmax(1)], categorical=True)


def traversal_rows(
    traversals: Sequence[Traversal], row_captions: Sequence[str] | None = None, legend: Sequence[str] = ()
) -> Image.Image:
    """A block of rows for each code, its name and its values above; each row is one noise.

    Args:
        traversals: samples [noises, steps, channels, height, width] in [-1, 1].
        row_captions: one for each noise.
        legend: sentences below, two lines each at most.
    """
    blocks = []
    for _, values, images in traversals:
        blocks.append(image_grid(images.flatten(0, 1), images.shape[1], values.captions, row_captions))
    return stacked(blocks, [traversal.name for traversal in traversals], legend)


def traversal_block(traversals: Sequence[Traversal], legend: Sequence[str] = ()) -> Image.Image:
    """One row for each code, its name beside it; all have the same values, which stand above.

    Args:
        traversals: samples [1, steps, channels, height, width] in [-1, 1].
        legend: sentences below, two lines each at most.
    """
    images = torch.cat([traversal.samples[0] for traversal in traversals])
    values = traversals[0].values
    names = [traversal.name for traversal in traversals]
    return image_grid(images, len(values.numbers), values.captions, names, legend=legend)


@freed
def traversal_panels(
    traversals: Sequence[Traversal], real: Tensor | None = None, *, limits: Limits | None = None, title: str = ""
) -> Image.Image:
    """A panel for each code: where points go, coloured by the value that the code has there.

    Real points are gray. Along a continuous code a thin line joins the points of one noise, for some
    of the noises; classes of a categorical code are named at the mean of their points.

    Args:
        traversals: samples [noises, steps, 2].
        real: [m, 2].
        limits: the square that is drawn; None takes one around all generated points.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    limits = limits or plane_limits(torch.cat([traversal.samples.flatten(0, 1).cpu() for traversal in traversals]))
    columns = min(len(traversals), MOST_PANELS)
    rows = math.ceil(len(traversals) / columns)
    width, height = columns * PANEL_WIDTH, rows * PANEL_HEIGHT + HEADING
    figure = Figure(figsize=(width, height), dpi=100, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    figure.text(0.12 / width, 1 - 0.1 / height, title, va="top", fontsize=12, color="#303034")
    for place, traversal in enumerate(traversals):
        left = place % columns * PANEL_WIDTH
        bottom = (rows - 1 - place // columns) * PANEL_HEIGHT + PLOT_BOTTOM
        axes = figure.add_axes(((left + PLOT_LEFT) / width, bottom / height, PLOT_SIDE / width, PLOT_SIDE / height))
        bar = ((left + BAR_LEFT) / width, (bottom + 0.2) / height, BAR_WIDTH / width, (PLOT_SIDE - 0.4) / height)
        if real is not None:
            draw_points(axes, real, "#55585e", REAL_AREA, alpha=0.25)
        points = traversal.samples.detach().cpu().float()
        if traversal.values.categorical:
            _draw_classes(axes, traversal.values, points)
        else:
            _draw_range(axes, bar, traversal.values, points)
        frame(axes, limits, traversal.name.replace("_", " "))
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _draw_classes(axes: "Axes", values: CodeValues, points: Tensor) -> None:
    noises, steps = points.shape[:2]
    classes = torch.arange(steps).repeat(noises)
    draw_points(axes, points.flatten(0, 1), np.tile(class_colours(steps), (noises, 1)), POINT_AREA, alpha=0.8)
    name_classes(axes, points.flatten(0, 1), classes, values.captions)


def _draw_range(axes: "Axes", bar: tuple[float, float, float, float], values: CodeValues, points: Tensor) -> None:
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    low, high = min(values.numbers), max(values.numbers)
    # Without its brightest yellow, which is lost on white.
    tints = LinearSegmentedColormap.from_list("values", colormaps["plasma"](np.linspace(0, 0.9, 64)))
    shades = ScalarMappable(Normalize(low, high), tints)
    for path in points[:PATHS]:
        x, y = path.T.numpy()
        axes.plot(x, y, color="#8a8a86", linewidth=0.6, alpha=0.7, zorder=2)
    colours = np.tile(shades.to_rgba(np.array(values.numbers)), (len(points), 1))
    draw_points(axes, points.flatten(0, 1), colours, POINT_AREA, alpha=0.8)
    figure = axes.figure
    scale = figure.colorbar(shades, cax=figure.add_axes(bar), ticks=[low, (low + high) / 2, high])
    scale.ax.tick_params(labelsize=9, length=0, colors="#404044")
    scale.outline.set_visible(False)  # type: ignore[operator]
