"""The distance of two losses, and who was trained: against tables worked out by hand."""

import json

import numpy as np
import pytest

from ganlab.claims.balanced_updates import ALTERNATE, BALANCED, distance, generator_shares, investigate, losses_of
from ganlab.claims.lab import Lab


def test_the_distance_is_over_the_second_half():
    discriminator, generator = np.array([9.0, 9.0, 1.0, 2.0]), np.array([0.0, 0.0, 1.5, 1.0])
    assert distance(discriminator, generator) == pytest.approx(0.75)
    assert distance(generator, discriminator) == pytest.approx(0.75)


def test_losses_in_turn_are_halved_and_count_both_updates(tmp_path):
    (tmp_path / "metrics.csv").write_text("iteration,loss/discriminator,loss/generator\n50,1.4,0.7\n100,1.0,2.0\n")
    updates, discriminator, generator = losses_of([tmp_path], alternate=True)
    assert updates == [100, 200]
    assert discriminator.tolist() == [[0.7, 0.5]] and generator.tolist() == [[0.7, 2.0]]


def test_balanced_losses_are_those_that_decided(tmp_path):
    rows = "iteration,balance/discriminator,balance/generator,loss/generator\n50,0.6,0.9,0.8\n100,0.7,0.5,\n"
    (tmp_path / "metrics.csv").write_text(rows)
    updates, discriminator, generator = losses_of([tmp_path], alternate=False)
    assert updates == [50, 100]
    assert discriminator.tolist() == [[0.6, 0.7]] and generator.tolist() == [[0.9, 0.5]]


def test_the_generators_share_of_all_updates(tmp_path):
    told = {"last_values": {"updates/generator": 30, "updates/discriminator": 10}}
    (tmp_path / "results.json").write_text(json.dumps(told))
    assert generator_shares([tmp_path]) == [0.75]


@pytest.mark.slow
@pytest.mark.long
def test_in_a_short_run_balanced_losses_are_nearer(tmp_path):
    numbers = investigate(Lab("balanced_updates", tmp_path, (0,), 0.25, 2)).numbers
    assert numbers["distance"][BALANCED][0] < numbers["distance"][ALTERNATE][0]
    assert 0 < numbers["share_of_updates_of_the_generator"][BALANCED][0] < 1
