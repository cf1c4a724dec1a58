"""train.log tells of a run and never stops it."""

import errno
import logging

import pytest

from ganlab.tasks.run_log import RunLog


@pytest.fixture
def log(tmp_path):
    """A logger whose lines go to train.log in the test's folder."""
    handler = RunLog(str(tmp_path / "train.log"))
    logger = logging.Logger("run")
    logger.addHandler(handler)
    yield logger
    handler.close()


def refuse(*arguments, **named):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_lines_that_find_no_room_are_written_with_the_next_one(log, tmp_path, capsys, monkeypatch):
    log.info("one")
    stream = log.handlers[0].stream
    with monkeypatch.context() as full:
        full.setattr(log.handlers[0], "stream", Full(stream))
        log.info("two")
        log.info("three")
    log.info("four")
    assert (tmp_path / "train.log").read_text().split() == ["one", "two", "three", "four"]
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"warning: {tmp_path / 'train.log'}: cannot be written (No space left on device)")


class Full:
    """A stream that takes text and cannot bring it to the disk."""

    def __init__(self, stream):
        self.write = stream.write

    flush = staticmethod(refuse)
    close = staticmethod(refuse)


def test_a_file_that_cannot_be_opened_is_a_line_and_opened_with_a_later_one(log, tmp_path, capsys, monkeypatch):
    with monkeypatch.context() as full:
        full.setattr(RunLog, "_open", refuse)
        log.info("one")
        log.info("two")
    assert not (tmp_path / "train.log").exists()
    log.info("three")
    assert (tmp_path / "train.log").read_text() == "three\n"
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_it_closes_on_a_full_disk(log, monkeypatch, capsys):
    log.info("one")
    with monkeypatch.context() as full:
        full.setattr(log.handlers[0], "stream", Full(log.handlers[0].stream))
        log.handlers[0].flush()
        log.handlers[0].close()
    assert capsys.readouterr().err == ""
