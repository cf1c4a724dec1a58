"""Objectives of Salimans et al. 2016, section 5: K classes of real samples and one of generated ones.

The class "generated" has the logit 0, so with l the K other logits and Z = Σ exp l the discriminator is
D = Z / (Z + 1): its raw score, log D / (1 - D), is log Z = logsumexp(l), and the unsupervised part of its loss is
that of `ganlab.objectives.adversarial` on this score.
"""

from torch import Tensor
from torch.nn.functional import cross_entropy


def supervised_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """-E[log p(y | x, y ≤ K)], a scalar in nats; logits [n, K], labels int64 [n]."""
    return cross_entropy(logits, labels)


def feature_matching_loss(real_features: Tensor, fake_features: Tensor) -> Tensor:
    """‖E_r[f] - E_g[f]‖² (section 3.1), a scalar; features: [n, f] each, means over the batch."""
    return (real_features.mean(dim=0) - fake_features.mean(dim=0)).square().sum()
