"""Processes that agree before a run begins; here they are threads, each with a seat of its own."""

import socket
import threading
import time

import pytest

from ganlab import meeting
from ganlab.meeting import Meeting, MeetingError, Refused


@pytest.fixture
def port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture
def together(port):
    """together(function, 3): what function(meeting) gives or raises in each of three processes."""

    def run(function, processes, absent=(), name="run"):
        results, seats = [None] * processes, []

        def attend(rank):
            try:
                seat = Meeting(rank, processes, "127.0.0.1", port, serves=True, name=name)
                seats.append(seat)
                results[rank] = function(seat)
            except Exception as error:
                results[rank] = error

        threads = [threading.Thread(target=attend, args=(rank,)) for rank in range(processes) if rank not in absent]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        return results

    return run


def test_all_are_told_what_the_first_one_says_when_all_are_there(together):
    came = []

    def agree(seat):
        time.sleep(0.1 * seat.rank)
        came.append(seat.rank)
        seat.gather("checked")
        assert sorted(came) == [0, 1, 2]
        if seat.rank == 0:
            seat.tell("folder", "runs/größe")
        return seat.told("folder")

    assert together(agree, 3) == ["runs/größe"] * 3


@pytest.mark.parametrize("wrong", [0, 1])
def test_a_mistake_of_one_ends_all_with_its_exit_code_and_the_first_one_ends_last(together, wrong):
    said, ended = [], []

    def agree(seat):
        time.sleep(0.2 * (seat.rank == 0))
        try:
            if seat.rank == wrong:
                raise Refused("own", 3)
            seat.gather("checked")
        except Refused as mistake:
            if seat.rank == 0:
                time.sleep(0.2)
                assert not ended, "a launcher would have killed the first one before it could speak"
                said.append(str(mistake))
            seat.leave("the file is not there", 3)
            ended.append(seat.rank)
            return str(mistake), mistake.exit_code

    results = together(agree, 3)
    other = f"process {wrong} of 3: the file is not there"
    assert results == [("own" if rank == wrong else other, 3) for rank in range(3)]
    assert said == [results[0][0]] and sorted(ended) == [0, 1, 2]


def test_who_does_not_come_is_named_in_a_line(together, monkeypatch):
    monkeypatch.setenv(meeting.SECONDS, "1")
    monkeypatch.setattr(meeting, "GRACE", 1)
    first, second, _ = together(lambda seat: seat.gather("checked") if seat.rank else _given_up(seat), 3, absent=[2])
    assert isinstance(first, MeetingError)
    assert str(first).startswith("waited 1 s for process 2 of 3")
    assert "\n" not in str(first) and meeting.SECONDS in str(first)
    # The first one tells the other, which would wait longer.
    assert isinstance(second, Refused)


def _given_up(seat):
    try:
        seat.gather("checked")
    except MeetingError as lost:
        seat.leave(str(lost), lost.exit_code)
        raise


def test_a_first_process_that_is_not_there_is_a_line(port, monkeypatch):
    monkeypatch.setenv(meeting.SECONDS, "1")
    with pytest.raises(
        MeetingError, match=f"^MASTER_ADDR:MASTER_PORT=127.0.0.1:{port}: nobody answered for 1 s"
    ) as lost:
        Meeting(1, 2, "127.0.0.1", port, serves=True, name="run")
    assert "\n" not in str(lost.value)


def test_a_port_that_is_taken_is_a_line():
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(MeetingError, match=f"{port}: cannot be listened at .* set MASTER_PORT") as lost:
            Meeting(0, 2, "127.0.0.1", port, serves=True, name="run")
    assert "\n" not in str(lost.value)


def test_once_training_has_begun_nobody_waits_long_for_one_that_fails_alone(together, monkeypatch):
    monkeypatch.setattr(meeting, "SHORT", 0.3)

    def fail_alone(seat):
        seat.gather("prepared")
        seat.over = True
        began = time.monotonic()
        if seat.rank:
            seat.leave("a fault", 1)
        else:
            time.sleep(2)
        return time.monotonic() - began

    assert together(fail_alone, 2)[1] < 1.5
