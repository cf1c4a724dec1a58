"""Two real processes that talk through gloo, for what must not depend on the number of ranks."""

import multiprocessing
import os
import pickle
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch
import torch.distributed

WORLD = 2


def on_two_ranks(function: Callable[[int], Any], timeout: float = 60) -> list[Any]:
    """[function(0), function(1)], each in a fork of this process and in one gloo group of both.

    What it returns is pickled; the function itself need not be picklable, and sees what this process sees.
    AssertionError with the traceback if a rank raises or dies; TimeoutError after `timeout` seconds.
    """
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        children, ends = [], []
        try:
            for rank in range(WORLD):
                here, there = context.Pipe(duplex=False)
                child = context.Process(target=_rank, args=(function, rank, Path(folder) / "store", there, timeout))
                with warnings.catch_warnings():
                    # Python 3.12 warns of any fork while threads run. The children use none of the parent's.
                    warnings.simplefilter("ignore", DeprecationWarning)
                    child.start()
                there.close()
                children.append(child)
                ends.append(here)
            return _results(ends, timeout)
        finally:
            for child in children:
                child.kill()
                child.join()
            for end in ends:
                end.close()


def _results(ends: list[Connection], timeout: float) -> list[Any]:
    results: dict[int, Any] = {}
    deadline = time.monotonic() + timeout
    while len(results) < len(ends):
        ready = wait([end for rank, end in enumerate(ends) if rank not in results], max(0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError(f"only ranks {sorted(results)} of {len(ends)} answered within {timeout} s")
        failures = []
        for end in ready:
            rank = ends.index(end)
            try:
                failure, results[rank] = pickle.loads(end.recv_bytes())
            except EOFError:
                failure = "died without a word"
            if failure:
                failures.append(f"rank {rank}: {failure}")
        if failures:
            raise AssertionError("\n".join(failures))
    return [results[rank] for rank in range(len(ends))]


def _rank(function: Callable[[int], Any], rank: int, store: Path, end: Connection, timeout: float) -> None:
    try:
        if sys.platform == "linux":
            os.environ["GLOO_SOCKET_IFNAME"] = "lo"  # else gloo looks up the machine's name, which may be unknown
        # A pool of threads does not survive a fork.
        torch.set_num_threads(1)
        torch.distributed.init_process_group(
            "gloo", init_method=f"file://{store}", rank=rank, world_size=WORLD, timeout=timedelta(seconds=timeout)
        )
        answer = pickle.dumps(("", function(rank)))
        torch.distributed.barrier()
        end.send_bytes(answer)
    except BaseException:
        end.send_bytes(pickle.dumps((traceback.format_exc(), None)))
