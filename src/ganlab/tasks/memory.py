"""Whether a run can be in this machine's memory at all, said before anything large is made.

A number too long by six zeros would else end in an allocator's traceback, or in the system ending the process.
"""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate

from ganlab.config.check import METADATA
from ganlab.errors import ConfigError, GanlabError, TrainingError, innermost

LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Where Linux says how much a container may have."""
COUNTED = ("test_count", "num_modes", "side")
"""Keys of built-in data that say how much of it is made."""
ADVICE = "take a smaller data.batch_size (trainer.accumulate makes up for it), smaller networks or smaller images"
SAID = (
    "can't allocate memory",
    "out of memory",
    "not enough memory",
    "Storage size calculation overflowed",
    "multiplication overflow",
    "Invalid buffer size",
    "Unable to allocate",
    "exceeds the maximum size",
)
"""What the allocators of torch and numpy say, some by a RuntimeError or ValueError."""


def verify_room(settings: dict[str, Any]) -> None:
    """Raise `ConfigError` for networks, batches or data that exceed the machine's memory by their size alone."""
    room = memory_of_machine()
    for what, size in _needs(settings):
        if size > room:
            raise ConfigError(f"{what} would take {_shown(size)}, and this machine has {_shown(room)}")


def memory_of_machine() -> float:
    """Bytes that this process may have in all; infinite if the system does not tell."""
    known = []
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        known.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in LIMITS:
        try:
            known.append(int(path.read_text()))
        except (OSError, ValueError):
            continue
    return min(known, default=math.inf)


def _needs(settings: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """What there must be room for, and its bytes; less than a run takes, never more."""
    model, data, trainer = settings["model"], settings["data"], settings["trainer"]
    values = math.prod(data["sample_shape"])
    updates = model.get("discriminator_updates", 1)
    batch = f"data.batch_size={data['batch_size']}"
    batch += f" trainer.accumulate={trainer['accumulate']}" * (trainer["accumulate"] > 1)
    batch += f" model.discriminator_updates={updates}" * (updates > 1)
    shape = "×".join(map(str, data["sample_shape"]))
    yield (
        f"{batch}: samples of {shape} values for one iteration",
        (4 * values * data["batch_size"] * trainer["accumulate"] * updates),
    )
    for key in COUNTED:
        if key in data:
            yield f"data.{key}={data[key]}: the data", 4 * values * data[key] ** (2 if key == "side" else 1)
    yield f"model={model['name']}: its weights and their gradients", 2 * _weights(model)


def _weights(model: dict[str, Any]) -> float:
    """Bytes of a model's trained weights: it is made without memory for them; 0 if it cannot be made like that."""
    node = {key: _without_products(value) for key, value in model.items() if key == "_target_" or key not in METADATA}
    try:
        with torch.device("meta"):
            built = instantiate(node, _convert_="all", _recursive_=False)
        return float(sum(weight.numel() * weight.element_size() for weight in built.parameters()))
    except Exception as error:
        return math.inf if is_of_memory(error) else 0.0


def _without_products(node: Any) -> Any:
    """A network of as many weights whose constructor multiplies none, as spectral normalisation does."""
    if isinstance(node, dict) and node.get("norm") == "spectral":
        return {**node, "norm": "none", "gain": 1.0}
    return node


def is_of_memory(error: BaseException) -> bool:
    """Whether an exception says that there is no room for something."""
    cause = innermost(error)
    if isinstance(cause, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(cause, RuntimeError | ValueError | TypeError | OverflowError) and any(
        said in str(cause) for said in SAID
    )


@contextmanager
def shortage_told() -> Iterator[None]:
    """Of a shortage of memory within it becomes a `ConfigError`: nothing has been trained yet."""
    try:
        yield
    except GanlabError:
        raise
    except Exception as error:
        if not is_of_memory(error):
            raise
        raise ConfigError(f"there is not enough memory for this run; {ADVICE}") from None


def shortage(error: BaseException) -> TrainingError | None:
    """What the user is told if an exception that ended a training says that memory was short."""
    if not is_of_memory(error):
        return None
    return TrainingError(f"training stopped: out of memory; {ADVICE}; what was saved can go on by resume=…")


def _shown(size: float) -> str:
    """Bytes in a unit that leaves few digits: 24 GB, 4,000 TB."""
    if not math.isfinite(size) or size >= 1e21:
        return "more than any machine has"
    unit = next(unit for unit in (1e9, 1e12) if size < 1000 * unit or unit == 1e12)
    return f"{size / unit:,.0f} {'GB' if unit == 1e9 else 'TB'}"
