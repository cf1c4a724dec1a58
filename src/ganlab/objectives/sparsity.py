"""What keeps most units of an overcomplete code silent."""

import math

from torch import Tensor

LEAST_SHARE = 1e-6
"""How near to 0 or 1 a mean activation counts: the slope there is about ρ / LEAST_SHARE, and not infinite."""


def kl_sparsity(mean_activations: Tensor, rho: float) -> Tensor:
    """Σ KL(Bernoulli(ρ) ‖ Bernoulli(ρ̂)) over units, a scalar in nats (Ng 2011, section 3).

    `mean_activations` ρ̂: [units] in [0, 1], ends included, each unit's mean over samples; `rho` in (0, 1). A unit that
    is always off, or always on, has a finite value and a slope that leads it back.
    """
    # The complement is made from 1 - ρ̂ and not from the nudged ρ̂: in half precision 1 - 1e-6 is 1.
    on = LEAST_SHARE + (1 - 2 * LEAST_SHARE) * mean_activations
    off = LEAST_SHARE + (1 - 2 * LEAST_SHARE) * (1 - mean_activations)
    return (rho * (math.log(rho) - on.log()) + (1 - rho) * (math.log(1 - rho) - off.log())).sum()


def l1_sparsity(codes: Tensor) -> Tensor:
    """E[‖h‖₁], a scalar: the sum over a code [n, …], the mean over samples."""
    return codes.abs().flatten(1).sum(1).mean()
