"""Formats of checkpoints: an older one becomes today's, step by step; a newer or unknown one is refused in a line."""

from pathlib import Path

import pytest

from ganlab.config import migration
from ganlab.config.migration import FORMAT, migrated
from ganlab.errors import CheckpointError

PATH = Path("last.ckpt")


def checkpoint(**own):
    return {"state_dict": {}, "ganlab": {"version": "0.1.0", "config": {"model": {}}, **own}}


def test_todays_is_as_it_was():
    today = checkpoint(format=FORMAT)
    assert migrated(today, PATH) == today


def test_one_without_a_number_that_says_its_ganlab_is_of_format_0():
    assert migrated(checkpoint(), PATH) == checkpoint(format=FORMAT)


def test_every_older_format_has_its_step():
    assert sorted(migration.MIGRATIONS) == list(range(FORMAT))


def test_steps_follow_one_another_and_leave_the_given_one_alone(monkeypatch):
    def renamed(old, new):
        def step(given):
            names = {new if key == old else key: value for key, value in given["state_dict"].items()}
            return {**given, "state_dict": names}

        return step

    monkeypatch.setattr(migration, "FORMAT", 4)
    monkeypatch.setattr(migration, "MIGRATIONS", {2: renamed("a", "b"), 3: renamed("b", "c")})
    old = {**checkpoint(format=2), "state_dict": {"a": 1}}
    new = migrated(old, PATH)
    assert new["state_dict"] == {"c": 1} and new["ganlab"]["format"] == 4
    assert old["state_dict"] == {"a": 1} and old["ganlab"]["format"] == 2
    with pytest.raises(
        CheckpointError, match=r"^last.ckpt is of format 1, which this ganlab no longer reads; .*0\.1\.0"
    ):
        migrated(checkpoint(format=1), PATH)


def test_a_newer_one_says_who_wrote_it_and_what_to_do():
    with pytest.raises(CheckpointError) as refused:
        migrated(checkpoint(format=FORMAT + 1, version="9.9"), PATH)
    assert str(refused.value) == (
        f"last.ckpt is of format {FORMAT + 1}, written by ganlab 9.9, and this ganlab reads formats up to {FORMAT}; "
        "use that version, or a newer one: pip install --upgrade ganlab"
    )


@pytest.mark.parametrize(
    "own", [{"version": None}, {"format": None}, {"format": "1"}, {"format": True}, {"format": -1}]
)
def test_one_that_does_not_say_its_format(own):
    with pytest.raises(CheckpointError, match=r"^last.ckpt does not say its format, .*start the run anew$"):
        migrated(checkpoint(**own), PATH)


@pytest.mark.parametrize(
    "content",
    [None, 3, {}, {"state_dict": {}}, {"ganlab": {"config": {}}}, {**checkpoint(), "ganlab": {"version": "1"}}],
)
def test_a_file_of_another_program(content):
    with pytest.raises(CheckpointError, match=r"^last.ckpt was not written by ganlab"):
        migrated(content, PATH)
