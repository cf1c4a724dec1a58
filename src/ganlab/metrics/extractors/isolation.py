"""Surroundings in which a score depends on nothing that a run has set, and the run notices nothing of the score."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate

from ganlab.errors import ConfigError, GanlabError, innermost, reason_of


@contextmanager
def isolated_construction() -> Iterator[None]:
    """For networks built inside: on the CPU, in float32, weights from a fixed seed, ordinary tensors.

    The global random state and the defaults for device and type are as before afterwards.
    """
    dtype = torch.get_default_dtype()
    with torch.device("cpu"), torch.random.fork_rng([]), torch.inference_mode(False):
        # torch.manual_seed would seed the accelerators too, and these are not forked.
        torch.random.default_generator.manual_seed(0)
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)


def built(node: Mapping[str, Any], key: str, **options: Any) -> Any:
    """What a checked node makes, in isolation; raises `GanlabError`, a line that names `key`, if it cannot be made."""
    try:
        with isolated_construction():
            return instantiate(dict(node), _convert_="all", **options)
    except InstantiationException as error:
        cause = innermost(error)
        if isinstance(cause, GanlabError):
            raise cause from None
        raise ConfigError(f"{key}: {node['_target_']} cannot be made: {reason_of(cause)}") from None


@contextmanager
def isolated_inference(device: torch.device) -> Iterator[None]:
    """For features computed inside on `device`: no gradients, full float32, the random state put back."""
    # Outside inference mode, so that the features may enter sums that live outside it.
    with (
        torch.inference_mode(False),
        torch.no_grad(),
        torch.autocast(device.type, enabled=False),
        full_precision(),
        torch.random.fork_rng([device] if device.type == "cuda" else []),
    ):
        yield


@contextmanager
def full_precision() -> Iterator[None]:
    """Products of float32 in float32: no TF32 and no bfloat16 inside, whatever the run allows itself."""
    backends: Any = torch.backends
    # From torch 2.9 on each operation has a switch, and reading the older, common ones raises once one is set.
    if hasattr(backends.cuda.matmul, "fp32_precision") and hasattr(backends.mkldnn, "conv"):
        switches = [backends.cuda.matmul, backends.cudnn.conv, backends.mkldnn.matmul, backends.mkldnn.conv]
        before = [switch.fp32_precision for switch in switches]
        try:
            for switch in switches:
                switch.fp32_precision = "ieee"
            yield
        finally:
            for switch, precision in zip(switches, before, strict=True):
                switch.fp32_precision = precision
    else:
        matmul, convolution = torch.get_float32_matmul_precision(), backends.cudnn.allow_tf32
        try:
            torch.set_float32_matmul_precision("highest")
            backends.cudnn.allow_tf32 = False
            yield
        finally:
            torch.set_float32_matmul_precision(matmul)
            backends.cudnn.allow_tf32 = convolution
