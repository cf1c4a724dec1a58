"""Pictures of what a model makes: tensors in, PIL images out.

Nothing here knows of models, data, Lightning or configuration.
"""

from ganlab.pictures.codes import code_plane
from ganlab.pictures.filters import filter_grid
from ganlab.pictures.grid import class_columns, image_grid, shown_classes, to_bytes, to_pil
from ganlab.pictures.levels import level_columns
from ganlab.pictures.manifold import manifold, manifold_codes, manifold_side, manifolds
from ganlab.pictures.plane import FieldKind, Limits, plane, plane_lattice, plane_limits
from ganlab.pictures.reconstructions import between_originals, peak_signal_to_noise, reconstruction_rows
from ganlab.pictures.saving import save_atomically
from ganlab.pictures.strip import back_and_forth, interpolation_frames, interpolation_strip, save_gif
from ganlab.pictures.traversal import (
    CodeValues,
    Traversal,
    code_values,
    traversal_block,
    traversal_panels,
    traversal_rows,
)
from ganlab.pictures.walk import Prior, slerp, walk_between

__all__ = [
    "CodeValues",
    "FieldKind",
    "Limits",
    "Prior",
    "Traversal",
    "back_and_forth",
    "between_originals",
    "class_columns",
    "code_plane",
    "code_values",
    "filter_grid",
    "image_grid",
    "interpolation_frames",
    "interpolation_strip",
    "level_columns",
    "manifold",
    "manifold_codes",
    "manifold_side",
    "manifolds",
    "peak_signal_to_noise",
    "plane",
    "plane_lattice",
    "plane_limits",
    "reconstruction_rows",
    "save_atomically",
    "save_gif",
    "shown_classes",
    "slerp",
    "to_bytes",
    "to_pil",
    "traversal_block",
    "traversal_panels",
    "traversal_rows",
    "walk_between",
]
