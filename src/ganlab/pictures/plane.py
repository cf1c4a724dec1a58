"""Two-dimensional points: the real, the generated, and what the discriminator thinks of the plane."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganlab.pictures.figures import freed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REAL = "#1f5fa8"
GENERATED = "#d9480f"
SAYS_GENERATED, UNDECIDED, SAYS_REAL = "#f2a97c", "#fafaf8", "#8fb8e0"
REAL_AREA, GENERATED_AREA = 26.0, 8.0
"""Real points are drawn below and larger, so that a blue rim still shows where a model is perfect."""

# Places as shares of the figure, and not a layout by contents: the plane must not move between two iterations.
PLOT, PLOT_ALONE = (0.085, 0.125, 0.735, 0.7875), (0.1325, 0.125, 0.735, 0.7875)
BAR, BAR_LABEL = (0.84, 0.165, 0.027, 0.7075), (0.978, 0.519)

Limits = tuple[float, float, float, float]
FieldKind = Literal["probability", "raw"]


def plane_limits(points: Tensor, margin: float = 0.25) -> Limits:
    """A square (left, right, bottom, top) around points [n, 2], `margin` of its half-width wider than they are.

    Points that are not finite do not count.
    """
    finite = points.detach().cpu().float()
    finite = finite[finite.isfinite().all(1)]
    if not len(finite):
        return -1.0, 1.0, -1.0, 1.0
    low, high = finite.amin(0), finite.amax(0)
    middle = (low + high) / 2
    half = max(float((high - low).max()) / 2, 1e-3) * (1 + margin)
    x, y = middle.tolist()
    return x - half, x + half, y - half, y + half


def plane_lattice(limits: Limits, resolution: int) -> Tensor:
    """Points [resolution * resolution, 2] that cover the square, row by row from the bottom left."""
    left, right, bottom, top = limits
    y, x = torch.meshgrid(
        torch.linspace(bottom, top, resolution), torch.linspace(left, right, resolution), indexing="ij"
    )
    return torch.stack([x.flatten(), y.flatten()], dim=1)


@freed
def plane(
    generated: Tensor,
    real: Tensor | None = None,
    *,
    limits: Limits,
    field: Tensor | None = None,
    field_kind: FieldKind = "probability",
    field_label: str | None = None,
    generated_classes: Tensor | None = None,
    real_classes: Tensor | None = None,
    class_names: Sequence[str] = (),
    made: str = "generated",
    joined: bool = False,
    title: str = "",
) -> Image.Image:
    """Real points in blue, generated ones in orange, on the discriminator's field in tints of the same.

    Blue ground: the discriminator holds a point for real; orange ground: for generated; white:
    undecided. With classes, generated points take the colour of their class, real ones are gray,
    and each class's name stands at the mean of its real points (of the generated ones, without real ones).

    Args:
        generated: [n, 2]. Those outside the limits are counted in a corner.
        real: [m, 2].
        limits: the square that is drawn; keep it fixed over training (`plane_limits` of the real points).
        field: [r, r] on `plane_lattice(limits, r)`: in [0, 1], or any real number for kind "raw", whose
            ground is white at the field's median.
        generated_classes, real_classes: int64 [n] and [m], indices into `class_names`.
        made: what the orange points are called.
        joined: a thin line from each real point to the orange one of the same row.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 5.6), dpi=100, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes(PLOT if field is not None else PLOT_ALONE)
    if field is not None:
        _draw_field(axes, limits, field, field_kind, field_label)
    names = class_names if generated_classes is not None else ()
    if real is not None:
        draw_points(axes, real, "#55585e" if names else REAL, REAL_AREA, alpha=0.35)
    colours: Any = GENERATED
    if names and generated_classes is not None:
        colours = class_colours(len(names))[generated_classes.cpu().numpy()]
        anchors = (generated, generated_classes) if real is None or real_classes is None else (real, real_classes)
        name_classes(axes, *anchors, names)
    if joined and real is not None:
        _join(axes, real, generated)
    draw_points(axes, generated, colours, GENERATED_AREA, alpha=0.8)
    _count_outside(axes, generated, limits, made)
    frame(axes, limits, title)
    _draw_legend(figure, real is not None, names, made)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _draw_field(axes: "Axes", limits: Limits, field: Tensor, kind: FieldKind, label: str | None) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    values = field.detach().cpu().double().numpy()
    finite = values[np.isfinite(values)]
    if kind == "probability":
        centre, span = 0.5, 0.5
    else:
        centre = float(np.median(finite)) if finite.size else 0.0
        span = float(np.abs(finite - centre).max()) if finite.size else 0.0
        span = max(span, 1e-6 * max(1.0, abs(centre)))
    values = np.clip(np.nan_to_num(values, nan=centre), centre - span, centre + span)
    tints = LinearSegmentedColormap.from_list("field", [SAYS_GENERATED, UNDECIDED, SAYS_REAL], N=256)
    left, right, bottom, top = limits
    x, y = np.linspace(left, right, values.shape[1]), np.linspace(bottom, top, values.shape[0])
    filled = axes.contourf(x, y, values, levels=np.linspace(centre - span, centre + span, 22), cmap=tints)
    if values.min() < centre < values.max():
        axes.contour(x, y, values, levels=[centre], colors="#8a8a86", linewidths=0.8)
    ticks = centre + span * np.linspace(-1, 1, 5)
    label = label or ("discriminator: probability of real" if kind == "probability" else "critic's score")
    figure = axes.figure
    bar = figure.colorbar(filled, cax=figure.add_axes(BAR), ticks=ticks)
    bar.ax.set_yticklabels([f"{tick:.2f}" if kind == "probability" else _short(tick) for tick in ticks])
    bar.ax.tick_params(labelsize=9, length=0, colors="#404044")
    bar.outline.set_visible(False)  # type: ignore[operator]
    figure.text(*BAR_LABEL, label, rotation=90, ha="center", va="center", fontsize=10, color="#404044")


