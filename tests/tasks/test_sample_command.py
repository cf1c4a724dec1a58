"""What `python -m ganlab.sample` refuses; what it writes is tested in test_sample.py and test_sampling.py."""

from functools import partial

import pytest

from ganlab.tasks import sample


@pytest.fixture
def refused(refused_by):
    return partial(refused_by, sample.main)


def test_wrong_words(refused):
    assert refused("run=x", "cuont=3", "seeed=1") == [
        "cuont=3: unknown key; nearest: count, condition, run",
        "seeed=1: unknown key; nearest: seed",
    ]
    assert refused("count=3") == ["run: missing"]
    assert refused("run=x", "count=0", "batch=many", "interpolate=-1") == [
        "count=0: must be greater than 0",
        "interpolate=-1: must be greater than or equal to 0",
        "batch=many: must be an integer",
    ]


def test_what_is_no_run(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    (line,) = refused("run=nowhere")
    assert line.startswith("run=nowhere: there is no such run")
    (line,) = refused("run=empty")
    assert line.startswith("run=empty: not a run that can go on")


def test_the_folder_above_the_run(refused, tmp_path):
    (tmp_path / "outputs" / "first" / "checkpoints").mkdir(parents=True)
    (tmp_path / "outputs" / "first" / "checkpoints" / "last.ckpt").write_bytes(b"")
    (line,) = refused("run=outputs")
    assert line.endswith("did you mean outputs/first?")


@pytest.mark.parametrize("content", [b"", b"weights", b"PK\x03\x04 half of an archive"])
def test_a_damaged_checkpoint(refused, tmp_path, content):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "checkpoints" / "last.ckpt").write_bytes(content)
    (line,) = refused("run=run")
    assert line.startswith("run/checkpoints/last.ckpt is damaged")


def test_the_usage_names_every_key():
    for key in sample.SampleOptions.model_fields:
        assert f"\n  {key} " in sample.USAGE


def test_the_usage_tells_of_the_pictures_that_only_some_models_have():
    assert "traversal.png" in sample.USAGE and "levels.png" in sample.USAGE
