from types import SimpleNamespace

import pytest
import torch
from torch import nn

from ganlab.callbacks.symptoms import AT_CLIP, DIVERSITY, Diversity, Movement, weights_at_clip
from ganlab.data.source import PointSet


class Drawn:
    """A model whose samples are its latents times `scale`, beside their condition."""

    device = torch.device("cpu")

    def __init__(self, condition_size=0):
        self.condition_size, self.scale, self.asked = condition_size, 1.0, []

    def latents(self, count, generator):
        return torch.randn(count, 2, generator=generator)

    def decode_last(self, latents, condition):
        self.asked.append((latents, condition))
        centre = 0 if condition is None else 100 * condition.float().reshape(len(latents), -1)[:, :1]
        return latents * self.scale + centre


def test_it_is_the_mean_distance_as_a_share_of_that_of_real_samples():
    real = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
    data = SimpleNamespace(examples=PointSet(real, None).first)
    model = Drawn()
    diversity = Diversity(model, data)
    model.scale = 0.5
    first = diversity(model)[DIVERSITY]
    pairs = [(i, j) for i in range(64) for j in range(i)]

    def mean(points):
        return sum(float((points[i] - points[j]).norm()) for i, j in pairs) / len(pairs)

    assert first == pytest.approx(0.5 * mean(model.asked[0][0]) / mean(real[:64]), rel=1e-5)
    model.scale = 0.0
    assert diversity(model)[DIVERSITY] == 0
    assert torch.equal(model.asked[0][0], model.asked[1][0])


@pytest.mark.parametrize("attributes", [False, True])
def test_of_a_conditional_model_pairs_have_the_same_condition(attributes):
    """Else a generator that makes one sample a class would look diverse."""
    random = torch.Generator().manual_seed(0)
    labels = torch.randint(5, (500,), generator=random)
    real = torch.randn(500, 2, generator=random) + 100 * labels.unsqueeze(1)
    conditions = labels.unsqueeze(1).float() if attributes else labels
    model = Drawn(condition_size=5)
    diversity = Diversity(model, SimpleNamespace(examples=PointSet(real, conditions).first))
    assert diversity(model)[DIVERSITY] == pytest.approx(1, abs=0.3)
    model.scale = 0.0
    assert diversity(model)[DIVERSITY] == 0
    asked = model.asked[0][1]
    assert len(asked) == 64
    assert all(len(part.unique(dim=0)) == 1 for part in asked.split(16))


def test_where_no_condition_has_samples_enough_all_pairs_count():
    conditions = torch.rand(30, 4)
    model = Drawn(condition_size=4)
    diversity = Diversity(model, SimpleNamespace(examples=PointSet(torch.randn(30, 2), conditions).first))
    assert diversity(model)[DIVERSITY] > 0
    assert torch.equal(model.asked[0][1], conditions)


def test_samples_that_are_all_alike_tell_nothing():
    assert Diversity(Drawn(), SimpleNamespace(examples=PointSet(torch.ones(9, 2), None).first))(Drawn()) == {}


def test_the_share_of_weights_at_the_bound():
    critic = nn.Linear(4, 2)
    with torch.no_grad():
        critic.weight.copy_(torch.tensor([[0.01, -0.01, 0.005, 0.0], [0.01, 0.0, 0.0, -0.009]]))
        critic.bias.fill_(0.01)
    model = SimpleNamespace(clip=0.01, parameters_of=lambda network: list(critic.parameters()))
    assert weights_at_clip(model) == {AT_CLIP: 3 / 8}


def test_movement_is_that_since_the_last_look():
    generator, average = nn.Linear(30, 20), nn.Linear(30, 20)
    model = SimpleNamespace(generator=generator, generator_ema=SimpleNamespace(network=average))
    movement = Movement()
    assert movement(model) == {}
    with torch.no_grad():
        generator.weight += 0.1
    moved = movement(model)
    assert moved["guard/generator_moved"] > 0.1 and moved["guard/average_moved"] == 0
    assert len(movement.before[0]) <= 64
    assert movement(model) == {"guard/generator_moved": 0, "guard/average_moved": 0}
