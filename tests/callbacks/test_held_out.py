"""The estimate on held-out samples: the same function by hand, its sign; the exact distance beside its floor."""

from types import SimpleNamespace

import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch import nn

from ganlab.callbacks.group import CallbackGroup
from ganlab.callbacks.held_out import COUNT, EXACT, FLOOR, HeldOut, Transport
from ganlab.tasks.building import build_data, build_model
from recording import Memory
from two_processes import on_two_ranks

NETWORKS = ["model.generator.width=8", "model.discriminator.width=8"]
RING = ["model=wgan", "data=ring", "data.batch_size=64", *NETWORKS]
DIGITS = ["data=digits", "data.image_size=8", "data.batch_size=64", "model.generator.width=4"]
DIGITS += ["model.discriminator.width=4"]


def prepared(settings, *words, iterations=4, condition_size=0):
    config = settings(*words)
    config["model"]["condition_size"] = condition_size
    model = build_model(config)
    model.prepare_training(optimizers=config["optimizer"], seed=0, max_iterations=iterations)
    data = build_data(config, model)
    data.setup()
    return model, data


def held_out(model, data, iteration=7, rank_zero=True):
    """What the callback logs of a model as it is."""
    logger, model.iteration = Memory(), iteration
    trainer = SimpleNamespace(is_global_zero=rank_zero, datamodule=data, loggers=[logger])
    callback = HeldOut(1, 10)
    callback.on_train_start(trainer, model)
    callback.on_train_batch_end(trainer, model, {}, None, 0)
    return logger.rows.get(iteration, {})


def exact(one, other):
    cost = torch.cdist(one.double(), other.double()).numpy()
    return cost[linear_sum_assignment(cost)].mean()


class Perfect(nn.Module):
    """Draws from a ring of 8 as the data do; with conditions, from the mode that is asked for. A function of the
    latents (normal), and not of any random state."""

    def __init__(self, modes, std):
        super().__init__()
        self.modes, self.std = modes, std

    def forward(self, latents, condition=None):
        share = 0.5 * (1 + torch.erf(latents[:, 2] / 2**0.5))
        mode = (share * len(self.modes)).long() if condition is None else condition.argmax(1)
        return self.modes[mode] + self.std * latents[:, :2]


@pytest.mark.parametrize(("every", "expected"), [(2, [2, 4, 5]), (3, [3, 5]), (9, [5])])
def test_it_logs_when_the_measures_are_logged(settings, fit, every, expected):
    logger = Memory()
    model, data = prepared(settings, *RING, iterations=5)
    fit(model, data, CallbackGroup([HeldOut(every, 5)]), logger=logger)
    assert list(logger.rows) == expected
    tags = {"wasserstein/estimate_held_out", EXACT, FLOOR}
    assert all(row.keys() == tags for row in logger.rows.values())


