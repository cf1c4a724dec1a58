"""Pictures as parts of a page."""

import base64
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import torch
from PIL import Image

from ganlab.tasks.exploring.figures import enlarged, figure, marked_plane, note, row_of


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_each_pixel_becomes_a_square_of_its_own_colour():
    sample = torch.tensor([[[-1.0, 0.0], [1.0, 0.5]]])
    pixels = np.asarray(enlarged(sample, 9))
    assert pixels.shape == (8, 8)
    wanted = np.kron(np.array([[0, 128], [255, 191]]), np.ones((4, 4), int))
    assert (pixels == wanted).all()
    assert enlarged(torch.zeros(3, 64, 64), 16).size == (64, 64), "never made smaller"


def test_a_figure_holds_its_pixels_and_its_words():
    image = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
    parsed = Tags(figure(image, "three", "a three", name="shown"))
    (figure_tag, img, _) = parsed.tags
    assert figure_tag == ("figure", {"class": "pixels", "data-name": "shown"}) and parsed.text == "three"
    assert (img[1]["alt"], img[1]["width"], img[1]["height"]) == ("a three", "4", "4")
    kept = Image.open(BytesIO(base64.b64decode(img[1]["src"].removeprefix("data:image/png;base64,"))))
    assert (np.asarray(kept) == np.asarray(image)).all()


def test_names_from_a_strangers_run_stay_text():
    evil = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    made = row_of([figure(Image.new("L", (1, 1)), evil, evil, name=evil)]) + note(evil)
    parsed = Tags(made)
    assert [tag for tag, _ in parsed.tags] == ["div", "figure", "img", "figcaption", "p"]
    assert parsed.text == evil * 2
    assert parsed.tags[1][1]["data-name"] == evil and parsed.tags[2][1]["alt"] == evil


def test_marks_and_a_way_in_the_plane():
    limits = (-1.0, 1.0, -1.0, 1.0)
    bare = np.asarray(marked_plane(None, None, [], limits)).astype(int)
    marked = np.asarray(marked_plane(None, None, [("", torch.tensor([0.5, 0.5]))], limits)).astype(int)
    rows, columns = np.abs(marked - bare).sum(2).nonzero()
    # The plot is 0.91 of 520 pixels, from 0.07 on the left and 0.02 on top: three quarters of the way to the right.
    assert abs(columns.mean() - 520 * (0.07 + 0.91 * 0.75)) < 2 and abs(rows.mean() - 520 * (0.03 + 0.91 * 0.25)) < 2
    way = np.asarray(marked_plane(None, None, [], limits, torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))).astype(int)
    assert np.unique(np.abs(way - bare).sum(2).nonzero()[0]).size < 8, "a horizontal line"
