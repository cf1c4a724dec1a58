"""What the processes of one run exchange in an iteration: gradients of what is updated, and buffers."""

from collections.abc import Iterable, Sequence
from itertools import groupby

import torch
import torch.distributed
from torch import Tensor, nn


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its mean over all ranks, in place; every rank has gradients of the same parameters."""
    world = torch.distributed.get_world_size()
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    for part in _of_a_kind(gradients):
        flat = _flattened(part)
        torch.distributed.all_reduce(flat)
        _copy_back(flat.div_(world), part)


def share_buffers(module: nn.Module) -> None:
    """Make every rank's buffers those of rank 0: running statistics differ by rank, and a checkpoint keeps one."""
    _share(list(module.buffers()))


def share_state(module: nn.Module) -> None:
    """Make every rank's parameters and buffers those of rank 0."""
    _share([*module.parameters(), *module.buffers()])


@torch.no_grad()
def _share(tensors: Sequence[Tensor]) -> None:
    for part in _of_a_kind(tensors):
        flat = _flattened(part)
        torch.distributed.broadcast(flat, src=0)
        _copy_back(flat, part)


def _of_a_kind(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    """One message each: tensors of one type, in an order that is the same on all ranks."""
    ordered = sorted(tensors, key=lambda tensor: str(tensor.dtype))
    return [list(part) for _, part in groupby(ordered, key=lambda tensor: tensor.dtype)]


def _flattened(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])


def _copy_back(flat: Tensor, tensors: Sequence[Tensor]) -> None:
    parts = flat.split([tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view(tensor.shape))
