"""What a run computes on: devices, precision, strategy, CPU threads."""

import os
from typing import Any

import torch
from torch import nn

from ganlab.config.ranks import launched
from ganlab.errors import DeviceError

TINY = 200_000
"""Parameters below which a second CPU thread costs more than it gives (measured on fully connected networks)."""


def resolve_accelerator(settings: dict[str, Any]) -> str:
    """cpu, cuda or mps: what `trainer.accelerator` comes to on this machine; raises `DeviceError`."""
    wanted = settings["accelerator"]
    cuda, mps = torch.cuda.device_count(), torch.backends.mps.is_available()
    if wanted == "auto":
        return "cuda" if cuda else "mps" if mps else "cpu"
    if wanted == "gpu":
        if not cuda and not mps:
            raise DeviceError("trainer.accelerator=gpu: this machine shows no GPU; use trainer.accelerator=cpu or auto")
        return "cuda" if cuda else "mps"
    if wanted == "cuda" and not cuda:
        raise DeviceError(
            "trainer.accelerator=cuda: this machine shows no CUDA device; use trainer.accelerator=cpu or auto"
        )
    if wanted == "mps" and not mps:
        raise DeviceError(
            "trainer.accelerator=mps: this machine shows no Apple GPU; use trainer.accelerator=cpu or auto"
        )
    return wanted


def resolve_devices(settings: dict[str, Any], accelerator: str) -> int:
    """How many devices (on a CPU: processes) a node runs; raises `DeviceError` for more than there are."""
    wanted, world = settings["devices"], launched()
    available = {"cuda": torch.cuda.device_count(), "mps": 1, "cpu": cpu_cores()}[accelerator]
    if wanted == "auto":
        return 1 if accelerator == "cpu" else available
    if world is not None and accelerator == "cpu":
        return wanted
    if world is not None and wanted > available:
        raise DeviceError(
            f"{world}, and this one sees {available} GPU{'s' * (available > 1)}: start no more processes than GPUs, "
            "and let each see all GPUs of its machine (srun: --gpus-per-node, not --gpus-per-task)"
        )
    if accelerator == "cpu":
        if settings["accelerator"] == "auto" and wanted > 1:
            raise DeviceError(
                f"trainer.devices={wanted}: this machine shows 0 GPUs; "
                f"add trainer.accelerator=cpu to run {wanted} processes on the CPU"
            )
        available = max(available, 2)
    if wanted > available:
        kind = {"cuda": "CUDA devices", "mps": "Apple GPUs", "cpu": "CPU cores"}[accelerator]
        raise DeviceError(f"trainer.devices={wanted}: this machine shows {available} {kind}; use at most {available}")
    return wanted


def device_of(name: str) -> torch.device:
    """auto, cpu, cuda or mps as a device; raises `DeviceError`, in the words of a command with the key device."""
    try:
        return torch.device(resolve_accelerator({"accelerator": name}))
    except DeviceError as error:
        raise DeviceError(str(error).replace("trainer.accelerator", "device")) from None


def resolve_precision(settings: dict[str, Any], accelerator: str) -> str:
    """Lightning's name for the precision; fp16 is refused off CUDA, where Lightning would silently take bf16."""
    precision = str(settings["precision"])
    if precision == "16-mixed" and accelerator != "cuda":
        raise DeviceError(
            f"trainer.precision=16-mixed: needs a CUDA device, and this run uses the {accelerator}; "
            "use bf16-mixed or 32"
        )
    return {"32": "32-true", "64": "64-true"}.get(precision, precision)


def choose_threads(wanted: int | str, model: nn.Module, processes: int) -> int:
    """CPU threads for this process: one for tiny networks, else this process's share of the cores."""
    if isinstance(wanted, int):
        return wanted
    convolutional = any(isinstance(module, nn.Conv2d) for module in model.modules())
    if not convolutional and sum(parameter.numel() for parameter in model.parameters()) < TINY:
        return 1
    return max(1, cpu_cores() // processes)


def cpu_cores() -> int:
    """The cores that this process may use (in a container often fewer than the machine has)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
