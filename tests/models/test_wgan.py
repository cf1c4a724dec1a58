"""Clipping after every step of the critic, the estimate's sign, and the paper's optimizer by default."""

import copy
import math

import pytest
import torch
from lightning import Callback

from ganlab.data.stream import BatchStream
from ganlab.errors import ConfigError
from ganlab.models.wgan import WassersteinModel
from ganlab.tasks.building import build_data, build_model
from recording import LastOutputs, recording

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
    model, last = prepared(settings, *SMALL, max_iterations=40), LastOutputs()
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


WARM = ["model.warmup_iterations=2", "model.warmup_updates=7", "model.warmup_every=4", "model.discriminator_updates=3"]
STEPS = [7, 7, 3, 3, 7, 3]


class Steps(Callback):
    """The steps of each network's optimizer, iteration by iteration."""

    def __init__(self):
        self.now = {"generator": 0, "discriminator": 0}
        self.taken = []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.now[pl_module.network_of(optimizer)] += 1

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.taken.append((self.now["generator"], self.now["discriminator"]))
        self.now = dict.fromkeys(self.now, 0)


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("start", [0, 1, 3])
def test_a_warm_up_trains_the_critic_as_often_as_planned_on_the_next_rows(settings, fit, accumulate, start):
    config = settings(
        "model=wgan", "data=digits", "data.image_size=8", "data.batch_size=40", "model/networks=mlp", *WARM
    )
    model = build_model(config)
    model.prepare_training(optimizers=config["optimizer"], seed=0, max_iterations=len(STEPS), accumulate=accumulate)
    model.iteration = start
    data = build_data(config, model)
    data.setup()
    seen, answer = [], model.answer

    def watched(real, *others):
        seen.append(real)
        return answer(real, *others)

    model.answer = watched
    steps = Steps()
    fit(model, data, steps)
    assert steps.taken == [(1, count) for count in STEPS[start:]]
    # One batch after another of the order that has no updates; with accumulation the generator sees its own again.
    single = BatchStream(data.train, 40, seed=config["seed"])
    place = sum(STEPS[:start]) * accumulate
    expected = []
    for count in STEPS[start:]:
        batches = [single.batch(place + index).samples for index in range(count * accumulate)]
        expected += batches + (batches[-accumulate:] if accumulate > 1 else [])
        place += count * accumulate
    assert len(seen) == len(expected)
    assert all(torch.equal(one, other) for one, other in zip(seen, expected, strict=True))


def test_without_a_warm_up_the_plan_is_constant(settings):
    plan = build_model(settings(*SMALL)).update_plan
    assert [plan.at(i) for i in (0, 1, 500)] == [5, 5, 5]


@pytest.mark.parametrize("penalty", [0.0, 2.0])
def test_the_mean_norm_of_the_critics_gradient_is_always_told(make_gan, tiny_data, fit, penalty):
    """Without a penalty at evenly spread mixtures of a batch, and measuring it changes nothing."""

    def critic_of(measuring):
        model = make_gan(max_iterations=1, gradient_penalty=penalty).double()
        model.__class__ = type("Critic", (WassersteinModel,), {})
        kept, critic = recording(model), copy.deepcopy(model.discriminator)
        model.measuring = measuring
        last, data = LastOutputs(), tiny_data(5, dtype=torch.float64)
        generator = copy.deepcopy(model.generator)
        fit(model, data, last)
        return model, critic, data.batches[0].samples, generator(kept[0]).detach(), last

    model, critic, real, fakes, last = critic_of(True)
    told = last.outputs["grad_norm/critic_mean"]
    if penalty == 0:
        norms = []
        for share, one, other in zip([0, 0.25, 0.5, 0.75, 1], real, fakes, strict=True):
            place = (share * one + (1 - share) * other).requires_grad_()
            norms.append(torch.autograd.grad(critic(place[None]).sum(), place)[0].norm().item())
        assert told == pytest.approx(sum(norms) / 5, rel=1e-9)
    unmeasured, *_ = critic_of(False)
    for name, tensor in unmeasured.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name


IMPOSSIBLE = [
    *("model.clip=0", "model.clip=-0.01", "model.discriminator_updates=0"),
    *("model.warmup_iterations=-1", "model.warmup_updates=0", "model.warmup_every=-1"),
]


@pytest.mark.parametrize("word", IMPOSSIBLE)
def test_impossible_values_are_refused_by_name(settings, word):
    with pytest.raises(ConfigError, match=word.split("=")[0].replace(".", r"\.")):
        settings("model=wgan", word)
