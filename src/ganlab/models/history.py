"""Historical averaging, Salimans et al. 2016, section 3.3."""

import torch
from torch import Tensor, nn


class History(nn.Module):
    """The plain mean of all that a network's weights have been after each of its updates; kept in checkpoints."""

    count: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        for index, parameter in enumerate(network.parameters()):
            self.register_buffer(f"mean_{index}", parameter.detach().clone())

    @property
    def means(self) -> list[Tensor]:
        return [buffer for name, buffer in self.named_buffers() if name.startswith("mean_")]

    @torch.no_grad()
    def update(self, parameters: list[nn.Parameter]) -> None:
        """Take the weights of now into the mean."""
        self.count += 1
        for mean, parameter in zip(self.means, parameters, strict=True):
            mean += (parameter - mean) / self.count

    def penalty(self, parameters: list[nn.Parameter]) -> Tensor:
        """‖θ - (1/t) Σ θ[i]‖², a scalar with a gradient in θ; 0 before the first update."""
        distances = [(p - mean).square().sum() for p, mean in zip(parameters, self.means, strict=True)]
        return torch.stack(distances).sum()
