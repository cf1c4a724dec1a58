"""What is measured of a model for the guards alone: diversity, weights at the clip bound, the average's movement."""

from typing import Any

import torch
from torch import Tensor

COUNT = 64
"""Generated samples that are compared, and real ones."""
EXAMPLES = 512
"""Real samples among which those of the same condition are looked for."""
GROUP = 16
"""Samples of one condition, of at most `COUNT / GROUP` conditions."""
PROBES = 8
"""Values that are watched of each of at most so many of the generator's parameters, squared."""

DIVERSITY, AT_CLIP = "guard/diversity_share", "guard/weights_at_clip_share"
MOVED, AVERAGE_MOVED = "guard/generator_moved", "guard/average_moved"


class Diversity:
    """The mean distance between two samples of a fixed batch of latents, as a share of that between real samples.

    Of a conditional model pairs have the same condition, if some have samples enough. By the generator's last weights,
    in eval mode.
    """

    def __init__(self, model: Any, data: Any) -> None:
        samples, conditions, *_ = data.examples(EXAMPLES if model.condition_size else COUNT)
        self.rows, self.groups = _alike(conditions if model.condition_size else None, len(samples))
        self.conditions = None
        if model.condition_size and conditions is not None:
            self.conditions = conditions[self.rows].to(model.device)
        self.real = self._mean_distance(samples[self.rows])
        self.latents = model.latents(len(self.rows), torch.Generator().manual_seed(4))

    def __call__(self, model: Any) -> dict[str, float]:
        if not self.real > 0:
            return {}
        return {DIVERSITY: self._mean_distance(model.decode_last(self.latents, self.conditions)) / self.real}

    def _mean_distance(self, samples: Tensor) -> float:
        flat = samples.detach().flatten(1).float().cpu()
        return float(torch.cat([torch.pdist(flat[group]) for group in self.groups]).mean())


def _alike(conditions: Tensor | None, count: int) -> tuple[Tensor, list[Tensor]]:
    """Rows, and the places among them of those with the same condition; all rows are alike without conditions."""
    if conditions is not None:
        _, kind_of, counts = conditions.unique(dim=0, return_inverse=True, return_counts=True)
        often = [kind for kind in counts.argsort(descending=True, stable=True).tolist() if counts[kind] >= GROUP]
        parts = [torch.nonzero(kind_of == kind).squeeze(1)[:GROUP] for kind in often[: COUNT // GROUP]]
        if parts:
            return torch.cat(parts), list(torch.arange(len(parts) * GROUP).split(GROUP))
    rows = torch.arange(min(count, COUNT))
    return rows, [rows]


def weights_at_clip(model: Any) -> dict[str, float]:
    """The share of a clipped critic's weights that lie at the bound."""
    weights = [parameter.detach() for parameter in model.parameters_of("discriminator") if parameter.ndim > 1]
    at_bound = torch.stack([(weight.abs() >= 0.999 * model.clip).sum() for weight in weights]).sum()
    return {AT_CLIP: float(at_bound) / sum(weight.numel() for weight in weights)}


class Movement:
    """How far the generator's weights and their running average went since the last look: of a few values of each."""

    def __init__(self) -> None:
        self.before: list[list[float]] | None = None
        """Of the weights and of the average; kept in checkpoints."""

    def __call__(self, model: Any) -> dict[str, float]:
        places = torch.stack([_probed(model.generator), _probed(model.generator_ema.network)]).double().cpu()
        before, self.before = self.before, places.tolist()
        if before is None or len(before[0]) != places.shape[1]:
            return {}
        moved = (places - torch.tensor(before, dtype=torch.float64)).norm(dim=1).tolist()
        return dict(zip((MOVED, AVERAGE_MOVED), moved, strict=True))


def _probed(network: Any) -> Tensor:
    parameters = list(network.parameters())
    chosen = parameters[:: -(-len(parameters) // PROBES)]
    values = [parameter.detach().reshape(-1) for parameter in chosen]
    return torch.cat([value[:: -(-len(value) // PROBES)] for value in values]).float()
