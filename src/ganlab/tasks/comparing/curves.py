"""Scores and losses over the iterations, a line a group with its deviation over seeds."""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ganlab.tasks.comparing.groups import Group, Table
from ganlab.tasks.comparing.labels import printable
from ganlab.tasks.comparing.report import MOST_PICTURED
from ganlab.tasks.comparing.runs import Run

# Okabe and Ito's, which the colour-blind tell apart, without the yellow that white paper swallows.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
STYLES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D")
MOST_PANELS = 6
FEW_POINTS = 15
"""Lines of fewer points have markers."""
WIDE_RANGE = 30.0
"""From this ratio of the largest to the smallest value on, the axis of a positive score is logarithmic."""
LETTERS = 11
"""Of a label to an inch."""
INK, FAINT = "#303034", "#c8c8c4"

History = Mapping[str, Mapping[int, float]]


@dataclass(frozen=True)
class Curve:
    """Mean and standard deviation over seeds at iterations; `sd` is None of one seed."""

    iterations: np.ndarray
    mean: np.ndarray
    sd: np.ndarray | None


def read_history(run: Run) -> dict[str, dict[int, float]]:
    """From tag to the values by iteration in a run's metrics.csv; empty if it is missing or is no table of numbers."""
    return read_table(run.folder / "metrics.csv")


def read_table(path: Path) -> dict[str, dict[int, float]]:
    """`read_history` of a metrics.csv."""
    history: dict[str, dict[int, float]] = {}
    try:
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            for row in csv.DictReader(file):
                iteration = int(row.pop("iteration"))
                for tag, text in row.items():
                    if text and isinstance(tag, str):
                        history.setdefault(tag, {})[iteration] = float(text)
    except (OSError, KeyError, TypeError, ValueError, csv.Error):
        return {}
    return history


def curve_of(histories: Iterable[History], tag: str) -> Curve | None:
    """Over the runs that logged the tag, at the iterations that they have in common, or else at all that any has."""
    told = [history[tag] for history in histories if history.get(tag)]
    if not told:
        return None
    common = set(told[0]).intersection(*told)
    iterations = sorted(common or set().union(*told))
    values = np.array([[one.get(iteration, np.nan) for iteration in iterations] for one in told])
    if not common:
        return Curve(np.array(iterations), np.nanmean(values, axis=0), None)
    sd = values.std(axis=0, ddof=1) if len(told) > 1 else None
    return Curve(np.array(iterations), values.mean(axis=0), sd)


def panels_of(table: Table, histories: Iterable[History], asked: Sequence[str] = ()) -> list[str]:
    """The ranking score, what was asked for, and losses that are no part of another; those that were logged."""
    logged = dict.fromkeys(tag for history in histories for tag in history)
    losses = [tag for tag in logged if tag.startswith("loss/")]
    whole = [tag for tag in losses if not any(tag.startswith(f"{other}_") for other in losses)]
    wanted = dict.fromkeys([*([table.tag] if table.tag else []), *asked, *whole])
    return [tag for tag in wanted if tag in logged][:MOST_PANELS]


