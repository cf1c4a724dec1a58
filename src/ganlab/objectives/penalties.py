"""Penalties on the gradient of a discriminator's score with respect to its input.

One norm for each sample, never one over the batch. The gradients keep their graph, so that a penalty can be
descended in the discriminator's weights. With batch norm in the discriminator the score of one sample depends
on all others, and no gradient is one sample's own: use these without it (Gulrajani et al. 2017, section 4).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Score = Callable[[Tensor], Tensor]
"""Samples [n, *sample_shape] to raw scores [n]; conditions, if any, are bound already."""


def input_gradients(score: Score, samples: Tensor) -> Tensor:
    """The gradient of each sample's score at that sample: [n, values of a sample], with a graph."""
    if torch.compiler.is_compiling():
        # The same in a form that compiled code can differentiate once more.
        return torch.func.grad(lambda given: score(given).sum())(samples.detach()).flatten(1)
    samples = samples.detach().requires_grad_()
    (gradients,) = torch.autograd.grad(score(samples).sum(), samples, create_graph=True)
    return gradients.flatten(1)


def gradient_norms(score: Score, samples: Tensor) -> Tensor:
    """The Euclidean norm of each sample's gradient: [n], at least 0."""
    return torch.linalg.vector_norm(input_gradients(score, samples), dim=1)


def mixtures(real: Tensor, fakes: Tensor, shares: Tensor) -> Tensor:
    """Points between real and generated samples [n, *sample_shape]; shares: [n] in [0, 1], 1 is the real sample."""
    shares = shares.view(-1, *[1] * (real.dim() - 1))
    return shares * real + (1 - shares) * fakes


def centred_penalty(norms: Tensor, centre: float) -> Tensor:
    """E[(‖∇D‖₂ - centre)²], a scalar; centre 1: Gulrajani et al. 2017, equation 3; 0: Thanh-Tung et al. 2019."""
    return (norms - centre).square().mean()


def zero_centred_penalty(score: Score, samples: Tensor) -> Tensor:
    """E[‖∇D‖²] / 2, a scalar: R1 at real samples, R2 at generated ones (Mescheder et al. 2018, equations 9, 10)."""
    return input_gradients(score, samples).square().sum(dim=1).mean() / 2


@dataclass(frozen=True)
class GradientPenalties:
    """Weights of the three penalties, and the terms that they come to."""

    gradient: float = 0.0
    centre: float = 1.0
    r1: float = 0.0
    r2: float = 0.0

    @property
    def any(self) -> bool:
        return max(self.gradient, self.r1, self.r2) > 0

    def __call__(
        self, score: Score, real: Tensor, fakes: Tensor, shares: Tensor | None = None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The weighted terms by tag, and what they tell besides; `shares` [n] are for the first penalty's mixtures."""
        terms, observed = {}, {}
        if self.gradient > 0:
            assert shares is not None
            norms = gradient_norms(score, mixtures(real, fakes, shares))
            terms["penalty/gradient"] = self.gradient * centred_penalty(norms, self.centre)
            observed["grad_norm/critic_mean"] = norms.detach().mean()
        if self.r1 > 0:
            terms["penalty/r1"] = self.r1 * zero_centred_penalty(score, real)
        if self.r2 > 0:
            terms["penalty/r2"] = self.r2 * zero_centred_penalty(score, fakes)
        return terms, observed
