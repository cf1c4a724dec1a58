"""The two players' losses of Arjovsky, Chintala & Bottou 2017 (WGAN), on a critic's scores: no sigmoid, no log."""

from torch import Tensor


def critic_terms(real_scores: Tensor, fake_scores: Tensor) -> tuple[Tensor, Tensor]:
    """-E_r[D] and E_g[D], scalars: their sum is minus the estimate that the critic maximises; scores: [n]."""
    return -real_scores.mean(), fake_scores.mean()


def generator_loss(fake_scores: Tensor) -> Tensor:
    """-E_g[D], a scalar of any sign."""
    return -fake_scores.mean()


def distance_estimate(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """E_r[D] - E_g[D], a scalar: the dual form of the Wasserstein-1 distance (equation 2).

    It is a lower bound for a 1-Lipschitz critic, K times that for a K-Lipschitz one.
    """
    return real_scores.mean() - fake_scores.mean()
