"""What makes a run fast beside its own code: number formats, the choice of kernels, memory, compilation."""

import ctypes
import os
from collections.abc import Callable
from typing import Any

import torch

from ganlab.models.base import GenerativeModel
from ganlab.tasks.building import Machine

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
CUBLAS_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
KEPT = 2**31 - 1
LARGEST = (2**30, 2**25)
"""Bytes; before version 2.35 or so glibc takes no more than the second."""


def settle_arithmetic(machine: Machine, tf32: bool, deterministic: bool = False) -> None:
    """How CUDA devices multiply float32: in TF32, with 10 bits of mantissa, or in full; kernels by trial.

    A trial may choose otherwise in the next run, and some kernels add in any order. `deterministic` has neither; an
    operation that has no deterministic kernel is warned of, and done. It must come before anything is on the device.

    Each run of a process settles it anew, whatever the one before it had.
    """
    if machine.accelerator != "cuda":
        return
    kind = "tf32" if tf32 else "ieee"
    if hasattr(torch.backends.cuda.matmul, "fp32_precision"):
        torch.backends.cuda.matmul.fp32_precision = kind
        torch.backends.cudnn.conv.fp32_precision = kind  # type: ignore[attr-defined]
    else:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    # Shapes stay the same for a whole run, so that a trial pays.
    torch.backends.cudnn.benchmark = not deterministic
    if deterministic:
        os.environ.setdefault(CUBLAS_WORKSPACE, ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)


def keep_memory(
    machine: Machine, kept: int = KEPT, largest: tuple[int, ...] = LARGEST, libraries: str | None = None
) -> None:
    """On a CPU let the process keep what a step frees, `kept` bytes at most, for the next step to take again.

    glibc gives large blocks back to the system at once and is given them anew, page by page and zeroed: up to an
    eighth of a convolutional step. Blocks up to the first of the sizes `largest` that it takes are kept. Other C
    libraries (that of the process, or the file `libraries`) are left alone.
    """
    if machine.accelerator != "cpu":
        return
    try:
        mallopt = ctypes.CDLL(libraries).mallopt
    except (OSError, AttributeError, TypeError):
        return
    mallopt(_TRIM_THRESHOLD, kept)
    any(mallopt(_MMAP_THRESHOLD, size) for size in largest)


def compile_mode(wanted: str, machine: Machine) -> str:
    """The mode of `torch.compile`: by `auto` CUDA graphs where one process has one GPU, else its default."""
    if wanted != "auto":
        return wanted
    return "reduce-overhead" if machine.accelerator == "cuda" and machine.processes == 1 else "default"


def compile_training(
    model: GenerativeModel, options: dict[str, Any], machine: Machine, tell: Callable[[str], None]
) -> None:
    """Compile a prepared model's training, if the settings of the trainer ask for it; `tell` hears why it failed."""
    if not options["compile"]:
        return
    if machine.processes > 1:
        import torch._dynamo

        # It would cut graphs at the bounds of gradient buckets, and a graph with second derivatives cannot be cut.
        torch._dynamo.config.optimize_ddp = False
    model.compile_training(tell, mode=compile_mode(options["compile_mode"], machine))
