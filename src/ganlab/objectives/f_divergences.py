"""Variational bounds of f-divergences, Nowozin, Cseke & Tomioka 2016 (tables 1, 2 and 6).

D_f(P‖Q) = E_Q[f(p/q)] ≥ E_P[T] - E_Q[f*(T)], with P the real and Q the generated distribution, f* the
convex conjugate of f, and T = g_f(V) any function with values in f*'s domain. V is the raw
score of the discriminator, g_f the divergence's output activation; every g_f increases, so a higher V
means "real" in all of them. The bound is tight where T = f'(p/q). All results are in nats.

The average of f*(g_f(V)) is written in one piece where the two together are simpler and more exact than one
after the other: with s the sigmoid, the conjugate of "gan" is -log(1 - s(V)) = softplus(V).
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import log

import torch
from torch import Tensor
from torch.nn.functional import softplus
from torch.special import xlogy

Elementwise = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class FDivergence:
    """One row of the paper's tables; all functions are elementwise, for tensors of any shape."""

    generator: Elementwise
    """f(u) for a density ratio u = p/q > 0; convex."""
    activation: Elementwise
    """g_f(V), into the domain of f*."""
    conjugate: Elementwise
    """f*(t) = sup_u {ut - f(u)}, for t in its domain."""
    conjugate_of_activation: Elementwise
    """f*(g_f(V)); finite wherever its value is, also where g_f(V) rounds to the edge of the domain."""
    boundary: float = 0.0
    """The V of a ratio of 1, g_f(V) = f'(1): above it the discriminator says "real" (section 2.4)."""


DIVERGENCES = {
    "kl": FDivergence(
        generator=lambda u: xlogy(u, u),
        activation=lambda v: v,
        conjugate=lambda t: torch.exp(t - 1),
        conjugate_of_activation=lambda v: torch.exp(v - 1),
        boundary=1.0,
    ),
    "reverse_kl": FDivergence(
        generator=lambda u: -torch.log(u),
        activation=lambda v: -torch.exp(-v),
        conjugate=lambda t: -1 - torch.log(-t),
        conjugate_of_activation=lambda v: v - 1,
    ),
    # The paper's conjugate is the one over all real u; over u ≥ 0 it would be -1 below t = -2.
    "pearson": FDivergence(
        generator=lambda u: (u - 1) ** 2,
        activation=lambda v: v,
        conjugate=lambda t: t**2 / 4 + t,
        conjugate_of_activation=lambda v: v**2 / 4 + v,
    ),
    "neyman": FDivergence(
        generator=lambda u: (1 - u) ** 2 / u,
        activation=lambda v: -torch.expm1(-v),
        conjugate=lambda t: 2 - 2 * torch.sqrt(1 - t),
        conjugate_of_activation=lambda v: -2 * torch.expm1(-v / 2),
    ),
    "squared_hellinger": FDivergence(
        generator=lambda u: (torch.sqrt(u) - 1) ** 2,
        activation=lambda v: -torch.expm1(-v),
        conjugate=lambda t: t / (1 - t),
        conjugate_of_activation=lambda v: torch.expm1(v),
    ),
    # Twice the Jensen-Shannon divergence of table 1, as the paper's own f has it.
    "jensen_shannon": FDivergence(
        generator=lambda u: xlogy(u, u) - xlogy(u + 1, (u + 1) / 2),
        activation=lambda v: log(2) - softplus(-v),
        conjugate=lambda t: -torch.log(2 - torch.exp(t)),
        conjugate_of_activation=lambda v: softplus(v) - log(2),
    ),
    # 2·JS - log 4: -log 4 where the distributions are equal, 0 where they do not overlap.
    "gan": FDivergence(
        generator=lambda u: xlogy(u, u) - xlogy(u + 1, u + 1),
        activation=lambda v: -softplus(-v),
        conjugate=lambda t: -torch.log(-torch.expm1(t)),
        conjugate_of_activation=lambda v: softplus(v),
    ),
    "total_variation": FDivergence(
        generator=lambda u: torch.abs(u - 1) / 2,
        activation=lambda v: torch.tanh(v) / 2,
        conjugate=lambda t: t,
        conjugate_of_activation=lambda v: torch.tanh(v) / 2,
    ),
}
"""By name. Of P and Q: ∫ p log(p/q), ∫ q log(q/p), ∫ (p-q)²/q, ∫ (p-q)²/p, ∫ (√p-√q)², 2·JS,
2·JS - log 4, ∫ |p-q|/2."""


def discriminator_terms(divergence: FDivergence, real_scores: Tensor, fake_scores: Tensor) -> tuple[Tensor, Tensor]:
    """The discriminator's loss on real and on generated samples: -E_P[g_f(V)] and E_Q[f*(g_f(V))].

    real_scores, fake_scores: raw scores V [n]. Minus their sum is the bound on the divergence (equation 4).
    """
    return -divergence.activation(real_scores).mean(), divergence.conjugate_of_activation(fake_scores).mean()


def lower_bound(divergence: FDivergence, real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """The bound E_P[g_f(V)] - E_Q[f*(g_f(V))], a scalar: an estimate of the divergence from below.

    On the samples that the discriminator learnt from, it may lie above.
    """
    on_real, on_fake = discriminator_terms(divergence, real_scores, fake_scores)
    return -(on_real + on_fake)


def minimax_generator_loss(divergence: FDivergence, fake_scores: Tensor) -> Tensor:
    """-E_Q[f*(g_f(V))]: what of the bound depends on the generator (equation 4)."""
    return -divergence.conjugate_of_activation(fake_scores).mean()


def non_saturating_generator_loss(divergence: FDivergence, fake_scores: Tensor) -> Tensor:
    """-E_Q[g_f(V)] (section 3.2): the gradient stays strong where the discriminator rejects the samples."""
    return -divergence.activation(fake_scores).mean()
