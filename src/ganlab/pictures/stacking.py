"""Several pictures one below the other."""

from collections.abc import Sequence

from PIL import Image

from ganlab.pictures.grid import MARGIN, NARROWEST_LEGEND, legend_image
from ganlab.pictures.text import PAPER, font_for, shorten, text_image


def stacked(
    pictures: Sequence[Image.Image], titles: Sequence[str] | None = None, legend: Sequence[str] = ()
) -> Image.Image:
    """Pictures on paper, flush left, each with its own margins.

    Args:
        titles: one above each picture.
        legend: sentences below all of them, two lines each at most.
    """
    if titles is not None and len(titles) != len(pictures):
        raise ValueError(f"{len(titles)} titles for {len(pictures)} pictures")
    width = max(picture.width for picture in pictures)
    placed: list[tuple[Image.Image, int, int]] = []
    bottom = 0
    font = font_for(titles or [], 15)
    for index, picture in enumerate(pictures):
        if titles is not None:
            title = text_image([shorten(titles[index].replace("_", " "), font, width - 2 * MARGIN)], font)
            placed.append((title, MARGIN, bottom + MARGIN))
            bottom += MARGIN + title.height
        placed.append((picture, 0, bottom))
        bottom += picture.height
    if legend:
        below = legend_image(legend, max(width, NARROWEST_LEGEND) - 2 * MARGIN)
        placed.append((below, MARGIN, bottom))
        width, bottom = max(width, below.width + 2 * MARGIN), bottom + below.height + MARGIN

    whole = Image.new("RGB", (width, bottom), PAPER)
    for part, left, top in placed:
        whole.paste(part, (left, top))
    return whole
