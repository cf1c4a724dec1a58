"""Exponential moving average of a network's weights."""

import copy
from typing import Any

import torch
from torch import nn


class WeightAverage(nn.Module):
    """A copy of a network whose weights follow it: average ← β·average + (1 - β)·weight, once an iteration.

    Early on β is (1 + t) / (10 + t), so that the random initial weights are soon forgotten; it ends at
    `decay`. Floating-point buffers (batch norm's statistics) are averaged alike, so that they fit
    the averaged weights; counters are copied.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._pairs: tuple[list[torch.Tensor], list[torch.Tensor]] | None = None
        self._counters: list[tuple[torch.Tensor, torch.Tensor]] = []

    @torch.no_grad()
    def update(self, network: nn.Module, iteration: int) -> None:
        """Move the average towards `network`; `iteration` counts the finished updates, from 1."""
        if self._pairs is None:
            self._collect(network)
        assert self._pairs is not None
        averages, weights = self._pairs
        decay = min(self.decay, (1 + iteration) / (10 + iteration))
        torch._foreach_lerp_(averages, weights, 1 - decay)
        for average, counter in self._counters:
            average.copy_(counter)

    def _collect(self, network: nn.Module) -> None:
        own, other = self.network.state_dict(keep_vars=True), network.state_dict(keep_vars=True)
        floating = [name for name, tensor in own.items() if tensor.is_floating_point()]
        # The tensors stay where they are while training runs; looking them up each time costs more than the update.
        self._pairs = ([own[name].data for name in floating], [other[name].data for name in floating])
        self._counters = [(own[name], other[name]) for name in own if name not in floating]

    def _apply(self, fn: Any, recurse: bool = True) -> "WeightAverage":
        """A move to another device or type gives every parameter a new tensor: look them up again."""
        self._pairs = None
        return super()._apply(fn, recurse)

    def train(self, mode: bool = True) -> "WeightAverage":
        """The average is for evaluation only: it stays in eval mode whatever its parent does."""
        return super().train(False)
