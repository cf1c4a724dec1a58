"""Interpolations: a strip to print and an animation to watch."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from ganlab.files import write_atomically
from ganlab.pictures.grid import image_grid


def interpolation_strip(images: Tensor, row_captions: Sequence[str] | None = None) -> Image.Image:
    """Each row walks from its first image to its last.

    Args:
        images: [rows, steps, channels, height, width] in [-1, 1].
        row_captions: one for each row.
    """
    return image_grid(images.flatten(0, 1), images.shape[1], row_captions=row_captions)


def interpolation_frames(images: Tensor, captions: Sequence[str] | None = None) -> list[Image.Image]:
    """One picture for each step, the walks side by side.

    Args:
        images: [walks, steps, channels, height, width] in [-1, 1].
        captions: one for each walk.
    """
    return [image_grid(step, len(step), captions=captions) for step in images.unbind(1)]


def back_and_forth(frames: Sequence[Image.Image]) -> list[Image.Image]:
    """There and back again: n frames become 2n - 2, so that a loop passes each end once."""
    return [*frames, *frames[-2:0:-1]]


def save_gif(frames: Sequence[Image.Image], path: Path, milliseconds: int = 60) -> None:
    """An animation that runs for ever, `milliseconds` a frame (GIF keeps hundredths of a second).

    All frames share one palette, so that nothing flickers that did not change. Written atomically.

    Raises:
        OutputError: it cannot be written.
    """
    first, *rest = _one_palette(frames)
    write_atomically(
        path,
        lambda file: first.save(
            file, format="GIF", save_all=True, append_images=rest, duration=milliseconds, loop=0, optimize=False
        ),
    )


def _one_palette(frames: Sequence[Image.Image]) -> list[Image.Image]:
    pixels = np.concatenate([np.asarray(frame) for frame in frames])
    palette = Image.fromarray(pixels).quantize(256, method=Image.Quantize.MEDIANCUT)
    return [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
