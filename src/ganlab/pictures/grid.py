"""Grids of images, large enough to be seen, with captions."""

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image
from torch import Tensor

from ganlab.pictures.text import PAPER, column_labels, font_for, row_labels, text_image, wrap

MARGIN = 10
CAPTION_GAP = 6
MOST_COLUMNS = 12
NARROWEST_LEGEND = 420


def to_bytes(images: Tensor) -> Tensor:
    """Images in [-1, 1] as uint8: round(127.5 x + 127.5), clamped.

    Never stretched by their own minimum and maximum: two pictures with equal bytes had equal
    values. Not-a-number becomes mid-gray.

    Args:
        images: [n, channels, height, width], any floating type.
    """
    values = images.detach().float().nan_to_num(nan=0.0, posinf=1.0, neginf=-1.0)
    return values.mul(127.5).add(127.5).round().clamp(0, 255).byte()


def to_pil(image: Tensor) -> Image.Image:
    """One image [channels, height, width] in [-1, 1], gray (1 channel) or RGB (3), pixel for pixel."""
    pixels = to_bytes(image).cpu().numpy()
    return Image.fromarray(pixels[0] if len(pixels) == 1 else np.moveaxis(_rgb(pixels), 0, -1).copy())


def cell_scale(size: int) -> int:
    """The whole factor that brings images of `size` pixels to about 48 to 64 pixels; 1 from 48 pixels on."""
    scale = max(1, 64 // size)
    return scale if scale * size >= 48 else scale + 1


def shown_classes(count: int, most: int = MOST_COLUMNS) -> list[int]:
    """The classes that get a column: all of them up to `most`, else `most` evenly spaced ones, both ends included."""
    if count <= most:
        return list(range(count))
    return [round(column * (count - 1) / (most - 1)) for column in range(most)]


def class_columns(images: Tensor, names: Sequence[str], legend: Sequence[str] = ()) -> Image.Image:
    """One column a class, named above; rows are different noise, the same noise all along a row.

    Args:
        images: [rows, classes, channels, height, width] in [-1, 1].
        names: one for each column.
    """
    return image_grid(images.flatten(0, 1), images.shape[1], captions=names, legend=legend)


def image_grid(
    images: Tensor,
    columns: int,
    captions: Sequence[str] | None = None,
    row_captions: Sequence[str] | None = None,
    scale: int | None = None,
    padding: int = 2,
    legend: Sequence[str] = (),
) -> Image.Image:
    """Images row by row on light paper; small ones are enlarged by a whole factor, pixel by pixel.

    Args:
        images: [n, channels, height, width] in [-1, 1]; 1 channel is gray, 3 are RGB. The last row may be short.
        captions: one above each column.
        row_captions: one left of each row.
        scale: the whole factor of enlargement; None chooses it (`cell_scale`).
        padding: pixels between neighbouring images.
        legend: sentences below the grid, two lines each at most.
    """
    cells = _cells(images, scale or cell_scale(max(images.shape[-2:])))
    rows = math.ceil(len(cells) / columns)
    for kind, given, needed in (("captions", captions, columns), ("row captions", row_captions, rows)):
        if given is not None and len(given) != needed:
            raise ValueError(f"{len(given)} {kind} for {needed}")
    above = column_labels(captions, cells.shape[2] + padding - 2) if captions else []
    beside = row_labels(row_captions) if row_captions else []

    mosaic = _mosaic(cells, rows, columns, padding)
    left = MARGIN + (max(label.width for label in beside) + CAPTION_GAP if beside else 0)
    top = MARGIN + (max(label.height for label in above) + CAPTION_GAP if above else 0)
    width, height = left + mosaic.width + MARGIN, top + mosaic.height + MARGIN
    below = legend_image(legend, max(width, NARROWEST_LEGEND) - 2 * MARGIN) if legend else None
    if below is not None:
        width, height = max(width, below.width + 2 * MARGIN), height + below.height + MARGIN

    picture = Image.new("RGB", (width, height), PAPER)
    picture.paste(mosaic, (left, top))
    for column, label in enumerate(above):
        middle = left + column * (cells.shape[2] + padding) + cells.shape[2] / 2
        picture.paste(label, (round(middle - label.width / 2), top - CAPTION_GAP - label.height))
    for row, label in enumerate(beside):
        middle = top + row * (cells.shape[1] + padding) + cells.shape[1] / 2
        picture.paste(label, (left - CAPTION_GAP - label.width, round(middle - label.height / 2)))
    if below is not None:
        picture.paste(below, (MARGIN, height - MARGIN - below.height))
    return picture


def _rgb(pixels: np.ndarray) -> np.ndarray:
    """[..., channels, height, width] with 1 or 3 channels -> 3 channels."""
    if pixels.shape[-3] not in (1, 3):
        raise ValueError(f"a picture has 1 channel (gray) or 3 (RGB), not {pixels.shape[-3]}")
    return np.repeat(pixels, 3, axis=-3) if pixels.shape[-3] == 1 else pixels


def _cells(images: Tensor, scale: int) -> np.ndarray:
    """uint8 [n, height, width, 3], enlarged."""
    pixels = np.moveaxis(_rgb(to_bytes(images).cpu().numpy()), 1, -1)
    return pixels.repeat(scale, axis=1).repeat(scale, axis=2)


def _mosaic(cells: np.ndarray, rows: int, columns: int, padding: int) -> Image.Image:
    _, height, width, _ = cells.shape
    shape = (rows * (height + padding) - padding, columns * (width + padding) - padding, 3)
    canvas = np.full(shape, PAPER, dtype=np.uint8)
    for place, cell in enumerate(cells):
        top, left = place // columns * (height + padding), place % columns * (width + padding)
        canvas[top : top + height, left : left + width] = cell
    return Image.fromarray(canvas)


def legend_image(sentences: Sequence[str], width: int) -> Image.Image:
    font = font_for(sentences, 12)
    lines = [line for sentence in sentences for line in wrap(sentence, font, width, most_lines=2)]
    return text_image(lines, font, align="left")
