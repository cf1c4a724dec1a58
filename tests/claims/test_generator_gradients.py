"""Gradients of a generator that is one number, against the logistic function's derivative."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from ganlab.claims.generator_gradients import EPOCH, Gradients, gradients, grown, spread_of, stage
from ganlab.claims.lab import Lab
from ganlab.networks.verdict import Verdict


def test_gradients_are_those_of_both_losses():
    """x = w z under the logit a x, at z = 1: -a s(aw) of log(1 - s(D)), and -a (1 - s(aw)) of -log s(D)."""
    w, a = torch.nn.Parameter(torch.tensor([0.8])), -2.0
    model = SimpleNamespace(
        generator=SimpleNamespace(parameters=lambda: [w]),
        make=lambda latents, condition: latents * w,
        observe=lambda samples, condition: Verdict(a * samples[:, 0]),
    )
    saturating, other = gradients(model, [torch.ones(3, 1), 2 * torch.ones(3, 1)])
    assert saturating.shape == other.shape == (2, 1)
    for row, z in enumerate((1.0, 2.0)):
        said = torch.sigmoid(torch.tensor(a * 0.8 * z)).item()
        assert saturating[row].item() == pytest.approx(-a * z * said, rel=1e-5)
        assert other[row].item() == pytest.approx(-a * z * (1 - said), rel=1e-5)


def test_spread_is_the_deviation_over_the_means_length():
    rows = torch.tensor([[3.0, 4.0], [3.0, 4.0]])
    assert spread_of(rows) == 0
    assert spread_of(torch.tensor([[2.0, 4.0], [4.0, 4.0]])) == pytest.approx(2**0.5 / 5)


def test_growth_is_counted_from_the_tenth_update():
    seen = Gradients([0, 1, 9, 12, 40], [1.0] * 5, [0.1, 1.0, 2.0, 4.0, 12.0], [0.0] * 5)
    assert grown(seen) == 3
    assert grown(Gradients([0, 1, 2], [1.0] * 3, [0.1, 1.0, 2.0], [0.0] * 3)) == 1


def test_the_frozen_generators_are_those_of_their_epochs():
    full, half, tiny = (Lab("generator_gradients", Path("x"), budget=budget) for budget in (1, 0.5, 0.01))
    assert [stage(epoch, full) for epoch in (1, 20, 25)] == [14, 280, 350]
    assert [stage(epoch, half) for epoch in (1, 20, 25)] == [EPOCH, 10 * EPOCH, 12 * EPOCH]
    assert stage(1, tiny) == "last"


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_quick_look_shows_the_direction(quick_look, tmp_path):
    found = quick_look("generator_gradients", 0.3)["numbers"]
    for runs in found.values():
        saturating, other = runs[0]["saturating"], runs[0]["non_saturating"]
        assert saturating[-1] < 0.3 * max(saturating)
        assert other[-1] > 10 * saturating[-1]
    assert (tmp_path / "figure.png").stat().st_size > 10_000
