"""How much arithmetic an iteration is, and how fast the machine multiplies matrices at best."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from lightning import Callback
from torch.utils.flop_counter import FlopCounterMode

ROUNDS = 7


class Counted(Callback):
    """Counts the operations of the matrix products and convolutions of the first iteration, backward ones included."""

    def __init__(self) -> None:
        self.counter = FlopCounterMode(display=False)

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == 0:
            self.counter.__enter__()
            pl_module.measuring = False

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == 0:
            self.counter.__exit__(None, None, None)


def flops_of(run: Callable[[Callback], Any]) -> float:
    """Operations of the first iteration that `run` trains; a multiplication and an addition are two."""
    counted = Counted()
    run(counted)
    return counted.counter.get_total_flops()


def device_seconds(accelerator: str) -> float:
    """The time at which the device has done its work; of a CPU its own time a thread, which others do not slow down."""
    if accelerator == "cpu":
        return time.process_time() / torch.get_num_threads()
    if accelerator == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def matrix_peak(accelerator: str, options: dict[str, Any]) -> float:
    """FLOP/s of the product of two large matrices, in the type that a run with these trainer settings multiplies in."""
    precision = str(options["precision"])
    kinds = {"64": torch.float64, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
    size = 8192 if accelerator == "cuda" else 2048
    a, b = (torch.randn(size, size, device=accelerator).to(kinds.get(precision, torch.float32)) for _ in range(2))
    times = []
    for _ in range(ROUNDS):
        begin = device_seconds(accelerator)
        a @ b
        times.append(device_seconds(accelerator) - begin)
    # Others on the machine only ever make it slower; the first rounds wake it up.
    return 2 * size**3 / statistics.median(sorted(times)[: ROUNDS // 2])
