"""What a discriminator says of samples, beyond one number each."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ganlab.errors import ConfigError


class Verdict(NamedTuple):
    """`scores`: raw scores [n]. `features`: what they were computed from, [n, feature_count], where a family asks for
    it. `answers`: what another head says, [n, …]."""

    scores: Tensor
    features: Tensor | None = None
    answers: Tensor | None = None

    def detach(self) -> "Verdict":
        """The same without a graph."""
        features = None if self.features is None else self.features.detach()
        return Verdict(self.scores.detach(), features, None if self.answers is None else self.answers.detach())


_RESHAPING = (
    "Squeeze",
    "Unsqueeze",
    "View",
    "UnsafeView",
    "ReshapeAlias",
    "Select",
    "Slice",
    "Permute",
    "ToCopy",
    "Clone",
)
_SQUASHING = ("Sigmoid", "LogSigmoid", "Softmax", "LogSoftmax")


def squashed_by(scores: Tensor) -> str | None:
    """What made probabilities of what should be raw scores, by the graph of `scores`.

    None for raw ones, and for probabilities on which something else was done afterwards.
    """
    node: Any = scores.grad_fn
    while node is not None and node.name().startswith(_RESHAPING):
        node = node.next_functions[0][0]
    name = "" if node is None else node.name()
    return next((function for function in _SQUASHING if name.startswith(f"{function}Backward")), None)


def _require_body(discriminator: Any) -> None:
    missing = [name for name in ("features", "head", "feature_count") if not hasattr(discriminator, name)]
    if missing:
        raise ConfigError(
            f"model.discriminator: {type(discriminator).__name__} has no {', '.join(missing)}: this model needs a body "
            "with features(samples, conditions), head(features, conditions) and feature_count"
        )


class TwoHeaded(nn.Module):
    """A discriminator with a second head on its body: samples (and conditions) to a full `Verdict`.

    `discriminator` offers `features`, `head` and `feature_count`; `second` maps features to answers.
    """

    def __init__(self, discriminator: Any, second: nn.Module) -> None:
        super().__init__()
        _require_body(discriminator)
        self.discriminator = discriminator
        self.second = second

    def forward(self, samples: Tensor, conditions: Tensor | None = None) -> Verdict:
        features = self.discriminator.features(samples, conditions)
        return Verdict(self.discriminator.head(features, conditions), features, self.second(features))


class Classifying(nn.Module):
    """A discriminator with K outputs read as class logits; its score is log Σ exp of them (Salimans et al. 2016)."""

    def __init__(self, discriminator: Any) -> None:
        super().__init__()
        _require_body(discriminator)
        self.discriminator = discriminator

    def forward(self, samples: Tensor, conditions: Tensor | None = None) -> Verdict:
        features = self.discriminator.features(samples, conditions)
        logits = self.discriminator.head(features, conditions)
        return Verdict(torch.logsumexp(logits, dim=1), features, logits)
