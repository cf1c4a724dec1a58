"""ImageFolder against the cache: both see the same pixels, and all of an epoch is counted."""

import re
import sys

import pytest

from loading import ROOT, loaded_file


@pytest.fixture(scope="module")
def pipeline():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    yield loaded_file("benchmarks/pipeline.py")
    sys.path.remove(str(ROOT / "benchmarks"))


@pytest.fixture(scope="module")
def made(pipeline, tmp_path_factory):
    root = tmp_path_factory.mktemp("faces")
    pipeline.write_jpegs(root / "celeba" / "img_align_celeba", 12)
    return pipeline.ours(root), pipeline.theirs(root)


def test_both_ways_give_the_same_pixels(pipeline, made):
    data, folder = made
    assert len(data.train) == 12 == len(folder)
    assert pipeline.largest_difference(data, folder, 12) <= 1
    images = data.decoded().images
    data._decoded = type("Decoded", (), {"images": images[::-1], "names": data.decoded().names})()
    assert pipeline.largest_difference(data, folder, 12) > 50
    data._decoded = None


def test_epochs_are_counted_in_images(pipeline, made, monkeypatch):
    data, folder = made
    monkeypatch.setattr(pipeline, "BATCH", 4)
    data.batch_size = 4
    assert pipeline.epochs_of_ours(data, 3)() == 36
    assert pipeline.epoch_of_theirs(folder, 0)() == 12


def test_ratios_are_over_the_first_row(pipeline):
    first, second = pipeline.told({"a": [10.0, 20.0, 40.0], "b": [100.0, 500.0, 400.0]})
    assert re.search(r"a +20 images/s +×1\.0 \(1\.0–1\.0\)", first)
    assert re.search(r"b +400 images/s +×10\.0 \(10\.0–25\.0\)", second)


def test_the_table(pipeline, capsys, monkeypatch):
    monkeypatch.setattr(pipeline, "BATCH", 4)
    monkeypatch.setattr(sys, "argv", ["pipeline.py", "count=9", "workers=0", "rounds=1"])
    pipeline.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(",")[0] for line in lines[:4]] == [
        "9 JPEGs of 178×218 to 64×64",
        "ImageFolder",
        "ganlab",
        "ganlab",
    ]
    assert float(re.search(r"pixels: ([\d.]+)/255", lines[4])[1]) <= 1
