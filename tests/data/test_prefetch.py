"""Batches made ahead are the same batches, and no thread outlives its iterator."""

import threading
import time

import pytest
import torch

import ganlab.data.image_module  # noqa: F401 (it takes accelerator_of by name, before it is replaced)
from ganlab.data.batch import Batch
from ganlab.data.image_source import MemoryImages
from ganlab.data.prefetch import AHEAD, Prefetched


def batch(number):
    return Batch(torch.full((2, 1), float(number)), torch.tensor([number, number]))


class Counting:
    """An endless stream that knows how many batches it has made."""

    def __init__(self, fails_at=None, ends_at=None):
        self.made, self.fails_at, self.ends_at = 0, fails_at, ends_at

    def __iter__(self):
        while self.made != self.ends_at:
            if self.made == self.fails_at:
                raise OSError("the disk is gone")
            self.made += 1
            yield batch(self.made - 1)


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "batches"]


def test_the_same_batches_come_in_the_same_order():
    batches = iter(Prefetched(Counting()))
    for number in range(20):
        found = next(batches)
        assert torch.equal(found.samples, batch(number).samples) and torch.equal(found.conditions, batch(number)[1])
    batches.close()


def test_batches_are_made_ahead_and_not_without_end():
    stream = Counting()
    batches = iter(Prefetched(stream))
    next(batches)
    deadline = time.monotonic() + 20
    while stream.made < 2 + AHEAD and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.3)
    assert stream.made == 2 + AHEAD, "one was taken, so many wait, and the thread holds the next"
    batches.close()


def test_no_thread_is_left_when_nobody_wants_batches_any_more():
    batches = iter(Prefetched(Counting()))
    next(batches)
    assert len(threads()) == 1
    batches.close()
    assert threads() == []
    for _ in zip(range(3), Prefetched(Counting())):  # noqa: B905
        pass
    assert threads() == [], "an iterator that is dropped is closed"


def test_what_the_stream_raises_is_raised_where_its_batch_is_asked_for():
    batches = iter(Prefetched(Counting(fails_at=2)))
    assert [float(next(batches).samples[0]) for _ in range(2)] == [0, 1]
    with pytest.raises(OSError, match="the disk is gone"):
        next(batches)
    assert threads() == []


def test_a_stream_that_ends_ends():
    assert len(list(Prefetched(Counting(ends_at=3)))) == 3
    assert threads() == []


def test_each_iterator_begins_anew():
    whole = [batch(number) for number in range(3)]
    prefetched = Prefetched(whole)
    for _ in range(2):
        assert [float(found.samples[0]) for found in prefetched] == [0, 1, 2]


@pytest.mark.parametrize(
    ("name", "device", "holds", "kind"),
    [
        ("ring", "cpu", False, "BatchStream"),
        ("ring", "cuda", False, "Prefetched"),
        ("digits", "cuda", False, "Prefetched"),
        ("digits", "cuda", True, "BatchStream"),
    ],
)
def test_only_a_gpu_that_does_not_hold_the_data_is_sent_batches_ahead(loaded, monkeypatch, name, device, holds, kind):
    monkeypatch.setattr("ganlab.data.module.accelerator_of", lambda module: torch.device(device))
    if holds:
        monkeypatch.setattr(MemoryImages, "index_device", property(lambda source: torch.device("cuda")))
        monkeypatch.setattr("ganlab.data.stream.Positions.__init__", lambda self, *args, **options: None)
    assert type(loaded(name).train_dataloader()).__name__ == kind
