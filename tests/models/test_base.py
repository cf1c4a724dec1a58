"""`GenerativeModel`: counting, randomness by iteration, conditions, sampling, what a checkpoint brings back."""

from types import SimpleNamespace

import pytest
import torch
from lightning import Callback
from torch import nn

from ganlab.counting import UpdatePlan
from ganlab.models.base import GenerativeModel, derived_seed


class Tally(Callback):
    def __init__(self):
        self.iterations, self.steps = [], {"generator": 0, "discriminator": 0}

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.steps[pl_module.network_of(optimizer)] += 1

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.iterations.append(pl_module.iteration)


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("updates", [1, 5])
def test_a_run_has_as_many_iterations_as_it_was_given(make_gan, tiny_data, fit, updates, accumulate):
    model, tally = make_gan(discriminator_updates=updates, accumulate=accumulate, max_iterations=12), Tally()
    assert model.update_plan == UpdatePlan(updates)
    fit(model, tiny_data(2 * updates * accumulate), tally)
    assert tally.iterations == list(range(1, 13))
    assert tally.steps == {"generator": 12, "discriminator": 12 * updates}
    assert model.iteration == 12


def test_seeds_are_unrelated_and_fixed():
    seeds = {derived_seed("noise", seed, iteration) for seed in range(30) for iteration in range(30)}
    assert len(seeds) == 900
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derived_seed("noise", 1, 12) != derived_seed("noise", 11, 2)
    assert derived_seed("noise", 0, 0) == 6452525717642331347


def noise(model, iteration, count=16, rank=None, world=1):
    """The first latents of an iteration, for one process of `world`."""
    if rank is not None:
        model._trainer = SimpleNamespace(world_size=world, global_rank=rank)
        model.__class__ = type("Ranked", (type(model),), {"global_rank": rank, "trainer": model._trainer})
    model.iteration = iteration
    model.begin_iteration()
    return model.draw_latents(count)


def test_noise_is_a_function_of_seed_and_iteration(make_gan):
    model = make_gan()
    first = noise(model, 7)
    noise(model, 8)
    torch.randn(100)
    assert torch.equal(noise(make_gan(), 7), first)
    assert torch.equal(noise(model, 7), first)
    assert not torch.equal(noise(model, 8), first)
    assert not torch.equal(noise(make_gan(seed=1), 7), first)
    assert not torch.equal(model.draw_latents(16), model.draw_latents(16))


def test_two_processes_draw_the_halves_of_what_one_draws(make_gan):
    whole = noise(make_gan(), 3, count=32)
    ranks = [noise(make_gan(), 3, count=16, rank=rank, world=2) for rank in range(2)]
    assert torch.equal(torch.cat(ranks), whole)
    assert not torch.equal(*ranks)


def test_the_global_random_state_is_set_at_each_iteration_and_differs_by_rank(make_gan):
    def drawn(iteration, rank=0, seed=0, before=0):
        torch.manual_seed(before)
        noise(make_gan(seed=seed), iteration, rank=rank, world=2)
        return torch.rand(4)

    assert torch.equal(drawn(5), drawn(5, before=99))
    for other in (drawn(6), drawn(5, rank=1), drawn(5, seed=1)):
        assert not torch.equal(drawn(5), other)


def test_the_noise_disturbs_nothing_else(make_gan):
    model = make_gan()
    model.begin_iteration()
    state = torch.get_rng_state()
    model.draw_latents(16)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_network_with_dropout_trains_alike_from_any_start(make_gan, tiny_data, fit):
    """What a resume relies on: weights after iterations 3 and 4 do not depend on what was drawn before."""

    def build():
        model = make_gan(max_iterations=4)
        model.discriminator.layers.insert(1, nn.Dropout(0.5))
        return model

    whole = build()
    fit(whole, tiny_data())
    first = build()
    first.max_iterations = 2
    fit(first, tiny_data())
    second = build()
    second.load_state_dict(first.state_dict())
    second.iteration = 2
    torch.manual_seed(1234)
    fit(second, tiny_data(start=2))
    assert second.iteration == 4
    for name, weight in whole.state_dict().items():
        assert torch.equal(second.state_dict()[name], weight), name


