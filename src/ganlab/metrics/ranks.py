"""Sharing rows among the processes of a run."""

from dataclasses import dataclass

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class Ranks:
    """This process's place among `size`; row i belongs to rank i mod size."""

    rank: int = 0
    size: int = 1
    device: str | torch.device = "cpu"
    """Where collectives run: the accelerator, or the CPU with gloo."""

    def rows(self, count: int) -> Tensor:
        """This rank's rows, int64 [ceil(count / size)]; all have as many, for past the end the last row stands in."""
        own = -(-count // self.size)
        return (torch.arange(own) * self.size + self.rank).clamp_(max=count - 1)

    def all_say(self, yes: bool) -> bool:
        """Whether all ranks say yes. They judge together: one that raised alone would leave the others waiting."""
        return bool(self.gather(torch.tensor([yes]), self.size).all())

    def gather(self, rows: Tensor, count: int) -> Tensor:
        """All `count` rows in their order, on the CPU, from what `rows` gave each rank; stand-ins are dropped."""
        if self.size == 1:
            return rows.cpu()[:count]
        own = rows.contiguous().to(self.device)
        parts = [torch.empty_like(own) for _ in range(self.size)]
        distributed.all_gather(parts, own)
        return torch.stack(parts, dim=1).flatten(0, 1)[:count].cpu()
