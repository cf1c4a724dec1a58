"""Pictures of what a model makes: tensors in, PIL images out.

Nothing here knows of models, data, Lightning or configuration.
"""

from ganlab.pictures.grid import class_columns, image_grid, shown_classes, to_bytes, to_pil
from ganlab.pictures.plane import FieldKind, plane, plane_lattice, plane_limits
from ganlab.pictures.saving import save_atomically
from ganlab.pictures.strip import back_and_forth, interpolation_frames, interpolation_strip, save_gif
from ganlab.pictures.walk import Prior, slerp, walk_between

__all__ = [
    "FieldKind",
    "Prior",
    "back_and_forth",
    "class_columns",
    "image_grid",
    "interpolation_frames",
    "interpolation_strip",
    "plane",
    "plane_lattice",
    "plane_limits",
    "save_atomically",
    "save_gif",
    "shown_classes",
    "slerp",
    "to_bytes",
    "to_pil",
    "walk_between",
]