@pytest.mark.parametrize("prior", ["normal", "uniform"])
def test_the_prior(make_gan, prior):
    model = make_gan(prior=prior)
    latents = model.latents(20_000, torch.Generator().manual_seed(0))
    assert latents.shape == (20_000, 3)
    assert abs(latents.mean()) < 0.02
    if prior == "uniform":
        assert -1 <= latents.min() < -0.999 and 0.999 < latents.max() <= 1
        assert latents.var().item() == pytest.approx(1 / 3, rel=0.02)
    else:
        assert latents.var().item() == pytest.approx(1, rel=0.03)
        assert latents.abs().max() > 3
    assert noise(model, 0, count=1000).abs().max() <= (1 if prior == "uniform" else 10)


# -- conditions ---------------------------------------------------------------------------------------------------


def test_labels_become_one_hot_and_attributes_stay(make_gan):
    model = make_gan(condition_size=4)
    labels = torch.tensor([2, 0, 3])
    assert model.condition_vectors(labels).tolist() == [[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]]
    attributes = torch.tensor([[1.0, 0.0, 1.0, 1.0]])
    assert torch.equal(model.condition_vectors(attributes), attributes)
    assert model.condition_vectors(None) is None
    assert make_gan().condition_vectors(labels) is None


def test_an_unconditional_model_trains_on_labelled_data_and_ignores_the_labels(make_gan, tiny_data, fit):
    labelled, plain = make_gan(), make_gan()
    data = tiny_data(classes=3)
    fit(labelled, data)
    data.batches = [batch._replace(conditions=None) for batch in data.batches]
    fit(plain, data)
    for name, weight in plain.state_dict().items():
        assert torch.equal(labelled.state_dict()[name], weight)


def test_generated_samples_take_the_conditions_of_the_real_batch(make_gan, tiny_data, fit):
    model, data = make_gan(condition_size=3, max_iterations=1, discriminator_updates=2), tiny_data(8, classes=3)
    asked = []
    model.generator.register_forward_pre_hook(lambda module, args: asked.append(args[1]))
    fit(model, data)
    labels = data.batches[0].conditions
    assert [vectors.argmax(1).tolist() for vectors in asked] == [labels[:4].tolist(), labels[4:].tolist()]


# -- sampling -----------------------------------------------------------------------------------------------------


@pytest.fixture(params=[0.0, 0.9], ids=["plain", "averaged"])
def trained(request, make_gan, tiny_data, fit):
    """A conditional DCGAN with batch norm, after a few steps, with or without an average."""
    model = make_gan([1, 8, 8], "dcgan", condition_size=3, ema_decay=request.param, max_iterations=3)
    fit(model, tiny_data(6, [1, 8, 8], classes=3))
    return model


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def test_samples_follow_from_the_generator_and_the_condition(trained):
    labels = torch.tensor([0, 1, 2, 0])
    samples = trained.sample(4, labels, seeded(1))
    assert samples.shape == (4, 1, 8, 8)
    assert not samples.requires_grad
    assert samples.abs().max() <= 1
    torch.randn(10)
    assert torch.equal(trained.sample(4, labels, seeded(1)), samples)
    assert not torch.equal(trained.sample(4, labels, seeded(2)), samples)
    assert not torch.equal(trained.sample(4, (labels + 1) % 3, seeded(1))[0], samples[0])
    assert torch.equal(trained.decode(trained.latents(4, seeded(1)), labels), samples)


def test_chunks_make_what_the_whole_makes(trained):
    latents, labels = trained.latents(12, seeded(1)), torch.arange(12) % 3
    whole = trained.decode(latents, labels)
    parts = [trained.decode(latents[i : i + 5], labels[i : i + 5]) for i in range(0, 12, 5)]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=1e-4, atol=1e-8)
    scores = trained.score(whole, labels)
    parts = [trained.score(whole[i : i + 5], labels[i : i + 5]) for i in range(0, 12, 5)]
    torch.testing.assert_close(torch.cat(parts), scores, rtol=1e-4, atol=1e-8)


