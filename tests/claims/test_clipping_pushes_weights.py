"""Where a critic's weights lie, and how gradients go through it: against closed forms."""

import pytest
import torch
from scipy.stats import norm

from ganlab.claims.clipping_pushes_weights import CLIPS, PENALTY, investigate, norms_by_layer, share_at_ends
from ganlab.claims.lab import Lab
from ganlab.networks.mlp import MLPDiscriminator


def test_weights_spread_evenly_have_a_twentieth_at_the_ends():
    even = torch.linspace(-0.3, 0.3, 100_001)
    assert share_at_ends([even], 0.3) == pytest.approx(0.05, abs=1e-4)
    # Of their own: from 0.95 of what a hundredth exceeds.
    assert share_at_ends([even[:50_000], even[50_000:]]) == pytest.approx(1 - 0.95 * 0.99, abs=1e-3)


def test_normal_weights_have_few_at_their_ends_and_two_valued_ones_all():
    normal = torch.special.ndtri(torch.linspace(0, 1, 100_003, dtype=torch.float64)[1:-1])
    assert share_at_ends([normal]) == pytest.approx(2 * norm.sf(0.95 * norm.ppf(0.995)), abs=1e-3)
    # One large weight does not hide that the others are at two values.
    two = torch.cat([torch.tensor([0.1, -0.1]).repeat(500), torch.tensor([0.2])])
    assert share_at_ends([two]) == 1


def test_ends_are_those_of_the_clip_or_of_each_matrix_by_itself():
    matrices = [torch.tensor([[0.1, -0.1], [0.096, 0.0]]), torch.tensor([[1.0, 0.5], [-0.96, 0.1]])]
    assert share_at_ends(matrices[:1], 0.1) == 0.75
    assert share_at_ends(matrices[:1], 0.2) == 0
    assert share_at_ends(matrices) == 5 / 8


def test_gradients_by_layer_are_those_of_the_chain_rule():
    torch.manual_seed(0)
    critic = MLPDiscriminator(0, sample_shape=[2], width=5, depth=2)
    first, _, second, _, last = critic.layers
    points = torch.randn(7, 2)
    before = points @ first.weight.T + first.bias
    hidden = torch.where(before > 0, before, 0.2 * before)
    between = hidden @ second.weight.T + second.bias
    slopes = [torch.where(values > 0, 1.0, 0.2) for values in (before, between)]
    at_last = last.weight.expand(7, -1)
    at_first = (at_last * slopes[1]) @ second.weight
    at_points = (at_first * slopes[0]) @ first.weight
    expected = [float(gradient.norm(dim=1).mean()) for gradient in (at_points, at_first, at_last)]
    assert norms_by_layer(critic, points) == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
@pytest.mark.long
def test_a_short_run_pushes_clipped_weights_outward_and_not_the_penalty(tmp_path):
    numbers = investigate(Lab("clipping_pushes_weights", tmp_path, (0,), 0.5, 2)).numbers
    for arm in CLIPS:
        assert numbers["at_ends"][arm][0] > 5 * numbers["at_ends"][PENALTY][0]
    assert numbers["at_ends"]["clip_0.1"][0] > 5 * numbers["at_ends_before"]["clip_0.1"][0]
