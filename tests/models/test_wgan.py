"""Clipping after every step of the critic, the estimate's sign, and the paper's optimizer by default."""

import math

import pytest
import torch
from lightning import Callback

from ganlab.errors import ConfigError
from ganlab.tasks.building import build_model

SMALL = ["model=wgan", "data=ring", "model.generator.width=8", "model.discriminator.width=8"]
IMAGES = ["data=digits", "data.image_size=16", "model.generator.width=4", "model.discriminator.width=4"]


def prepared(settings, *words, max_iterations=3):
    config = settings(*words)
    model = build_model(config)
    model.prepare_training(optimizers=config["optimizer"], seed=0, max_iterations=max_iterations)
    return model


def test_the_defaults_are_the_papers(settings):
    config = settings("model=wgan", "data=digits")
    assert (config["model"]["clip"], config["model"]["discriminator_updates"]) == (0.01, 5)
    for network in ("generator", "discriminator"):
        optimizer = config["optimizer"][network]
        assert (optimizer["algorithm"], optimizer["lr"], optimizer["momentum"]) == ("rmsprop", 5e-5, 0.0)


def test_the_user_has_the_last_word_on_the_optimizer(settings):
    adam = settings("model=wgan", "optimizer=adam")["optimizer"]
    assert {node["algorithm"] for node in adam.values()} == {"adam"} and adam["generator"]["lr"] == 2e-4
    mixed = settings("model=wgan", "optimizer.discriminator.lr=1e-3")["optimizer"]
    assert (mixed["generator"]["lr"], mixed["discriminator"]["lr"]) == (5e-5, 1e-3)


@pytest.mark.parametrize("model", ["gan", "cgan", "lsgan", "wgan_gp"])
def test_the_other_models_keep_adam(settings, model):
    optimizers = settings(f"model={model}")["optimizer"].values()
    assert {node["algorithm"] for node in optimizers} == {"adam"}


@pytest.mark.parametrize("words", [SMALL, ["model=wgan", *IMAGES]], ids=["points", "images"])
def test_every_weight_of_the_critic_is_within_the_bounds_after_every_step(settings, tiny_data, fit, words):
    model = prepared(
        settings, *words, "model.clip=0.02", "model.discriminator_updates=2", "optimizer.discriminator.lr=0.1"
    )
    greatest, moved = [], [p.detach().clone() for p in model.generator.parameters()]
    clip = model.after_discriminator_update

    def watched():
        clip()
        greatest.append(max(parameter.abs().max().item() for parameter in model.discriminator.parameters()))

    model.after_discriminator_update = watched
    fit(model, tiny_data(8, model.sample_shape))
    assert greatest == pytest.approx([0.02] * 6, rel=1e-6), "such a learning rate drives some weight to the bound"
    assert all(parameter.requires_grad for parameter in model.discriminator.parameters())
    after = list(model.generator.parameters())
    assert any(parameter.abs().max() > 0.02 for parameter in after), "the generator is not clipped"
    assert not all(torch.equal(a, b) for a, b in zip(after, moved, strict=True))


def test_what_a_critic_logs(settings, tiny_data, fit):
    class Last(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            self.outputs = {tag: value.item() for tag, value in outputs.items()}

    model, last = prepared(settings, *SMALL, max_iterations=40), Last()
    # Far to the right of what an untrained generator makes, so that the critic can tell at once.
    data = tiny_data(40)
    data.batches = [batch._replace(samples=batch.samples + 5) for batch in data.batches]
    model.clip = 0.5
    fit(model, data, last)
    logged = last.outputs
    assert logged["wasserstein/estimate"] == pytest.approx(logged["score/real"] - logged["score/fake"], abs=1e-6)
    assert logged["wasserstein/estimate"] == pytest.approx(-logged["loss/discriminator"], abs=1e-6)
    assert logged["wasserstein/estimate"] > 0
    assert math.isclose(logged["loss/discriminator_fake"], logged["score/fake"], abs_tol=1e-6)
    assert not any(tag.startswith("accuracy/") for tag in logged)


@pytest.mark.parametrize("word", ["model.clip=0", "model.clip=-0.01", "model.discriminator_updates=0"])
def test_impossible_values_are_refused_by_name(settings, word):
    with pytest.raises(ConfigError, match=word.split("=")[0].replace(".", r"\.")):
        settings("model=wgan", word)