def _short(number: float) -> str:
    """Three digits, in six characters or so."""
    plain = f"{number:.3g}"
    return (plain if len(plain) <= 6 else f"{number:.0e}").replace("-", "\N{MINUS SIGN}")


def draw_points(axes: "Axes", points: Tensor, colours: Any, area: float, alpha: float) -> None:
    x, y = points.detach().cpu().float().numpy().T
    axes.scatter(x, y, s=area, c=colours, alpha=alpha, linewidths=0, zorder=3)


def _join(axes: "Axes", starts: Tensor, ends: Tensor) -> None:
    from matplotlib.collections import LineCollection

    lines = torch.stack([starts.detach().cpu().float(), ends.detach().cpu().float()], dim=1)
    lines = lines[lines.isfinite().all(2).all(1)]
    axes.add_collection(LineCollection(list(lines.numpy()), colors="#8a8a86", linewidths=0.6, alpha=0.35, zorder=2))


def _draw_legend(figure: "Figure", with_real: bool, class_names: Sequence[str], made: str) -> None:
    from matplotlib.legend_handler import HandlerTuple
    from matplotlib.lines import Line2D

    def mark(colour: Any) -> Line2D:
        return Line2D([], [], linestyle="none", marker="o", markersize=7, markeredgewidth=0, color=colour)

    entries: dict[str, tuple[Line2D, ...]] = {}
    if with_real:
        entries["real"] = (mark("#55585e" if class_names else REAL),)
    if class_names:
        entries[f"{made}, coloured by class"] = tuple(
            map(mark, class_colours(len(class_names))[:: -(-len(class_names) // 3)])
        )
    else:
        entries[made] = (mark(GENERATED),)
    spread: dict[type, Any] = {tuple: HandlerTuple(ndivide=None, pad=0.3)}
    handles: list[Any] = list(entries.values())
    figure.legend(handles, list(entries), handler_map=spread, loc="lower center", ncols=2, frameon=False)


def class_colours(count: int) -> np.ndarray:
    """[count, 4]: matplotlib's well-told colours without the gray, or evenly spaced hues for more than nine classes."""
    import matplotlib

    if count <= 9:
        return np.delete(matplotlib.colormaps["tab10"](np.arange(10)), 7, axis=0)[:count]
    return matplotlib.colormaps["hsv"](np.arange(count) / count) * np.array([0.85, 0.85, 0.85, 1.0])


def name_classes(axes: "Axes", points: Tensor, classes: Tensor, names: Sequence[str]) -> None:
    from matplotlib.patheffects import withStroke

    for index, (name, colour) in enumerate(zip(names, class_colours(len(names)), strict=True)):
        members = points[classes == index].detach().cpu()
        if len(members):
            x, y = members.float().mean(0).tolist()
            effects = [withStroke(linewidth=3, foreground="white")]
            axes.annotate(
                name, (x, y), (11, 11), textcoords="offset points", color=colour, fontsize=11, weight="bold",
                path_effects=effects, annotation_clip=True, zorder=5,
            )  # fmt: skip


def _count_outside(axes: "Axes", points: Tensor, limits: Limits, made: str) -> None:
    left, right, bottom, top = limits
    x, y = points.detach().cpu().unbind(1)
    inside = (x >= left) & (x <= right) & (y >= bottom) & (y <= top)
    outside = len(points) - int(inside.sum())
    if outside:
        note = f"{outside} of {len(points)} {made} points lie outside"
        axes.text(0.015, 0.015, note, transform=axes.transAxes, fontsize=9, color=GENERATED, zorder=6)


def frame(axes: "Axes", limits: Limits, title: str) -> None:
    left, right, bottom, top = limits
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    axes.set_title(title, fontsize=12, loc="left", color="#303034")
    axes.tick_params(labelsize=9, length=0, colors="#404044")
    for spine in axes.spines.values():
        spine.set(color="#c8c8c4", linewidth=0.8)
