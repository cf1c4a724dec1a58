"""Relativistic discriminators, Jolicoeur-Martineau 2018: a sample is judged beside those of the other kind.

Any of the two-term losses takes relative scores in place of raw ones. The generator's loss is then the
discriminator's with the roles exchanged, since both kinds of samples depend on its part (section 4).
"""

from typing import Literal

from torch import Tensor

Relativity = Literal["none", "paired", "average"]


def relative_scores(real_scores: Tensor, fake_scores: Tensor, relativity: Relativity) -> tuple[Tensor, Tensor]:
    """Scores [n] of real and of generated samples as each sees the other, [n] each.

    paired: D(x_r) - D(x_g) and D(x_g) - D(x_r), one to one (section 4.1, RGAN). average: minus the mean score of the
    other kind (section 4.2, RaGAN). none: unchanged. Means are over the batch of this process.
    """
    if relativity == "paired":
        return real_scores - fake_scores, fake_scores - real_scores
    if relativity == "average":
        return real_scores - fake_scores.mean(), fake_scores - real_scores.mean()
    return real_scores, fake_scores
