"""Which of the paper's two losses the generator descends."""

import math

import pytest
import torch


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("minimax", lambda score: math.log(1 - 1 / (1 + math.exp(-score)))),
        ("non_saturating", lambda score: -math.log(1 / (1 + math.exp(-score)))),
    ],
)
def test_the_generators_loss_is_the_one_that_was_chosen(make_gan, loss, expected):
    scores = torch.tensor([-2.0, 0.5, 3.0], dtype=torch.float64)
    value = make_gan(loss=loss).generator_term(scores)
    assert value.item() == pytest.approx(sum(map(expected, scores.tolist())) / 3, rel=1e-12)


def test_hinge_is_a_choice_for_both_players_and_the_default_is_not(make_gan):
    model, scores = make_gan(loss="hinge"), torch.tensor([-2.0, 0.5, 3.0], dtype=torch.float64)
    on_real, on_fake = model.discriminator_terms(scores, scores)
    assert (on_real.item(), on_fake.item(), model.generator_term(scores).item()) == pytest.approx(
        (3.5 / 3, 5.5 / 3, -0.5)
    )
    assert make_gan().discriminator_terms(scores, scores)[0].item() != pytest.approx(3.5 / 3)


def test_the_discriminators_terms_at_chance_are_log_two_each(make_gan):
    on_real, on_fake = make_gan().discriminator_terms(torch.zeros(4), torch.zeros(4))
    assert (on_real.item(), on_fake.item()) == pytest.approx((math.log(2), math.log(2)))
