"""Figures of all experiments in one manner: white, few lines, colours that the colour-blind tell apart."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ganlab.tasks.comparing.curves import COLOURS, FAINT, INK

__all__ = ["COLOURS", "FAINT", "INK", "band", "panels", "styled"]

WIDTH, HEIGHT = 4.6, 3.5
"""Inches of a panel."""


def panels(columns: int, rows: int = 1, *, width: float = WIDTH, height: float = HEIGHT) -> tuple[Figure, list[Axes]]:
    """A figure with so many panels, row by row; each still wants `styled`."""
    figure = Figure(figsize=(width * columns, height * rows), dpi=110, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, [one for row in axes for one in row]


def styled(axes: Axes, title: str, x: str = "", y: str = "", *, legend: bool = False, grid: bool = True) -> Axes:
    """The common look: title at the left, quiet ticks, no frame; with units in the names of the axes."""
    axes.set_title(title, fontsize=10, loc="left", color=INK)
    axes.set_xlabel(x, fontsize=8.5, color=INK)
    axes.set_ylabel(y, fontsize=8.5, color=INK)
    axes.tick_params(which="both", labelsize=8, length=0, colors="#505054")
    if grid:
        axes.grid(color="#e8e8e4", linewidth=0.7)
        axes.set_axisbelow(True)
    for name, spine in axes.spines.items():
        spine.set(color=FAINT, linewidth=0.8, visible=name in ("left", "bottom"))
    if legend:
        axes.legend(frameon=False, fontsize=8, labelcolor=INK)
    return axes


def band(
    axes: Axes, x: Sequence[float], runs: Sequence[Sequence[float]], label: str, place: int = 0, **options: Any
) -> None:
    """The mean over seeds as a line, with all seeds' range behind it; `runs`: [seeds, points]; `place`: its colour."""
    values = np.asarray(runs, dtype=float)
    colour = COLOURS[place % len(COLOURS)]
    axes.plot(x, values.mean(0), color=colour, linewidth=1.6, label=label, zorder=3, **options)
    if len(values) > 1:
        axes.fill_between(x, values.min(0), values.max(0), color=colour, alpha=0.15, linewidth=0, zorder=2)
