"""A table of scores that a person can read."""

import pytest

from ganlab.tasks.score_table import Column, score_table, value_of


@pytest.mark.parametrize(
    ("score", "told"),
    [
        ({"value": 12.3456}, "12.3"),
        ({"value": 12.3456, "sd": 0.2345, "values": [1, 2]}, "12.3 ± 0.2"),
        ({"value": 0.8765, "sd": 0.01234, "values": [1, 2]}, "0.876 ± 0.012"),
        ({"value": 8.0, "sd": 0.0, "values": [8, 8]}, "8 ± 0"),
        ({"value": 2.0e-5, "sd": 1.0e-5, "values": [1, 2]}, "2.0e-05 ± 1.0e-05"),
    ],
)
def test_the_deviation_has_the_places_of_the_value(score, told):
    assert value_of(score) == told


def test_a_row_a_score_with_its_direction_its_real_value_and_what_it_means():
    first = {
        "metric/fd_digits": {"value": 12.3456, "real": 2.0},
        "metric/one_nn": {"value": 0.61, "real": 0.5},
        "metric/modes": {"value": 8.0, "real": None},
    }
    second = {"metric/fd_digits": {"value": 14.0, "real": 3.5}, "metric/one_nn": {"value": 0.7, "real": 0.49}}
    table = score_table("a title", [Column("against test", first), Column("against train", second)], ["a note"])
    lines = table.splitlines()
    assert lines[0] == "a title" and lines[-1] == "a note"
    heading = next(line for line in lines if "score" in line)
    assert heading.split() == ["score", "against", "test", "real", "against", "train", "real"]
    rows = {
        line.split()[0]: line.split()
        for line in lines
        if line.split() and line.split()[0] in ("fd_digits", "modes", "one_nn")
    }
    assert rows["fd_digits"][:6] == ["fd_digits", "↓", "12.3", "2", "14", "3.50"]
    assert rows["one_nn"][:6] == ["one_nn", "½", "0.610", "0.500", "0.700", "0.490"]
    assert rows["modes"][:4] == ["modes", "↑", "8", "modes"]
    assert max(map(len, lines)) < 140 and not any(line.endswith(" ") for line in lines)


def test_without_real_values_there_is_no_column_for_them():
    table = score_table("t", [Column("value", {"metric/fid": {"value": 3.0, "real": None}})])
    assert "real" not in table.replace("Fréchet", "") and "fid" in table
