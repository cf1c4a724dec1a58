"""One player alone, and both: against updates that are written out by hand."""

import copy

import pytest
import torch
from torch.nn.functional import softplus

from ganlab.claims.playing import Game, built
from ganlab.claims.segments import Segment, real_segment

COMMON = ("data=ring", "model.latent_dim=1", "model.prior=uniform", "model.discriminator.width=8")
SGD = ("optimizer=sgd", "optimizer.generator.lr=0.1", "optimizer.discriminator.lr=0.1")


def frozen(network):
    return copy.deepcopy(network).requires_grad_(True)


def test_the_discriminators_update_is_a_step_down_its_own_loss_and_the_generator_stands_still():
    model = built(3, "model=gan", "model.ema_decay=0", *COMMON, *SGD, generator=Segment(0.5))
    game, before = Game(model, real_segment, 32), frozen(model.discriminator)
    real = real_segment(32, torch.Generator().manual_seed(game.random.initial_seed()))
    model.begin_iteration()
    fakes = model.generator(model.draw_latents(32)).detach()
    loss = softplus(-before(real)).mean() + softplus(before(fakes)).mean()
    gradients = torch.autograd.grad(loss, list(before.parameters()))
    game.train_discriminator(1)
    for weight, was, gradient in zip(model.discriminator.parameters(), before.parameters(), gradients, strict=True):
        torch.testing.assert_close(weight, was - 0.1 * gradient)
    assert model.generator.distance.item() == 0.5
    assert model.iteration == 1


def test_an_iteration_of_both_moves_the_generator_against_the_updated_discriminator():
    model = built(3, "model=gan", "model.ema_decay=0.9", *COMMON, *SGD, generator=Segment(0.5))
    Game(model, real_segment, 32).train(1)
    given = Segment(0.5)
    model.iteration = 0
    model.begin_iteration()
    loss = softplus(-model.discriminator(given(model.draw_latents(32)))).mean()
    (gradient,) = torch.autograd.grad(loss, given.distance)
    assert model.generator.distance.item() == pytest.approx(0.5 - 0.1 * gradient.item(), rel=1e-5)
    # Early on the average follows with (1 + t) / (10 + t).
    expected = 0.5 + (1 - 2 / 11) * (model.generator.distance.item() - 0.5)
    assert model.generator_ema.network.distance.item() == pytest.approx(expected, rel=1e-5)


def test_a_family_keeps_its_constraint_on_the_critic():
    model = built(0, "model=wgan", "model.ema_decay=0", *COMMON, generator=Segment(0.5))
    assert max(weight.abs().max() for weight in model.discriminator.parameters()) > 0.02
    Game(model, real_segment, 8).train_discriminator(1)
    assert max(weight.abs().max() for weight in model.discriminator.parameters()) <= 0.01


def test_the_seed_decides_all():
    made = []
    for seed in (1, 1, 2):
        model = built(seed, "model=gan", "model.ema_decay=0", *COMMON, generator=Segment(0.5))
        Game(model, real_segment, 8).train(2)
        made.append(model.generator.distance.item())
    assert made[0] == made[1] != made[2]
