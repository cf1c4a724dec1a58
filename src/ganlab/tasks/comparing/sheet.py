"""The last sample pictures of several runs side by side."""

import re
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from ganlab.tasks.comparing.runs import Run

HEIGHT = 400
"""Pixels of every picture."""
WIDEST_PICTURE = 900
WIDTH = 2080
MARGIN, GAP, LINE = 16, 20, 19
MOST_LINES = 3
LARGEST = 64 * 2**20
"""Pixels of a picture; more is no sample picture."""
PAPER, INK, FAINT = (242, 242, 240), (64, 64, 68), (110, 110, 114)
KINDS = ("", "reconstructions_")
"""Which pictures are taken, the first kind that a run has; others show parts of a model."""


def last_picture(run: Run) -> Image.Image | None:
    """The newest sample picture of a run, in RGB; None if it has none that can be read."""
    for kind in KINDS:
        found = {int(match[1]): path for path, match in _numbered(run.folder / "samples", kind)}
        for iteration in sorted(found, reverse=True):
            picture = _read(found[iteration])
            if picture is not None:
                return picture
    return None


def _numbered(folder: Path, kind: str) -> list[tuple[Path, re.Match[str]]]:
    matches = [(path, re.fullmatch(rf"{kind}iteration_(\d+)\.png", path.name)) for path in folder.glob("*.png")]
    return [(path, match) for path, match in matches if match is not None]


def _read(path: Path) -> Image.Image | None:
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            if picture.width * picture.height > LARGEST:
                return None
            return picture.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def contact_sheet(pictures: Sequence[Image.Image], captions: Sequence[tuple[str, str]]) -> Image.Image:
    """Pictures at one height, in as many rows as they need, each with a caption and a smaller line below it."""
    scaled = [_scaled(picture) for picture in pictures]
    font, small = _font(15), _font(13)
    texts = [
        _wrapped(caption, font, picture.width, MOST_LINES)
        for (caption, _), picture in zip(captions, scaled, strict=True)
    ]
    rows = _in_rows([picture.width for picture in scaled])
    heights = [8 + LINE * (1 + max(len(texts[place]) for place in row)) for row in rows]
    width = 2 * MARGIN + max(sum(scaled[place].width for place in row) + GAP * (len(row) - 1) for row in rows)
    sheet = Image.new("RGB", (width, MARGIN + sum(HEIGHT + height + MARGIN for height in heights)), PAPER)
    draw = ImageDraw.Draw(sheet)
    top = MARGIN
    for row, height in zip(rows, heights, strict=True):
        left = MARGIN
        for place in row:
            sheet.paste(scaled[place], (left, top))
            below = top + HEIGHT + 6
            for line in texts[place]:
                draw.text((left, below), line, fill=INK, font=font)
                below += LINE
            remark = _cut(captions[place][1], small, scaled[place].width)
            draw.text((left, below), remark, fill=FAINT, font=small)
            left += scaled[place].width + GAP
        top += HEIGHT + height + MARGIN
    return sheet


def _scaled(picture: Image.Image) -> Image.Image:
    """At the common height; a wide one is fitted in and centred."""
    factor = min(HEIGHT / picture.height, WIDEST_PICTURE / picture.width)
    size = max(1, round(picture.width * factor)), max(1, round(picture.height * factor))
    # Whole factors keep the pixels of small images square and sharp.
    sharp = factor >= 1 and factor == int(factor)
    scaled = picture.resize(size, Image.Resampling.NEAREST if sharp else Image.Resampling.LANCZOS)
    if size[1] == HEIGHT:
        return scaled
    framed = Image.new("RGB", (size[0], HEIGHT), PAPER)
    framed.paste(scaled, (0, (HEIGHT - size[1]) // 2))
    return framed


def _in_rows(widths: Sequence[int]) -> list[list[int]]:
    """Places row by row, about equally many in each."""
    rows: list[list[int]] = [[]]
    for place, width in enumerate(widths):
        taken = sum(widths[other] + GAP for other in rows[-1])
        if rows[-1] and taken + width > WIDTH - 2 * MARGIN:
            rows.append([])
        rows[-1].append(place)
    each = -(-len(widths) // len(rows))
    even = [list(range(start, min(start + each, len(widths)))) for start in range(0, len(widths), each)]
    fits = all(sum(widths[place] + GAP for place in row) - GAP <= WIDTH - 2 * MARGIN for row in even)
    return even if fits else rows


def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf", size)


def _wrapped(text: str, font: ImageFont.FreeTypeFont, width: int, most: int) -> list[str]:
    """At most so many lines, broken at spaces; what is left over ends in an ellipsis."""
    lines: list[str] = []
    words = text.split()
    while words and len(lines) < most - 1:
        line = words.pop(0)
        while words and font.getlength(f"{line} {words[0]}") <= width:
            line += f" {words.pop(0)}"
        lines.append(_cut(line, font, width))
    if words:
        lines.append(_cut(" ".join(words), font, width))
    return lines


def _cut(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
