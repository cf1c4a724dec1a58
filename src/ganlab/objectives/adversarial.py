"""The two players' losses of Goodfellow et al. 2014, and the hinge loss, on raw scores (logits).

With s the sigmoid and D the raw score, log s(D) = -softplus(-D) and log(1 - s(D)) = -softplus(D):
written so, nothing overflows. All results are in nats, means over the batch.
"""

from torch import Tensor
from torch.nn.functional import relu, softplus


def discriminator_terms(
    real_scores: Tensor, fake_scores: Tensor, label_smoothing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """The discriminator's loss on real and on generated samples (equation 1, with the sign of a loss).

    real_scores, fake_scores: [n]. Returns -E_r[log s(D)] and -E_g[log(1 - s(D))], scalars;
    both are log 2 where D cannot tell (D = 0), and their sum is then log 4.

    With `label_smoothing` ε in [0, 1) real samples have the target 1 - ε and generated ones still 0 (Salimans et al.
    2016, section 3.4, α = 1 - ε): the best s(D) is (1 - ε) p_r / (p_r + p_g).
    """
    on_real = softplus(-real_scores).mean()
    if label_smoothing > 0:
        # softplus(D) = softplus(-D) + D
        on_real = on_real + label_smoothing * real_scores.mean()
    return on_real, softplus(fake_scores).mean()


def minimax_generator_loss(fake_scores: Tensor) -> Tensor:
    """E_g[log(1 - s(D))] (equation 1); it saturates where D rejects the samples. At most 0."""
    return -softplus(fake_scores).mean()


def non_saturating_generator_loss(fake_scores: Tensor) -> Tensor:
    """-E_g[log s(D)] (section 3); same fixed point, strong gradient where D rejects the samples. At least 0."""
    return softplus(-fake_scores).mean()


def hinge_discriminator_terms(real_scores: Tensor, fake_scores: Tensor) -> tuple[Tensor, Tensor]:
    """E_r[max(0, 1 - D)] and E_g[max(0, 1 + D)], scalars (Lim & Ye 2017); nothing is gained beyond the margins ±1."""
    return relu(1 - real_scores).mean(), relu(1 + fake_scores).mean()


def hinge_generator_loss(fake_scores: Tensor) -> Tensor:
    """-E_g[D], a scalar of any sign (Lim & Ye 2017)."""
    return -fake_scores.mean()
