"""The table of growth: its exponents, its verdicts, and that what it measures is the true thing."""

import sys

import numpy as np
import pytest
import torch

from ganlab.data import cache
from ganlab.data.folder import ImageFolderData
from loading import ROOT, loaded_file


@pytest.fixture(scope="module")
def growth():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    yield loaded_file("benchmarks/growth.py")
    sys.path.remove(str(ROOT / "benchmarks"))


def test_an_exponent_is_that_of_the_larger_half(growth):
    sizes = [10, 100, 1000, 10_000]
    assert growth.exponent(sizes, [3 * size**1.5 for size in sizes]) == pytest.approx(1.5)
    assert growth.exponent(sizes, [1.0, 1.0, 5.0, 50.0]) == pytest.approx(1)
    assert growth.exponent([1, 10, 100], [7.0, 2.0, 200.0]) == pytest.approx(2)


def test_a_row_tells_what_is_worse_than_linear(growth):
    found = [{"good, s": size * 1e-2, "bad, s": size**2 * 1e-2, "small, MiB": size * 1e-4} for size in (1, 10, 100)]
    lines = growth.rows_of(growth.Growth("", [1, 10, 100], dict), found, [1, 10, 100])
    assert [good for _, good in lines] == [True, False, True]
    assert lines[0][0].split() == ["good,", "s", "0.01", "0.1", "1", "1.00", "linear", "or", "better"]
    assert lines[1][0].split() == ["bad,", "s", "0.01", "1", "100", "2.00", "WORSE", "THAN", "LINEAR"]
    ((line, good),) = growth.rows_of(growth.Growth("", [1, 10], dict), [{"(b, s)": 1.0}, {"(b, s)": 100.0}], [1, 10])
    assert good and line.split()[-1] == "2.00"
    # Less than what is told apart does not grow.
    assert lines[2][0].split()[-4] == "0.00"


def test_an_images_side_counts_by_its_square(growth):
    found = [{"iteration, s": size * size * 1e-2} for size in (16, 32)]
    ((line, good),) = growth.rows_of(growth.GROWTHS["image"], found, [16, 32])
    assert good and line.split()[-4] == "1.00"


@pytest.mark.parametrize("power", [1, 2])
def test_the_tables_end_says_whether_all_is_well(growth, capsys, monkeypatch, power):
    table = {"one": growth.Growth("things", [1, 10, 100], lambda size: {"time, s": float(size**power)})}
    monkeypatch.setattr(growth, "GROWTHS", table)
    monkeypatch.setattr(sys, "argv", ["growth.py", "only=one", "most=10"])
    with pytest.raises(SystemExit) as ended:
        growth.main()
    printed = capsys.readouterr().out
    assert "things" in printed and "100" not in printed.splitlines()[2]
    assert ended.value.code == power - 1
    assert printed.splitlines()[-1].startswith("all linear" if power == 1 else "NOT all linear")


def test_the_made_data_set_is_found_as_a_decoded_folder_is(growth, monkeypatch):
    monkeypatch.setattr(cache, "_build", lambda *arguments: pytest.fail("an empty file is no image"))
    with growth.data_set(1500) as place:
        data = ImageFolderData(**growth.options_of(place))
        data.setup()
        numbers = [source.gather(torch.arange(len(source))).samples for source in (data.train, data.test)]
        images = data.decoded().images
        assert data.decoded().names[1499] == "0001/499.jpg"
        measured = growth.open_cache(str(place)) | growth.draw(str(place)) | growth.set_up(str(place))
    assert sum(map(len, numbers)) == 1500
    assert np.array_equal(images.reshape(1500, -1)[:, :4].copy().view("<u4")[:, 0], np.arange(1500))
    assert not place.exists()
    assert all(value >= 0 for name, value in measured.items() if name.endswith(" s")) and len(measured) == 12


def test_a_log_of_all_its_rows(growth, monkeypatch):
    rows = []
    from ganlab.callbacks.records import CSVRecord

    original = CSVRecord.log_metrics
    monkeypatch.setattr(CSVRecord, "log_metrics", lambda self, *a, **k: (rows.append((a, k)), original(self, *a, **k)))
    found = growth.log("5", "20")
    assert set(found) == {"metrics.csv: all rows, s", "TensorBoard: all rows, s", "logging, MiB"}
    assert len(rows) == 1 + 2 * 20 and len(rows[0][0][0]) == 5
