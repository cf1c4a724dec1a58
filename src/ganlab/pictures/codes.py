"""Where real samples lie in the plane of their codes."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganlab.pictures.figures import freed
from ganlab.pictures.plane import REAL, class_colours, draw_points, frame, name_classes, plane_limits

PLOT = (0.1325, 0.125, 0.735, 0.7875)
AREA = 14.0


@freed
def code_plane(
    codes: Tensor, classes: Tensor | None = None, class_names: Sequence[str] = (), *, title: str = "", note: str = ""
) -> Image.Image:
    """Codes as points, coloured by class, each class's name at the median of its codes; a square around them all.

    Both numbers of a code have the same scale, so that distances are what they look.

    Args:
        codes: [n, 2]; those that are not finite are left out.
        classes: int64 [n], indices into `class_names`.
        note: a line below.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    codes = codes.detach().cpu().float()
    finite = codes.isfinite().all(1)
    codes = codes[finite]
    figure = Figure(figsize=(6.0, 5.6), dpi=100, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes(PLOT)
    colours: str | np.ndarray = REAL
    if classes is not None and len(class_names):
        classes = classes.cpu()[finite]
        colours = class_colours(len(class_names))[classes.numpy()]
        present = classes.unique()
        medians = (
            torch.stack([codes[classes == index].median(0).values for index in present.tolist()])
            if len(present)
            else codes
        )
        name_classes(axes, medians, present, class_names)
    draw_points(axes, codes, colours, AREA, alpha=0.65)
    frame(axes, plane_limits(codes, margin=0.15), title)
    axes.set_xlabel("first number of the code", fontsize=9, color="#404044")
    axes.set_ylabel("second", fontsize=9, color="#404044")
    figure.text(0.5, 0.025, note, ha="center", fontsize=9, color="#404044")
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
