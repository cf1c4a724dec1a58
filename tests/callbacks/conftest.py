"""What tests of callbacks share: samples in memory, in the order in which a real stream gives them."""

from collections.abc import Callable

import lightning
import pytest
import torch

from ganlab.counting import UpdatePlan
from ganlab.data.source import PointSet
from ganlab.data.stream import BatchStream


class PointsInMemory(lightning.LightningDataModule):
    """Points [n, 2] as a finite set, whose rows are visited by a seed."""

    def __init__(self, points: torch.Tensor, updates: int, start: int) -> None:
        super().__init__()
        self.source, self.updates, self.start = PointSet(points, None), updates, start

    def train_dataloader(self) -> BatchStream:
        return BatchStream(self.source, 8, seed=3, plan=UpdatePlan(self.updates), start_iteration=self.start)

    def examples(self, count: int, split: str = "train"):
        return self.source.first(count)


@pytest.fixture
def points() -> Callable[..., PointsInMemory]:
    """points(bad=17): 40 points near a circle, of which one may hold a NaN."""

    def make(bad: int | None = None, value: float = float("nan"), updates: int = 1, start: int = 0) -> PointsInMemory:
        angles = torch.linspace(0, 6, 40)
        circle = torch.stack([angles.cos(), angles.sin()], dim=1)
        if bad is not None:
            circle[bad, 1] = value
        return PointsInMemory(circle, updates, start)

    return make


def spoiled(model, at, value=float("nan"), player="generator"):
    """The model, with a loss of one player that is not finite in the iterations `at` (or in that one)."""
    places = {at} if isinstance(at, int) else set(at)

    def factor():
        return value if model.iteration + 1 in places else 1.0

    if player == "generator":
        term = model.generator_term
        model.generator_term = lambda scores: term(scores) * factor()
    else:
        terms = model.discriminator_terms
        model.discriminator_terms = lambda real, fake: tuple(term * factor() for term in terms(real, fake))
    return model


@pytest.fixture(name="spoiled")
def spoiled_fixture():
    """spoiled(model, 3, player="generator"): a model whose loss is no number at iteration 3."""
    return spoiled
