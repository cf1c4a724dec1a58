"""The K + 1 classes of Salimans et al. 2016, against a softmax over K + 1 logits written out."""

import pytest
import torch

from ganlab.objectives.adversarial import discriminator_terms
from ganlab.objectives.semi_supervised import feature_matching_loss, supervised_loss

LOGITS = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3


def with_the_generated_class(logits):
    """p(y | x) over K + 1 classes, the last one "generated" with logit 0."""
    exponents = torch.cat([logits, torch.zeros(len(logits), 1, dtype=logits.dtype)], dim=1).exp()
    return exponents / exponents.sum(1, keepdim=True)


def test_the_supervised_term_is_of_the_classes_of_real_samples_alone():
    labels = torch.tensor([0, 3, 2, 1, 1, 0])
    among_all = with_the_generated_class(LOGITS)
    among_real = among_all[:, :-1] / among_all[:, :-1].sum(1, keepdim=True)
    expected = -among_real[torch.arange(6), labels].log().mean()
    torch.testing.assert_close(supervised_loss(LOGITS, labels), expected)


def test_large_logits_do_not_overflow():
    logits = torch.tensor([[800.0, -800.0]], requires_grad=True)
    loss = supervised_loss(logits, torch.tensor([1])) + sum(
        discriminator_terms(logits.logsumexp(1), logits.logsumexp(1))
    )
    loss.backward()
    assert float(loss.detach()) == pytest.approx(1600 + 800) and torch.isfinite(logits.grad).all()


def test_feature_matching_is_the_squared_distance_of_means():
    real, fake = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = sum((real[:, k].mean() - fake[:, k].mean()) ** 2 for k in range(3))
    torch.testing.assert_close(feature_matching_loss(real, fake), expected)
    assert feature_matching_loss(real, real.flip(0)) == pytest.approx(0, abs=1e-24)
