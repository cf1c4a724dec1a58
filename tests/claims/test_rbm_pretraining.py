"""Fine-tuning from machines and from random weights: what is followed along the steps, and the direction early on."""

import numpy as np
import pytest

from ganlab.claims.composing import settings_of
from ganlab.claims.fitting import fit_one, held_out_error
from ganlab.claims.lab import Lab
from ganlab.claims.rbm_pretraining import EARLY, LOOKS, RECTIFIED, Watched, error_of_average, investigate, told

WORDS = ["experiment=claims/rbm_pretraining", "seed=3"]


def test_errors_are_counted_from_the_first_step_of_fine_tuning():
    watched = Watched([0, 2, 5])
    run = fit_one([*WORDS, "model.pretrain_iterations=2", "trainer.max_iterations=12"], "one", 3, watched)
    assert sorted(watched.errors["one", 3]) == [0, 2]
    errors = watched.errors_of(run)
    assert errors[1] == errors[2] != errors[0], "the last one stands for what a shorter run does not reach"
    longer = fit_one([*WORDS, "model.pretrain_iterations=2", "trainer.max_iterations=10"], "two", 3, watched)
    assert watched.errors_of(longer) == pytest.approx([errors[0], held_out_error(longer), held_out_error(longer)])


def test_a_random_start_is_looked_at_before_its_first_step():
    watched = Watched([0, 1])
    words = [*WORDS, "model.pretrain_iterations=0", "trainer.max_iterations=1"]
    run = fit_one(words, "one", 3, watched)
    assert sorted(watched.errors["one", 3]) == [0, 1] and watched.pictures["one", 3][0].shape == (10, 1, 8, 8)
    digits = run.samples("test").numpy() / 2 + 0.5
    mean = run.samples("train").numpy().mean(0) / 2 + 0.5
    assert error_of_average(run) == pytest.approx(np.square(digits - mean).mean(), rel=1e-5)


def test_the_rectified_arm_has_the_layers_and_the_loss_of_the_others():
    deep, rectified = settings_of(WORDS), settings_of(RECTIFIED)
    for key in ("latent_dim", "reconstruction", "sample_shape"):
        assert rectified["model"][key] == deep["model"][key]
    assert rectified["model"]["encoder"]["widths"] == deep["model"]["encoder"]["widths"]
    assert rectified["optimizer"]["autoencoder"]["lr"] == deep["optimizer"]["autoencoder"]["lr"]
    assert {key: rectified["data"][key] for key in ("image_size", "margin", "batch_size")} == {
        key: deep["data"][key] for key in ("image_size", "margin", "batch_size")
    }


def test_what_is_told_of_a_random_start_depends_on_whether_it_gets_there():
    pretrained = np.linspace(0.05, 0.01, len(LOOKS))
    slow, quick = np.full(len(LOOKS), 0.06), pretrained + 0.004
    errors = {"pretrained": pretrained, "rectified": quick}
    assert "does train" not in told({**errors, "random": slow}, 0.07)
    assert "after 600" in told({**errors, "random": quick}, 0.07) and LOOKS[EARLY] == 300
    not_yet = np.maximum(quick, pretrained[EARLY] + 1e-4)
    assert "not within" in told({**errors, "random": not_yet}, 0.07)


@pytest.mark.slow
def test_machines_are_ahead_early_on(tmp_path):
    finding = investigate(Lab("rbm_pretraining", tmp_path, (0,), budget=0.34))
    early = finding.numbers["steps"].index(102)
    errors = finding.numbers["errors"]
    assert errors["pretrained"][0][early] < errors["random"][0][early]
