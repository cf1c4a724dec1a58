"""Activations and filters of a sparse code: what is measured, on cases with known answers."""

import pytest
import torch

from ganlab.claims.fitting import Fitted, fit_one
from ganlab.claims.lab import Lab
from ganlab.claims.sparsity import ARMS, choice, covered, filters, investigate, measured, whole


def test_pixels_that_an_image_covers():
    images = torch.zeros(3, 1, 4, 4)
    images[0, 0, :2, :3] = -0.7
    images[1, 0, 3, 3] = 5
    images[2] = 1
    assert covered(images).tolist() == pytest.approx([6, 1, 16])


def test_the_share_of_a_units_favourite_class():
    labels = torch.tensor([0, 0, 0, 1])
    codes = torch.tensor([[1.0, 0, 0.5, 0], [1, 0, 0.5, 0], [1, 0, 0.5, 0], [1, 2, 0, 0]])
    assert choice(codes, labels).tolist() == pytest.approx([0.5, 1, 1, 0])


def test_units_near_the_target_are_counted():
    run = fit_one(["experiment=claims/sparsity", "model.latent_dim=4", "trainer.max_iterations=2"])
    means = torch.tensor([0.024, 0.026, 0.099, 0.101])

    class Fixed:
        def encode(self, samples):
            return means.expand(len(samples), 4)

        def __getattr__(self, name):
            return getattr(run.model, name)

    seen = measured(Fitted("", 0, run.settings, Fixed(), run.data))
    assert seen["near"] == 0.5 and seen["mean"] == pytest.approx(float(means.mean()))
    rows, names = filters({arm: [run] for arm in ARMS})
    assert rows[0].shape[1:] == (1, 16, 16) and len(rows) == len(names) == 2 * len(ARMS)


def test_what_is_said_of_filters_depends_on_what_they_cover():
    assert "templates" in whole([0.4, 0.9]) and whole([0.3, 0.6]) == ""


@pytest.mark.slow
def test_activations_are_near_their_target_after_a_part_of_the_budget(tmp_path):
    finding = investigate(Lab("sparsity", tmp_path, (0,), budget=0.2))
    with_penalty, without = finding.numbers["kl"], finding.numbers["none"]
    assert 0.03 < with_penalty["mean"][0] < 0.1 < without["mean"][0]
    assert with_penalty["near"][0] > 0.7 > without["near"][0]
