"""Minibatch discrimination: a discriminator that sees how like one another its samples are."""

import torch
from torch import Tensor, nn


class MinibatchDiscrimination(nn.Module):
    """Features [n, f] to [n, f + kernels] (Salimans et al. 2016, section 3.2).

    The tensor T [f, kernels, dims] makes of each sample a matrix M_i [kernels, dims], and the b-th new feature is
    o_b(x_i) = 1/n Σ_j exp(-‖M_ib - M_jb‖₁), between 1/n and 1. As in the paper's equations the sum is over all j, i
    included; unlike there it is divided by n, a constant that the layer above takes up, so that scores of batches of
    different sizes compare.

    The batch must be all real or all generated. A sample's score now depends on the others, as with batch norm: no
    gradient of it is one sample's own. On several processes each compares the samples of its own part. Memory:
    n² · kernels · dims numbers.
    """

    def __init__(self, features: int, kernels: int, dims: int) -> None:
        super().__init__()
        # Deviation 1/√f: the entries of M are as large as the features, whatever their number.
        self.tensor = nn.Parameter(torch.randn(features, kernels, dims) / features**0.5)

    def forward(self, features: Tensor) -> Tensor:
        matrices = (features @ self.tensor.flatten(1)).unflatten(1, self.tensor.shape[1:])
        distances = (matrices[:, None] - matrices[None, :]).abs().sum(dim=3)
        return torch.cat([features, torch.exp(-distances).mean(dim=1)], dim=1)