def curves_figure(table: Table, asked: Sequence[str] = ()) -> Figure | None:
    """A panel a tag; None if no run logged anything."""
    groups = table.groups[:MOST_PICTURED]
    histories = [[read_history(run) for run in group.runs] for group in groups]
    tags = panels_of(table, [history for of_group in histories for history in of_group], asked)
    if not tags:
        return None
    columns = 2 if len(tags) == 4 else min(len(tags), 3)
    lines = -(-len(tags) // columns)
    legend = 0.45 + 0.21 * len(groups)
    figure = Figure(figsize=(4.6 * columns + 0.3 * (columns == 1), 3.3 * lines + legend), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        lines, columns, left=0.8 / figure.get_figwidth(), right=1 - 0.2 / figure.get_figwidth(),
        top=1 - 0.4 / figure.get_figheight(), bottom=(legend + 0.35) / figure.get_figheight(),
        wspace=0.24, hspace=0.34,
    )  # fmt: skip
    for place, tag in enumerate(tags):
        axes = figure.add_subplot(grid[place // columns, place % columns])
        curves = [curve_of(of_group, tag) for of_group in histories]
        _draw(axes, tag, curves)
    _add_legend(figure, groups)
    return figure


def png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _style(place: int) -> dict[str, Any]:
    return {"color": COLOURS[place % len(COLOURS)], "linestyle": STYLES[place // len(COLOURS) % len(STYLES)]}


def _draw(axes: Axes, tag: str, curves: Sequence[Curve | None]) -> None:
    sparse = all(curve is None or len(curve.iterations) < FEW_POINTS for curve in curves)
    shade = min(0.14, 0.6 / len(curves))
    for place, curve in enumerate(curves):
        if curve is None:
            continue
        style = _style(place)
        # The best is drawn last, above the others.
        order = 3 + (len(curves) - place) / len(curves)
        marker = MARKERS[place // len(COLOURS) % len(MARKERS)] if sparse or len(curve.iterations) == 1 else None
        axes.plot(curve.iterations, curve.mean, linewidth=1.5, marker=marker, markersize=3.5, zorder=order, **style)
        if curve.sd is not None:
            low, high = curve.mean - curve.sd, curve.mean + curve.sd
            axes.fill_between(curve.iterations, low, high, color=style["color"], alpha=shade, linewidth=0, zorder=2)
            if len(curve.iterations) == 1:
                axes.vlines(curve.iterations, low, high, color=style["color"], linewidth=1.2, zorder=2)
    axes.set_title(printable(tag.removeprefix("metric/")), fontsize=10, loc="left", color=INK, parse_math=False)
    axes.set_xlabel("iteration", fontsize=8.5, color=INK)
    axes.tick_params(labelsize=8, length=0, colors="#505054")
    axes.grid(color="#e8e8e4", linewidth=0.7)
    axes.set_axisbelow(True)
    for name, spine in axes.spines.items():
        spine.set(color=FAINT, linewidth=0.8, visible=name in ("left", "bottom"))
    _scale(axes, [curve for curve in curves if curve is not None], tag.startswith("metric/"))


def _scale(axes: Axes, curves: Sequence[Curve], of_score: bool) -> None:
    bands = [curve.sd if of_score and curve.sd is not None else np.zeros_like(curve.mean) for curve in curves]
    means = np.concatenate([curve.mean for curve in curves])
    spread = np.concatenate(bands)
    values = means[np.isfinite(means)]
    if not values.size:
        return
    if of_score and values.min() > 0 and values.max() / values.min() > WIDE_RANGE:
        axes.set_yscale("log")
        axes.set_ylim(values.min() / 1.3, values.max() * 1.3)
        return
    # A spike or two must not press all that matters into a line at the bottom.
    if of_score:
        low, high = np.nanmin(means - spread), np.nanmax(means + spread)
    else:
        low, high = np.percentile(values, [0.5, 99.5]) if values.size > 200 else (values.min(), values.max())
    room = 0.08 * (high - low) or 0.05 * abs(high) or 0.1
    if math.isfinite(room):
        axes.set_ylim(low - room, high + room)


def _add_legend(figure: Figure, groups: Sequence[Group]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], linewidth=2, **_style(place)) for place in range(len(groups))]
    longest = round(LETTERS * figure.get_figwidth()) - 16
    labels = [f"{_shortened(group.label, longest)}  ({_count(len(group.runs))})" for group in groups]
    # A label that begins with an underscore would be left out.
    labels = [f" {label}" if label.startswith("_") else label for label in labels]
    place = (0.5 / figure.get_figwidth(), 0.05 / figure.get_figheight())
    legend = figure.legend(
        handles, labels, loc="lower left", bbox_to_anchor=place, frameon=False, fontsize=9, handlelength=3,
        labelcolor=INK,
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)


def _count(seeds: int) -> str:
    return "1 seed" if seeds == 1 else f"{seeds} seeds"


def _shortened(label: str, longest: int) -> str:
    return label if len(label) <= longest else label[: longest - 1] + "…"
