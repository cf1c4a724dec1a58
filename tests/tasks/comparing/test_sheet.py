"""Pictures side by side: their places, their heights, and that a stranger's file can do no harm."""

import numpy as np
import pytest
from PIL import Image
from run_folders import write_run

from ganlab.tasks.comparing import sheet as comparing_sheet
from ganlab.tasks.comparing.runs import read_runs
from ganlab.tasks.comparing.sheet import GAP, HEIGHT, MARGIN, PAPER, WIDEST_PICTURE, WIDTH, contact_sheet, last_picture


def blank(width, height, colour="red"):
    return Image.new("RGB", (width, height), colour)


def test_pictures_stand_side_by_side_at_one_height():
    sheet = contact_sheet([blank(100, 100), blank(600, 800, "blue")], [("one", "seed 0"), ("two", "seed 1")])
    pixels = np.asarray(sheet)
    red, blue = (np.argwhere((pixels == colour).all(-1)) for colour in ((255, 0, 0), (0, 0, 255)))
    assert [red.min(0).tolist(), red.max(0).tolist()] == [[MARGIN, MARGIN], [MARGIN + HEIGHT - 1, MARGIN + HEIGHT - 1]]
    left = MARGIN + HEIGHT + GAP
    assert [blue.min(0).tolist(), blue.max(0).tolist()] == [[MARGIN, left], [MARGIN + HEIGHT - 1, left + 299]]
    assert sheet.width == left + 300 + MARGIN
    below = pixels[MARGIN + HEIGHT :]
    for start in (MARGIN, left):
        assert (below[:, start : start + 60] != PAPER).any(), "each has its caption below it"


def test_a_wide_picture_is_fitted_in_and_rows_are_even():
    sheet = contact_sheet([blank(2000, 100)] * 3 + [blank(100, 100)], [("a", "b")] * 4)
    assert sheet.width <= WIDTH
    pixels = np.asarray(sheet)
    red = (pixels == (255, 0, 0)).all(-1)
    assert red.sum() == 3 * WIDEST_PICTURE * 45 + HEIGHT * HEIGHT
    starts = np.flatnonzero(np.diff(red.any(1).astype(int)) == 1)
    assert len(starts) == 2, "two rows of two"


def test_long_captions_stay_below_their_picture():
    long = " ".join(f"model.some_option_{place}=value" for place in range(30))
    sheet = contact_sheet([blank(100, 100), blank(100, 100)], [(long, long), ("", "")])
    gap = np.asarray(sheet)[:, MARGIN + HEIGHT : MARGIN + HEIGHT + GAP]
    assert (gap == PAPER).all()


@pytest.mark.parametrize("kind", ["", "reconstructions_"])
def test_the_newest_picture_of_the_first_kind_is_taken(tmp_path, kind):
    run = read_runs([str(write_run(tmp_path / "a"))]).runs[0]
    assert last_picture(run) is None
    samples = run.folder / "samples"
    samples.mkdir()
    for name in ("filters_iteration_000900", f"{kind}iteration_000010", f"{kind}iteration_000002"):
        blank(4, 4, "blue" if "10" in name else "red").save(samples / f"{name}.png")
    assert last_picture(run).getpixel((0, 0)) == (0, 0, 255)


def test_what_is_no_picture_is_passed_over(tmp_path, monkeypatch):
    run = read_runs([str(write_run(tmp_path / "a", picture=(8, 8)))]).runs[0]
    samples = run.folder / "samples"
    (samples / "iteration_000500.png").write_text("%!PS (code of another format)")
    (samples / "iteration_000400.png").write_bytes((samples / "iteration_000100.png").read_bytes()[:60])
    blank(9, 9).save(samples / "iteration_000300.png")
    monkeypatch.setattr(comparing_sheet, "LARGEST", 70)
    assert last_picture(run).size == (8, 8)
