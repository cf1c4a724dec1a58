import numpy as np
import pytest

from ganlab.pictures.text import LONGEST_CAPTION, PAPER, column_labels, font_for, row_labels, shorten, wrap

ATTRIBUTES = ["5_o_Clock_Shadow", "Wearing_Lipstick", "Bushy_Eyebrows", "Male"]


def test_shortened_text_fits_and_says_so():
    font = font_for(["x"], 13)
    assert shorten("boat", font, 100) == "boat"
    short = shorten("a very long name of a folder", font, 100)
    assert font.getlength(short) <= 100 and short.endswith("…") and short.startswith("a very")


def test_wrapped_text_keeps_every_word_that_fits():
    font = font_for(["x"], 12)
    text = "1: Attractive, Brown Hair, Smiling, Young, Wearing Lipstick"
    lines = wrap(text, font, 120, most_lines=9)
    assert " ".join(lines) == text and len(lines) > 1
    assert all(font.getlength(line) <= 120 for line in lines)
    first, second = wrap(text, font, 120, most_lines=2)
    assert first == lines[0] and second.endswith("…") and font.getlength(second) <= 120
    assert wrap("", font, 120, most_lines=2) == []


@pytest.mark.parametrize("names", [list("0123456789"), ["T-shirt/top", "Ankle boot"], ATTRIBUTES, ["wörter", "слово"]])
def test_labels_never_leave_their_column_and_are_never_cut(names):
    labels = column_labels(names, 64)
    assert len(labels) == len(names) and all(label.width <= 64 for label in labels)
    for label in labels:
        ink = np.abs(np.asarray(label).astype(int) - PAPER).sum(-1) > 60
        assert ink.any()


def test_long_labels_are_rotated_together_and_limited():
    labels = column_labels(["cat", "the longest name that anyone ever gave a folder of cats"], 56)
    assert [label.width for label in labels] == [labels[0].width] * 2
    assert labels[1].height > labels[1].width and labels[1].height <= LONGEST_CAPTION
    plain = column_labels(["cat", "dog"], 56)
    assert plain[0].height < labels[1].height


def test_a_name_of_two_words_goes_on_two_lines():
    one, two = column_labels(["Ankle", "Ankle boot"], 50)
    assert two.height > 1.7 * one.height and two.width <= 50


def test_row_labels_are_limited():
    short, long = row_labels(["Male", "word " * 40])
    assert short.width < long.width <= LONGEST_CAPTION


def test_accents_are_letters_and_not_empty_boxes():
    """Two different letters look different, which the boxes of a font without them do not."""
    font = font_for(["é", "ж"], 13)
    first, second = (np.asarray(font.getmask(letter)) for letter in "éж")
    assert first.shape != second.shape or not np.array_equal(first, second)
