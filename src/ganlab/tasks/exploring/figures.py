"""Samples as parts of a page: enlarged, pixel by pixel, with their captions."""

import base64
from collections.abc import Sequence
from html import escape
from io import BytesIO

from PIL import Image
from torch import Tensor

from ganlab.pictures import to_pil
from ganlab.pictures.figures import freed
from ganlab.pictures.plane import GENERATED, REAL, Limits, draw_points, frame

SHOWN, SMALL = 448, 96
"""Pixels that a picture and a small one have on the page, about."""
MARK, WAY = "#111114", "#55585e"


def enlarged(sample: Tensor, side: int) -> Image.Image:
    """An image [channels, height, width] in [-1, 1], each pixel a square of whole pixels; about `side` pixels."""
    image = to_pil(sample)
    scale = max(1, round(side / max(image.size)))
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)


@freed
def marked_plane(
    generated: Tensor | None,
    real: Tensor | None,
    marks: Sequence[tuple[str, Tensor]],
    limits: Limits,
    way: Tensor | None = None,
) -> Image.Image:
    """Real points in blue and generated ones in orange, [n, 2] each, with named points [2] among them.

    `way` [n, 2]: points that are joined by a line.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patheffects import withStroke

    figure = Figure(figsize=(5.2, 5.2), dpi=100, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0.07, 0.06, 0.91, 0.91))
    if real is not None:
        draw_points(axes, real, REAL, 16.0, alpha=0.25)
    if generated is not None:
        draw_points(axes, generated, GENERATED, 8.0, alpha=0.6)
    if way is not None:
        axes.plot(*way.numpy().T, color=WAY, linewidth=1.6, zorder=4)
    outline = [withStroke(linewidth=3, foreground="white")]
    for name, point in marks:
        x, y = point.tolist()
        axes.scatter([x], [y], s=130, c=MARK, edgecolors="white", linewidths=1.8, zorder=5)
        axes.annotate(
            name, (x, y), (9, 9), textcoords="offset points", fontsize=11, weight="bold", color=MARK,
            path_effects=outline, annotation_clip=True, zorder=6,
        )  # fmt: skip
    frame(axes, limits, "")
    canvas.draw()
    return Image.frombytes("RGBA", canvas.get_width_height(), bytes(canvas.buffer_rgba())).convert("RGB")


def figure(image: Image.Image, caption: str, alternative: str = "", name: str = "", smooth: bool = False) -> str:
    """A picture with the text below it, as HTML; what is text stays text, wherever it came from.

    `alternative`: what a person who does not see it is told (the caption); `name`: by which a page finds it; `smooth`:
    whether a browser may smooth it where it is too large.
    """
    buffer = BytesIO()
    image.save(buffer, format="PNG")
    data = base64.b64encode(buffer.getvalue()).decode()
    told, found = escape(alternative or caption), f' data-name="{escape(name)}"' if name else ""
    kind = "smooth" if smooth else "pixels"
    return (
        f'<figure class="{kind}"{found}><img alt="{told}" width="{image.width}" height="{image.height}" '
        f'src="data:image/png;base64,{data}"><figcaption>{escape(caption)}</figcaption></figure>'
    )


def row_of(figures: Sequence[str], kind: str = "") -> str:
    """Figures side by side, broken into lines where there is no room."""
    return f'<div class="figures {kind}">{"".join(figures)}</div>'


def note(text: str) -> str:
    """A line of text, as HTML."""
    return f'<p class="note">{escape(text)}</p>'
