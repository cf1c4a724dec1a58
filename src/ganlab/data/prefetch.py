"""The next batch while the step of this one runs: gathered by a thread, copied to a GPU beside its work."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from ganlab.data.batch import Batch

AHEAD = 2
"""Batches that wait at most."""
_PATIENCE = 0.1
"""Seconds between two looks whether anyone still wants batches."""


class Prefetched:
    """The batches of a stream in their order, made ahead by a thread of each iterator's own.

    The thread ends with its iterator; what it raises is raised where the batch is asked for. With a CUDA `device` it
    sends them there on a CUDA stream of its own, and a batch is handed over when its copies are done, by the device's
    clock.
    """

    def __init__(self, stream: Iterable[Batch], device: torch.device | None = None) -> None:
        self.stream = stream
        self.device = device if device is not None and device.type == "cuda" else None

    def __iter__(self) -> Iterator[Batch]:
        waiting: queue.Queue[tuple[Any, Any]] = queue.Queue(AHEAD)
        over = threading.Event()
        thread = threading.Thread(target=self._fill, args=(waiting, over), name="batches", daemon=True)
        thread.start()
        try:
            while True:
                batch, done = waiting.get()
                if isinstance(batch, BaseException):
                    raise batch
                if batch is None:
                    return
                yield batch if done is None else _handed_over(batch, done)
        finally:
            over.set()
            thread.join()

    def _fill(self, waiting: "queue.Queue[tuple[Any, Any]]", over: threading.Event) -> None:
        try:
            for item in self._made(over):
                if not _put(waiting, item, over):
                    return
            _put(waiting, (None, None), over)
        except BaseException as error:
            _put(waiting, (error, None), over)

    def _made(self, over: threading.Event) -> Iterator[tuple[Batch, Any]]:
        """Batches with the event that their copies are done, of which there is none on a CPU."""
        if self.device is None:
            yield from ((batch, None) for batch in self.stream)
            return
        side = torch.cuda.Stream(self.device)
        batches = iter(self.stream)
        while not over.is_set():
            with torch.cuda.stream(side):
                batch = next(batches, None)
                if batch is None:
                    return
                sent = _sent(batch, self.device)
                done = side.record_event()
            yield sent, done


def _put(waiting: "queue.Queue[tuple[Any, Any]]", item: tuple[Any, Any], over: threading.Event) -> bool:
    """Whether the item was taken before all was over."""
    while not over.is_set():
        try:
            waiting.put(item, timeout=_PATIENCE)
            return True
        except queue.Full:
            continue
    return False


def _sent(batch: Batch, device: torch.device) -> Batch:
    """A batch on a GPU, copied from pinned memory; what is there already stays."""

    def sent(part: Any) -> Any:
        if isinstance(part, Batch):
            return _sent(part, device)
        return part if part is None or part.is_cuda else part.pin_memory().to(device, non_blocking=True)

    return Batch(*map(sent, batch))


def _handed_over(batch: Batch, done: Any) -> Batch:
    """A batch for the CUDA stream that asks for it: it waits for the copies, and the memory waits for it."""
    asking = torch.cuda.current_stream()
    asking.wait_event(done)
    for tensor in _tensors(batch):
        if tensor.is_cuda:
            tensor.record_stream(asking)
    return batch


def _tensors(batch: Batch) -> Iterator[Tensor]:
    for part in batch:
        if isinstance(part, Tensor):
            yield part
        elif part is not None:
            yield from _tensors(part)
