"""An image with the hole of another filled in by a third."""

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import splu
from torch import Tensor


def pasted(made: Tensor, given: Tensor, hidden: Tensor) -> Tensor:
    """The given images with what was made of their hidden pixels: [n, channels, height, width], hidden [n, 1, …]."""
    return torch.where(hidden, made, given)


def poisson_blended(made: Tensor, given: Tensor, hidden: Tensor) -> Tensor:
    """The given images with holes that have the gradients of `made` and meet the visible pixels without a seam.

    The least squares of Pérez et al. 2003: over all pairs of neighbouring pixels of which one at least is hidden, the
    squared difference of the result's step and that of `made`, with the visible pixels as they are given. What is added
    to `made` is harmonic in the hole. Solved directly; values are not held to any range.

    Args:
        made, given: [n, channels, height, width], given of any value in the hole.
        hidden: bool [n, 1, height, width]; of each image some pixels are hidden and some visible.
    """
    result = torch.empty_like(made)
    masks, which = hidden.flatten(1).unique(dim=0, return_inverse=True)
    for number, mask in enumerate(masks):
        rows = (which == number).nonzero().squeeze(1)
        offsets = (given[rows] - made[rows]).flatten(0, 1).double().cpu().numpy()
        filled = harmonic_fill(offsets, mask.view(hidden.shape[2:]).cpu().numpy())
        result[rows] = made[rows] + torch.from_numpy(filled).view_as(made[rows]).to(made)
    return pasted(result, given, hidden)


def harmonic_fill(values: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Values float64 [k, height, width], at hidden pixels [height, width] replaced by a solution of Laplace's equation,
    each the mean of its two to four neighbours: the image ends without a condition on its border.
    """
    index = np.arange(hidden.size, dtype=np.int32).reshape(hidden.shape)
    first = np.concatenate([index[:, :-1].ravel(), index[:-1].ravel()])
    second = np.concatenate([index[:, 1:].ravel(), index[1:].ravel()])
    joined = sparse.coo_array((np.ones(len(first)), (first, second)), shape=(hidden.size, hidden.size))
    neighbours = (joined + joined.T).tocsr()
    laplacian = (sparse.diags_array(neighbours.sum(axis=1)) - neighbours).tocsr()
    inside = hidden.ravel()
    flat = values.reshape(len(values), -1).copy()
    known = laplacian[inside][:, ~inside] @ flat[:, ~inside].T
    flat[:, inside] = -splu(laplacian[inside][:, inside].tocsc()).solve(known).T
    return flat.reshape(values.shape)