def test_the_estimate_is_the_critics_on_the_test_split_by_the_last_weights(settings, fit):
    model, data = prepared(settings, *RING, "optimizer.generator.lr=0.1", "model.clip=0.5", iterations=5)
    fit(model, data)
    real = data.test.points[: COUNT // 64 * 64]
    latents = torch.randn(len(real), model.latent_dim, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        fakes, averaged = model.generator.eval()(latents), model.generator_ema.network.eval()(latents)
        critic = model.discriminator.eval()
        expected, other = (float(critic(real).mean() - critic(made).mean()) for made in (fakes, averaged))
    assert abs(expected - other) > 1e-3
    assert held_out(model, data)["wasserstein/estimate_held_out"] == pytest.approx(expected, abs=1e-6)


def test_of_an_f_gan_it_is_the_bound(settings):
    model, data = prepared(settings, "model=fgan", "model.divergence=pearson", *DIGITS)
    real = data.examples(COUNT, "test").samples[: COUNT // 64 * 64]
    latents = torch.rand(len(real), model.latent_dim, generator=torch.Generator().manual_seed(0)) * 2 - 1
    on_real, on_fake = model.score(real).double(), model.score(model.decode_last(latents)).double()
    bound = float(on_real.mean() - (on_fake**2 / 4 + on_fake).mean())
    assert held_out(model, data) == {"divergence/estimate_held_out": pytest.approx(bound, abs=1e-5)}


def test_batches_are_those_of_training():
    """A discriminator that compares the samples of a batch says other things of a batch of another size."""
    seen = []
    model = SimpleNamespace(
        watched_held_out=("tag",),
        reconstructs=False,
        sample_shape=[1, 2, 2],
        condition_size=3,
        iteration=1,
        device=torch.device("cpu"),
        latents=lambda count, generator: torch.randn(count, 2, generator=generator),
        decode_last=lambda latents, condition: torch.zeros(len(latents), 1, 2, 2),
        score=lambda samples, condition: seen.append((samples, condition)) or samples.sum((1, 2, 3)),
        judge=lambda real, fake: {"tag": real.mean() - fake.mean()},
    )
    samples, labels = torch.rand(50, 1, 2, 2), torch.randint(3, (50,))
    data = SimpleNamespace(batch_size=16, examples=lambda count, split: (samples[:count], labels[:count], None))
    assert held_out(model, data)["tag_held_out"] == pytest.approx(float(samples[:48].sum((1, 2, 3)).mean()), rel=1e-6)
    assert [len(shown) for shown, _ in seen] == [16] * 6
    assert torch.equal(torch.cat([shown for shown, _ in seen[::2]]), samples[:48])
    for real, generated in zip(seen[::2], seen[1::2], strict=True):
        assert torch.equal(real[1], generated[1]), "generated samples answer the conditions of the real ones"
    data.examples = lambda count, split: (samples[:0], labels[:0], None)
    assert held_out(model, data) == {}


def test_a_model_that_reconstructs_is_examined_sample_by_sample():
    asked = []

    def say(samples, condition, generator):
        asked.append((condition, torch.rand(1, generator=generator).item()))
        return {"a": samples.sum(1), "b": samples.sum(1) * 0, "c/not_watched": samples}

    model = SimpleNamespace(
        watched_held_out=("a", "b"), reconstructs=True, sample_shape=[2], condition_size=0, iteration=1,
        device=torch.device("cpu"), held_out=say,
    )  # fmt: skip
    samples = torch.rand(50, 2)
    data = SimpleNamespace(batch_size=16, examples=lambda count, split: (samples[:count], None, None))
    first, again = held_out(model, data), held_out(model, data)
    assert first == again == {"a_held_out": pytest.approx(samples.sum(1).mean().item()), "b_held_out": 0.0}
    assert len(asked) == 8 and asked[:4] == asked[4:] and asked[0] != asked[1], "the same draws each time"


def test_the_exact_distance_is_that_of_an_independent_computation(settings):
    model, data = prepared(settings, *RING)
    values = held_out(model, data)
    kept = Transport(model, data)
    modes = torch.cdist(kept.real, data.modes).argmin(1).bincount()
    assert modes.max() - modes.min() <= 1 and modes.sum() == COUNT, "evenly over the modes"
    assert values[EXACT] == pytest.approx(exact(kept.real, model.decode_last(kept.latents)), abs=1e-6)
    # The sets of the floor are the first real points as they come; none of them is on the other side.
    sets = data.test.points[:2500].split(COUNT)
    assert values[FLOOR] == pytest.approx(sum(exact(kept.real, points) for points in sets) / 5, abs=1e-6)
    assert not {tuple(point) for point in kept.real.tolist()} & {tuple(p) for p in data.test.points[:2500].tolist()}


@pytest.mark.parametrize("conditional", [False, True])
def test_a_perfect_generator_is_at_the_floor_and_one_that_lost_a_mode_is_not(settings, conditional):
    """Over 8 seeds of the noise; per pair the counting noise of 500 points is a third of the floor."""
    model, data = prepared(settings, *RING, condition_size=8 if conditional else 0)
    transport, distances = Transport(model, data), []
    for modes in (data.modes, data.modes.clone().index_copy(0, torch.tensor([3]), data.modes[:1])):
        model.generator = Perfect(modes, data.std)
        for seed in range(8):
            transport.latents = model.latents(transport.count, torch.Generator().manual_seed(seed))
            distances.append(transport(model)[EXACT])
    at_best, collapsed = torch.tensor(distances).view(2, 8).mean(1).tolist()
    floor = transport(model)[FLOOR]
    assert 0.75 * floor < at_best < 1.33 * floor
    assert collapsed > 2.5 * at_best
    # With conditions both sides have the modes' shares, and nothing but the width of a mode is left.
    assert floor < 0.02 if conditional else floor > 0.03


@pytest.mark.parametrize("seed", range(4))
def test_a_trained_critic_estimates_more_than_nothing(settings, fit, seed):
    """And so does one for images, whose critic has batch norm."""
    words = [*RING, "model.clip=0.1"] if seed else ["model=wgan", *DIGITS]
    words = [*words, f"seed={seed}", "optimizer.discriminator.lr=2e-3", "optimizer.generator.lr=1e-9"]
    model, data = prepared(settings, *words, iterations=30)
    fit(model, data)
    values = held_out(model, data)
    assert values["wasserstein/estimate_held_out"] > 0.01
    if EXACT in values:
        assert values[EXACT] > 10 * values[FLOOR]


@pytest.mark.parametrize("words", [["model=gan", *RING[1:]], ["model=wgan", *DIGITS], ["model=wgan_gp", *RING[1:]]])
def test_who_is_watched(settings, words):
    expected = {"gan": set(), "wgan": {"wasserstein/estimate_held_out"}}
    expected["wgan_gp"] = expected["wgan"] | {EXACT, FLOOR}
    assert held_out(*prepared(settings, *words)).keys() == expected[words[0].partition("=")[2]]


@pytest.mark.parametrize("words", [RING, ["model=wgan", *DIGITS]], ids=["points", "images"])
def test_training_is_the_same_bit_for_bit(settings, fit, words):
    watched, data = prepared(settings, *words)
    fit(watched, data, HeldOut(1, 4), logger=Memory())
    state = torch.get_rng_state()
    alone, data = prepared(settings, *words)
    fit(alone, data)
    assert torch.equal(torch.get_rng_state(), state)
    expected = alone.state_dict()
    assert all(torch.equal(weight, expected[name]) for name, weight in watched.state_dict().items())
    assert [part.training for part in watched.modules()] == [part.training for part in alone.modules()]


def test_one_process_computes_and_waits_for_no_other(settings):
    model, data = prepared(settings, *RING)
    first, second = on_two_ranks(lambda rank: held_out(model, data, rank_zero=rank == 0))
    assert first.keys() == {"wasserstein/estimate_held_out", EXACT, FLOOR}
    assert second == {}


def test_few_held_out_points_are_enough(settings):
    model, data = prepared(settings, *RING, "data.test_count=7")
    assert held_out(model, data).keys() == {"wasserstein/estimate_held_out", EXACT, FLOOR}
    model, data = prepared(settings, *RING, "data.test_count=3")
    assert held_out(model, data).keys() == {"wasserstein/estimate_held_out"}
