"""The two players' losses of Mao et al. 2017 (LSGAN), on scores without a sigmoid.

The discriminator aims at `b` on real samples and at `a` on generated ones; the generator wants `c` of it
(equation 2). All results are means over the batch, at least 0.
"""

from torch import Tensor


def discriminator_terms(real_scores: Tensor, fake_scores: Tensor, a: float, b: float) -> tuple[Tensor, Tensor]:
    """E_r[(D - b)²] / 2 and E_g[(D - a)²] / 2, scalars; scores: [n].

    The best D is (b p_r + a p_g) / (p_r + p_g) (equation 4).
    """
    return (real_scores - b).square().mean() / 2, (fake_scores - a).square().mean() / 2


def generator_loss(fake_scores: Tensor, c: float) -> Tensor:
    """E_g[(D - c)²] / 2, a scalar.

    With b - c = 1 and b - a = 2 it minimises Pearson's χ² between p_r + p_g and 2 p_g (equation 7).
    """
    return (fake_scores - c).square().mean() / 2
