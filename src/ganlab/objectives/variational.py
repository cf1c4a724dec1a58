"""Terms and measures of variational autoencoders, in nats."""

import math
from typing import TypeVar

import torch
from torch import Tensor

Nats = TypeVar("Nats", float, Tensor)


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(μ, σ²) ‖ N(0, 1)) of each latent, [n, latents] (Kingma & Welling 2013, appendix B)."""
    return (mean.square() + log_variance.expm1() - log_variance) / 2


def log_normal(x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """log N(x; μ, σ²), the sum over the last dimension: [n, latents] to [n], or [K, n, latents] to [K, n].

    `mean` and `log_variance` may be of fewer dimensions, [n, latents] or a single number for all.
    """
    squares = (x - mean).square() * (-log_variance).exp()
    return -(squares + log_variance + math.log(2 * math.pi)).sum(-1) / 2


def free_bits(kl_per_latent: Tensor, minimum: float) -> Tensor:
    """Σ max(minimum, E[KL]) over latents, a scalar (Kingma et al. 2016, groups of one latent).

    `kl_per_latent`: [n, latents]; the mean over the batch comes before the maximum. A latent below `minimum` has no
    gradient: nothing drives it to the prior.
    """
    return kl_per_latent.mean(0).clamp_min(minimum).sum()


def importance_weighted_bound(log_weights: Tensor) -> Tensor:
    """log (1/K) Σ wₖ, [n], at most log p(x) in expectation (Burda et al. 2015, equation 8).

    `log_weights`: [K, n], log p(x, zₖ) - log q(zₖ | x) with zₖ drawn from q; with K = 1 the evidence lower bound.
    """
    return torch.logsumexp(log_weights, 0) - math.log(len(log_weights))


class RunningLogMeanExp:
    """The importance-weighted bound of more weights than fit in memory: [n] numbers are kept, and no graph."""

    def __init__(self) -> None:
        self.count = 0
        self._log_sum: Tensor | None = None

    def add(self, log_weights: Tensor) -> None:
        """Counts [k, n] further weights, k at least 1, of the same n samples."""
        log_sum = torch.logsumexp(log_weights.detach(), 0)
        self._log_sum = log_sum if self._log_sum is None else torch.logaddexp(self._log_sum, log_sum)
        self.count += len(log_weights)

    def value(self) -> Tensor:
        """The bound by all weights so far, [n]. Raises ValueError before the first."""
        if self._log_sum is None:
            raise ValueError("no weights were added")
        return self._log_sum - math.log(self.count)


def active_units(means: Tensor, threshold: float = 0.01) -> Tensor:
    """How many latents' posterior means [n, latents] vary over the data by more than `threshold` (Burda et al. 2015).

    `threshold` is of a variance. The count is a scalar tensor.
    """
    return (means.var(0, correction=0) > threshold).sum()


def bits_per_dim(nats: Nats, dims: int) -> Nats:
    """Nats for a sample of `dims` values as bits a value."""
    return nats / (dims * math.log(2))
