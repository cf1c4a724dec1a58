"""What a discriminator says beyond a number: its second head, and classes in place of a score."""

import pytest
import torch
from torch import nn

from ganlab.errors import ConfigError
from ganlab.networks.mlp import MLPDiscriminator
from ganlab.networks.verdict import Classifying, TwoHeaded, squashed_by
from ganlab.objectives.adversarial import discriminator_terms

LOGITS = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3


def test_two_heads_stand_on_one_body():
    torch.manual_seed(0)
    body = MLPDiscriminator(3, sample_shape=[2], width=5)
    network = TwoHeaded(body, nn.Linear(5, 7))
    samples, conditions = torch.randn(4, 2), torch.eye(3)[[0, 1, 2, 0]]
    verdict = network(samples, conditions)
    torch.testing.assert_close(verdict.scores, body(samples, conditions))
    torch.testing.assert_close(verdict.answers, network.second(body.features(samples, conditions)))
    verdict.answers.square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in [*network.second.parameters(), body.layers[0].weight])
    assert body.layers[-1].weight.grad is None


def test_the_score_is_that_of_a_softmax_over_one_class_more():
    class Body(torch.nn.Module):
        feature_count = 4

        def features(self, samples, conditions=None):
            return samples * 2

        def head(self, features, conditions=None):
            return features / 2

    verdict = Classifying(Body())(LOGITS)
    generated = 1 / (1 + LOGITS.exp().sum(1))  # the last of a softmax over K + 1 logits
    torch.testing.assert_close(verdict.scores.sigmoid(), 1 - generated)
    on_real, on_fake = discriminator_terms(verdict.scores, verdict.scores)
    torch.testing.assert_close(on_real, -(1 - generated).log().mean())
    torch.testing.assert_close(on_fake, -generated.log().mean())
    assert torch.equal(verdict.features, LOGITS * 2) and torch.equal(verdict.answers, LOGITS)


@pytest.mark.parametrize(
    ("squash", "name"),
    [
        (lambda x: torch.sigmoid(x).squeeze(1), "Sigmoid"),
        (lambda x: nn.Sigmoid()(x).reshape(-1), "Sigmoid"),
        (lambda x: nn.functional.logsigmoid(x)[:, 0], "LogSigmoid"),
        (lambda x: nn.functional.softmax(x.expand(-1, 2), 1)[:, 1], "Softmax"),
        (lambda x: x.squeeze(1), None),
        (lambda x: torch.sigmoid(x).squeeze(1) * 2 - 1, None),
        (lambda x: x.squeeze(1).tanh(), None),
    ],
)
def test_probabilities_are_known_by_their_graph(squash, name):
    assert squashed_by(squash(nn.Linear(3, 1)(torch.randn(4, 3)))) == name


def test_a_body_without_features_is_refused_in_a_line():
    with pytest.raises(ConfigError, match=r"model\.discriminator: Linear has no features, head, feature_count"):
        TwoHeaded(nn.Linear(2, 1), nn.Linear(2, 1))
    with pytest.raises(ConfigError, match=r"Linear has no features"):
        Classifying(nn.Linear(2, 1))
