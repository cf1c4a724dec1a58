"""The targets reach the losses, and accuracy is judged halfway between them."""

import pytest
import torch

from ganlab.models.lsgan import LSGAN
from ganlab.tasks.building import build_model

SMALL = ["data=ring", "model.generator.width=4", "model.discriminator.width=4"]


def test_the_targets_are_those_of_the_configuration(settings):
    model = build_model(settings("model=lsgan", *SMALL, "model.a=-2", "model.b=3", "model.c=0.5"))
    assert isinstance(model, LSGAN)
    real, fake = torch.tensor([1.0]), torch.tensor([4.0])
    on_real, on_fake = model.discriminator_terms(real, fake)
    assert (on_real.item(), on_fake.item(), model.generator_term(fake).item()) == (2.0, 18.0, 6.125)


def test_the_defaults_are_the_papers_0_1_coding(settings):
    model = build_model(settings("model=lsgan", *SMALL))
    assert (model.a, model.b, model.c) == (0, 1, 1)


@pytest.mark.parametrize(("a", "b", "right_on_real", "right_on_fake"), [(0, 1, 0.75, 0.25), (-1, 1, 1.0, 0.0)])
def test_a_score_past_the_middle_of_the_targets_counts_as_real(settings, a, b, right_on_real, right_on_fake):
    model = build_model(settings("model=lsgan", *SMALL, f"model.a={a}", f"model.b={b}"))
    scores = torch.tensor([0.4, 0.6, 0.8, 3.0])
    judged = model.judge(scores, scores)
    assert judged["accuracy/discriminator_real"].item() == right_on_real
    assert judged["accuracy/discriminator_fake"].item() == right_on_fake
