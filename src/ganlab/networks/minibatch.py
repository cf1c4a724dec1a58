"""Minibatch discrimination: a discriminator that sees how like one another its samples are."""

import torch
from torch import Tensor, nn


class MinibatchDiscrimination(nn.Module):
    """Features [n, f] to [n, f + kernels] (Salimans et al. 2016, section 3.2).

    The tensor T [f, kernels, dims] makes of each sample a matrix M_i [kernels, dims], and the b-th new feature is
    o_b(x_i) = Σ_j exp(-‖M_ib - M_jb‖₁), between 1 and n. As in the paper's equations the sum is over all j, i
    included: a constant 1, which the bias of the layer above takes up.

    The batch must be all real or all generated. A sample's score now depends on the others, as with batch norm: no
    gradient of it is one sample's own. The sum grows with n, so scores of batches of different sizes do not compare.
    On several processes each compares the samples of its own part. Memory: n² · kernels · dims numbers.
    """

    def __init__(self, features: int, kernels: int, dims: int) -> None:
        super().__init__()
        # Deviation 1/√f: the entries of M are as large as the features, whatever their number.
        self.tensor = nn.Parameter(torch.randn(features, kernels, dims) / features**0.5)

    def forward(self, features: Tensor) -> Tensor:
        matrices = (features @ self.tensor.flatten(1)).unflatten(1, self.tensor.shape[1:])
        distances = (matrices[:, None] - matrices[None, :]).abs().sum(dim=3)
        return torch.cat([features, torch.exp(-distances).sum(dim=1)], dim=1)