def test_samples_are_the_averages_where_there_is_one(trained):
    network = trained.generator if trained.generator_ema is None else trained.generator_ema.network
    latents, labels = trained.latents(5, seeded(3)), torch.tensor([0, 1, 2, 1, 0])
    expected = network.eval()(latents, torch.eye(3)[labels])
    assert torch.equal(trained.decode(latents, labels), expected)
    if trained.generator_ema is not None:
        assert not torch.equal(trained.generator.eval()(latents, torch.eye(3)[labels]), expected)


def test_sampling_and_scoring_leave_the_model_as_it_was(trained):
    trained.train()
    trained.generator.layers[0].eval()  # a mode of its own, in the midst of the others
    trained.discriminator.layers[1].eval()
    modes = {name: module.training for name, module in trained.named_modules()}
    state = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    labels = torch.tensor([0, 1])
    trained.score(trained.sample(2, labels, seeded(0)), labels)
    with pytest.raises(RuntimeError):
        trained.decode(torch.zeros(2, 99), labels)
    assert {name: module.training for name, module in trained.named_modules()} == modes
    assert all(torch.equal(tensor, state[name]) for name, tensor in trained.state_dict().items())


def test_the_score_is_the_discriminators_raw_output(trained):
    images, labels = torch.rand(4, 1, 8, 8), torch.tensor([0, 1, 2, 0])
    expected = trained.discriminator.eval()(images, torch.eye(3)[labels])
    assert torch.equal(trained.score(images, labels), expected)
    assert expected.shape == (4,)


def test_a_model_that_does_not_generate_says_so():
    silent = GenerativeModel(name="silent", sample_shape=[2], latent_dim=3)
    with pytest.raises(TypeError, match="GenerativeModel does not generate"):
        silent.sample(2)


# -- set up and checkpoints ---------------------------------------------------------------------------------------


def test_convolutions_are_channels_last_unless_told_otherwise(make_gan):
    assert make_gan([1, 8, 8], "dcgan").channels_last
    assert not make_gan([1, 8, 8], "mlp").channels_last
    model = make_gan([3, 8, 8], "dcgan", ema_decay=0.9)
    for weight in (model.generator.layers[2].weight, model.generator_ema.network.layers[2].weight):
        assert weight.is_contiguous(memory_format=torch.channels_last)
    model.channels_last = False
    model.prepare_training(optimizers={}, seed=0, max_iterations=1, channels_last=False)
    assert not model.channels_last


def test_a_checkpoint_brings_back_the_count_the_optimizers_the_schedule_and_the_average(
    make_gan, tiny_data, fit, tmp_path
):
    adam = {"algorithm": "adam", "lr": 1e-2, "betas": [0.5, 0.9], "schedule": "linear", "decay_from": 0.0}
    options = {"optimizer": adam, "ema_decay": 0.9, "max_iterations": 6}
    whole = make_gan(**options)
    fit(whole, tiny_data())

    class SaveAndStop(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            if pl_module.iteration == 3:
                trainer.save_checkpoint(tmp_path / "three.ckpt")
                trainer.should_stop = True

    first = make_gan(**options)
    fit(first, tiny_data(), SaveAndStop())
    assert first.iteration == 3
    assert torch.load(tmp_path / "three.ckpt", weights_only=True)["iteration"] == 3
    second = make_gan(**options)
    fit(second, tiny_data(start=3), ckpt_path=tmp_path / "three.ckpt")
    assert second.iteration == 6
    for name, weight in whole.state_dict().items():
        assert torch.equal(second.state_dict()[name], weight), name
    assert [scheduler.last_epoch for scheduler in second._schedulers.values()] == [6, 6]
