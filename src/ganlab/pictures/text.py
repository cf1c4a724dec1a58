"""Captions: text as small images that fit the room they are given."""

import re
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

PAPER = (242, 242, 240)
INK = (64, 64, 68)
LONGEST_CAPTION = 150
"""Pixels that a rotated caption or a row's caption may take before it is shortened."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def font_for(texts: Sequence[str], size: int) -> Font:
    """Pillow's own font, or DejaVu Sans where a text needs more than ASCII.

    Pillow's font draws empty boxes for accents, Greek and Cyrillic, and folders of images
    are named in every language.
    """
    if all(text.replace("…", "").isascii() for text in texts):
        return ImageFont.load_default(size=size)
    import matplotlib

    return ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf", size - 1)


def shorten(text: str, font: Font, width: float) -> str:
    """The text if it fits `width` pixels, else its beginning and an ellipsis."""
    if font.getlength(text) <= width:
        return text
    kept = text
    while kept and font.getlength(kept.rstrip() + "…") > width:
        kept = kept[:-1]
    return kept.rstrip() + "…"


def wrap(text: str, font: Font, width: float, most_lines: int) -> list[str]:
    """At most `most_lines` lines of at most `width` pixels, broken at spaces; the last may end in an ellipsis."""
    lines: list[str] = []
    words = text.split()
    while words:
        if len(lines) == most_lines - 1:
            return [*lines, shorten(" ".join(words), font, width)]
        line = [words.pop(0)]
        while words and font.getlength(" ".join([*line, words[0]])) <= width:
            line.append(words.pop(0))
        lines.append(shorten(" ".join(line), font, width))
    return lines


def text_image(lines: Sequence[str], font: Font, align: str = "center") -> Image.Image:
    """The lines in ink on paper, as large as they need."""
    draw = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    text = "\n".join(lines)
    # "Ag" reaches from the highest to the lowest stroke, so that every label of a row has one height and one baseline.
    tallest = "\n".join(["Ag"] * len(lines))
    left, _, right, _ = draw.multiline_textbbox((0, 0), text, font=font, align=align)
    _, top, _, bottom = draw.multiline_textbbox((0, 0), tallest, font=font)
    image = Image.new("RGB", (max(1, round(right - left)), max(1, round(bottom - top))), PAPER)
    ImageDraw.Draw(image).multiline_text((-left, -top), text, fill=INK, font=font, align=align)
    return image


def column_labels(captions: Sequence[str], width: int) -> list[Image.Image]:
    """One label a column of `width` pixels, all in one style: on a line, smaller, on two lines, or else rotated."""
    captions = [caption.replace("_", " ") for caption in captions]
    for size, most_lines in ((14, 1), (12, 1), (12, 2)):
        font = font_for(captions, size)
        lines = [_fitted(caption, font, width, most_lines) for caption in captions]
        if all(fitted is not None for fitted in lines):
            return [text_image(fitted, font) for fitted in lines if fitted is not None]
    font = font_for(captions, 13)
    upright = [text_image([shorten(caption, font, LONGEST_CAPTION)], font) for caption in captions]
    return [label.transpose(Image.Transpose.ROTATE_90) for label in upright]


def row_labels(captions: Sequence[str]) -> list[Image.Image]:
    """One label a row, on a line each."""
    captions = [caption.replace("_", " ") for caption in captions]
    font = font_for(captions, 13)
    return [text_image([shorten(caption, font, LONGEST_CAPTION)], font) for caption in captions]


def _fitted(caption: str, font: Font, width: int, most_lines: int) -> list[str] | None:
    """The caption on one line, or on two of about equal length; None if it does not fit."""
    if font.getlength(caption) <= width:
        return [caption]
    if most_lines == 1:
        return None
    breaks = [match.end() for match in re.finditer(r"[ /-]", caption)]
    halves = [[caption[:place].rstrip(), caption[place:]] for place in breaks]
    fitting = [pair for pair in halves if max(map(font.getlength, pair)) <= width]
    return min(fitting, key=lambda pair: max(map(font.getlength, pair)), default=None)
