"""Evaluations are added, and nothing that was written before is changed."""

import json
from datetime import datetime

import pytest

from ganlab.errors import OutputError
from ganlab.tasks.evaluation_records import add_evaluation, now, read_results


def test_they_are_added_one_after_the_other_beside_what_was_there(tmp_path):
    path = tmp_path / "run" / "results.json"
    assert read_results(path) == {}
    add_evaluation(path, {"seeds": [0]})
    whole = json.loads(path.read_text())
    path.write_text(json.dumps({"scores": {"a": 1}, **whole}))
    add_evaluation(path, {"seeds": [1]})
    assert json.loads(path.read_text()) == {"scores": {"a": 1}, "evaluations": [{"seeds": [0]}, {"seeds": [1]}]}


@pytest.mark.parametrize("content", ["{", "[1]", ""])
def test_what_is_not_a_result_is_left_alone_and_named(tmp_path, content):
    path = tmp_path / "results.json"
    path.write_text(content)
    with pytest.raises(OutputError, match=r"results\.json: .*move it away"):
        add_evaluation(path, {})
    assert path.read_text() == content


def test_the_date_is_one():
    assert datetime.fromisoformat(now()).utcoffset().total_seconds() == 0
