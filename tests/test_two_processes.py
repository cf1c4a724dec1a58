import os
import time

import pytest
import torch
import torch.distributed

from two_processes import on_two_ranks


def test_both_ranks_are_in_one_group_and_answer_in_order():
    seen = torch.tensor([10.0, 20.0])

    def summed(rank):
        own = seen[rank].clone()
        torch.distributed.all_reduce(own)
        return rank, os.getpid(), own

    (first, one, left), (second, two, right) = on_two_ranks(summed)
    assert (first, second, left.item(), right.item()) == (0, 1, 30, 30)
    assert len({one, two, os.getpid()}) == 3
    assert not torch.distributed.is_initialized()


def test_a_failure_is_told_with_its_traceback():
    def fail(rank):
        if rank == 1:
            raise KeyError("the reason")
        torch.distributed.barrier()

    with pytest.raises(AssertionError, match=r"(?s)rank 1: .*in fail.*the reason"):
        on_two_ranks(fail)


def test_a_death_is_told():
    with pytest.raises(AssertionError, match="rank 0: died without a word"):
        on_two_ranks(lambda rank: os._exit(3) if rank == 0 else time.sleep(30))


def test_who_does_not_answer_is_not_waited_for():
    start = time.monotonic()
    with pytest.raises(TimeoutError, match="within 1 s"):
        on_two_ranks(lambda rank: time.sleep(30 * rank), timeout=1)
    assert time.monotonic() - start < 10
