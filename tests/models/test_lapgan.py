"""`LAPGAN`: its iteration against a plain PyTorch loop written by hand, who is trained when, and what is drawn."""

import copy

import pytest
import torch
from lightning import Callback
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from torch.nn.functional import interpolate, one_hot

from ganlab.errors import ConfigError
from ganlab.models.lapgan import LAPGAN, AverageInTurn, level_in_turn
from ganlab.tasks.building import build_model
from recording import recording

ADAM = {"algorithm": "adam", "lr": 2e-3, "betas": [0.5, 0.999]}


def make_lapgan(levels=2, shape=(1, 8, 8), optimizer=ADAM, max_iterations=4, accumulate=1, **options):
    torch.manual_seed(11)
    network = {"sample_shape": list(shape), "width": 3, "coarsest": "mlp", "coarsest_width": 4}
    model = LAPGAN(
        name="tiny",
        sample_shape=list(shape),
        latent_dim=6,
        levels=levels,
        generator={"_target_": "ganlab.networks.lapgan.PyramidGenerator", **network, **options.pop("generator", {})},
        discriminator={
            "_target_": "ganlab.networks.lapgan.PyramidDiscriminator",
            **network,
            **options.pop("discriminator", {}),
        },
        **options,
    )
    model.prepare_training(
        optimizers={"generator": dict(optimizer), "discriminator": dict(optimizer)},
        seed=0,
        max_iterations=max_iterations,
        accumulate=accumulate,
    )
    return model


def halved(images):
    side = images.shape[2] // 2
    return interpolate(images, (side, side), mode="bilinear", antialias=True)


def doubled(images):
    return interpolate(images, scale_factor=2, mode="bilinear")


def inputs_of(images, level, levels):
    """What a level's players are given of real images: (h,), l; at the coarsest the images and nothing."""
    for _ in range(level):
        images = halved(images)
    if level == levels - 1:
        return images, ()
    low_pass = doubled(halved(images))
    return images - low_pass, (low_pass,)


def latents_of(drawn, level, levels):
    """Six latents in equal parts, the coarsest level's first."""
    part = 6 // levels
    return drawn[:, (levels - 1 - level) * part : (levels - level) * part]


class PlainLevel:
    """One level's conditional GAN with optimizers of its own, as anyone would write it."""

    def __init__(self, model, level, make_optimizer):
        self.level, self.levels = level, model.levels
        self.generator = copy.deepcopy(model.generator.levels[level])
        self.discriminator = copy.deepcopy(model.discriminator.levels[level])
        self.optimizer_g = make_optimizer(self.generator.parameters())
        self.optimizer_d = make_optimizer(self.discriminator.parameters())

    def iterate(self, real, conditions, drawn, updates, accumulate):
        parts = real.chunk(updates * accumulate)
        asked = [None] * len(parts) if conditions is None else conditions.chunk(updates * accumulate)

        def made(index):
            residuals, low_pass = inputs_of(parts[index], self.level, self.levels)
            latents = latents_of(next(drawn), self.level, self.levels)
            return residuals, low_pass, self.generator(latents, *low_pass, asked[index])

        for update in range(updates):
            self.optimizer_d.zero_grad()
            for index in range(update * accumulate, (update + 1) * accumulate):
                residuals, low_pass, fakes = made(index)
                on_real = self.discriminator(residuals, *low_pass, asked[index])
                on_fake = self.discriminator(fakes.detach(), *low_pass, asked[index])
                loss_d = cross_entropy(on_real, torch.ones_like(on_real))
                loss_d = loss_d + cross_entropy(on_fake, torch.zeros_like(on_fake))
                (loss_d / accumulate).backward()
            self.optimizer_d.step()
        self.optimizer_g.zero_grad()
        for index in range(-accumulate, 0):
            if accumulate > 1:
                _, low_pass, fakes = made(index)
            scores = self.discriminator(fakes, *low_pass, asked[index])
            loss_g = cross_entropy(scores, torch.ones_like(scores))
            (loss_g / accumulate).backward()
        self.optimizer_g.step()
        self.losses = loss_d.item(), loss_g.item()


def assert_level(model, plain):
    for network in ("generator", "discriminator"):
        expected = getattr(plain, network).state_dict()
        for name, tensor in getattr(model, network).levels[plain.level].state_dict().items():
            torch.testing.assert_close(
                tensor, expected[name], rtol=1e-9, atol=1e-11, msg=lambda m, n=name: f"level {plain.level}, {n}: {m}"
            )


class LastOutputs(Callback):
    def __init__(self):
        self.all = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.outputs = dict(outputs)
        self.all.append(self.outputs)


def plain_adam(parameters):
    return torch.optim.Adam(parameters, lr=2e-3, betas=(0.5, 0.999))


CASES = [(1, 1, 1, 0), (2, 1, 1, 0), (3, 1, 1, 0), (2, 2, 1, 3), (3, 2, 2, 0), (2, 1, 2, 3)]


@pytest.mark.parametrize(("levels", "updates", "accumulate", "classes"), CASES)
def test_levels_together_are_as_many_plain_gans_side_by_side(tiny_data, fit, levels, updates, accumulate, classes):
    model = make_lapgan(
        levels, accumulate=accumulate, discriminator_updates=updates, condition_size=classes, max_iterations=3
    ).double()
    plain = [PlainLevel(model, level, plain_adam) for level in range(levels)]
    drawn, last = recording(model), LastOutputs()
    data = tiny_data(4 * updates * accumulate, (1, 8, 8), classes, dtype=torch.float64)
    fit(model, data, last)

    for level in plain:
        served = iter(drawn)
        for real, labels, _ in data.batches:
            conditions = one_hot(labels, classes).double() if classes else None
            level.iterate(real, conditions, served, updates, accumulate)
        assert next(served, None) is None
        assert_level(model, level)
    measured = {tag: value.item() for tag, value in last.outputs.items()}
    for index, player in enumerate(("discriminator", "generator")):
        losses = [level.losses[index] for level in plain]
        assert measured[f"loss/{player}"] == pytest.approx(sum(losses), rel=1e-9)
        of_levels = {f"loss/{player}_level_{level}": loss for level, loss in enumerate(losses)} if levels > 1 else {}
        logged = {tag: value for tag, value in measured.items() if tag.startswith(f"loss/{player}_level")}
        assert logged == pytest.approx(of_levels, rel=1e-9)


@pytest.mark.parametrize("levels", [2, 3])
def test_levels_in_turn_are_plain_gans_one_after_the_other_coarsest_first(tiny_data, fit, levels):
    """Each with an optimizer that begins with its turn: no momentum and no step count of Adam's comes before."""
    model = make_lapgan(levels, train_levels="in_turn", max_iterations=3 * levels).double()
    plain = [PlainLevel(model, level, plain_adam) for level in range(levels)]
    drawn, outputs, data = recording(model), LastOutputs(), tiny_data(4, (1, 8, 8), dtype=torch.float64)
    fit(model, data, outputs)

    served = iter(drawn)
    for turn, level in enumerate(reversed(plain)):
        for index in range(3):
            level.iterate(data.batches[index].samples, None, served, 1, 1)
            measured = outputs.all[3 * turn + index]
            tags = {f"loss/discriminator_level_{level.level}", f"loss/generator_level_{level.level}"}
            assert {tag for tag in measured if "level" in tag} == tags
            sums = [measured["loss/discriminator"].item(), measured["loss/generator"].item()]
            assert sums == pytest.approx(list(level.losses), rel=1e-9)
        assert_level(model, level)


class States(Callback):
    """Copies of both players and of the average, from before the first iteration on."""

    def on_train_start(self, trainer, pl_module):
        self.all = [self.taken(pl_module)]

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.all.append(self.taken(pl_module))

    def taken(self, model):
        networks = {"generator": model.generator, "discriminator": model.discriminator}
        networks["average"] = model.generator_ema.network
        return {
            (player, level): copy.deepcopy(network.levels[level].state_dict())
            for player, network in networks.items()
            for level in range(model.levels)
        }


def equal(one, other):
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.mark.parametrize("algorithm", ["adam", "adamw", "sgd", "rmsprop"])
def test_in_its_turn_a_level_is_trained_and_of_the_others_nothing_moves(tiny_data, fit, algorithm):
    """Bit for bit: weights, batch norm's statistics and averages, under momentum and weight decay."""
    optimizer = {"algorithm": algorithm, "lr": 1e-2, "weight_decay": 0.1, "clip_norm": 1.0}
    optimizer |= {"momentum": 0.9} if algorithm in ("sgd", "rmsprop") else {}
    model = make_lapgan(3, optimizer=optimizer, train_levels="in_turn", ema_decay=0.9, max_iterations=7)
    states = States()
    fit(model, tiny_data(4, (1, 8, 8)), states)
    turns = [2, 2, 2, 1, 1, 0, 0]
    for iteration, level in enumerate(turns):
        before, after = states.all[iteration], states.all[iteration + 1]
        moved = {key for key in before if not equal(before[key], after[key])}
        assert moved == {("generator", level), ("discriminator", level), ("average", level)}, iteration


def test_turns_are_equal_parts_of_the_run_coarsest_first():
    assert [level_in_turn(i, 7, 3) for i in range(7)] == [(2, 0)] * 3 + [(1, 3)] * 2 + [(0, 5)] * 2
    assert [level_in_turn(i, 4, 2) for i in range(6)] == [(1, 0)] * 2 + [(0, 2)] * 4
    for most, levels in [(100, 3), (1200, 5), (9, 9), (17, 4)]:
        turns = [level_in_turn(i, most, levels) for i in range(most)]
        lengths = [sum(level == wanted for level, _ in turns) for wanted in range(levels)]
        assert min(lengths) >= most // levels and max(lengths) <= -(-most // levels)
        assert all(turns.index(turn) == turn[1] for turn in turns)


def test_the_average_counts_from_a_levels_own_turn(tiny_data, fit):
    model, states = make_lapgan(2, train_levels="in_turn", ema_decay=0.3, max_iterations=8), States()
    fit(model, tiny_data(4, (1, 8, 8)), states)
    assert isinstance(model.generator_ema, AverageInTurn)
    for level, first in [(1, 0), (0, 4)]:
        expected = states.all[0]["generator", level]
        for finished in range(1, 5):
            decay = min(0.3, (1 + finished) / (10 + finished))
            now = states.all[first + finished]["generator", level]
            expected = {name: decay * old + (1 - decay) * now[name] for name, old in expected.items()}
            for name, tensor in states.all[first + finished]["average", level].items():
                if tensor.is_floating_point():
                    torch.testing.assert_close(tensor, expected[name], rtol=1e-5, atol=1e-7)
                else:
                    assert torch.equal(tensor, now[name])
        # What the average was at the end of the turn, it is at the end of the run.
        assert equal(states.all[first + 4]["average", level], states.all[-1]["average", level])


def test_together_the_average_is_everyones(tiny_data, fit):
    model, states = make_lapgan(2, ema_decay=0.3, max_iterations=2), States()
    fit(model, tiny_data(4, (1, 8, 8)), states)
    for key in (("average", 0), ("average", 1)):
        assert not equal(states.all[0][key], states.all[1][key]) and not equal(states.all[1][key], states.all[2][key])
    assert make_lapgan(2, train_levels="in_turn").generator_ema is None


def test_the_coarse_image_is_real_in_training_and_generated_in_sampling(tiny_data, fit):
    model, given = make_lapgan(3, (3, 8, 8), max_iterations=1), []
    make = model.generator.make

    def noting(level, part, low_pass, conditions=None):
        given.append((level, low_pass))
        return make(level, part, low_pass, conditions)

    model.generator.make = noting
    data = tiny_data(4, (3, 8, 8))
    fit(model, data)
    real, seen = data.batches[0].samples, dict(given)
    assert sorted(seen) == [0, 1, 2] and seen[2] is None
    torch.testing.assert_close(seen[0], doubled(halved(real)))
    torch.testing.assert_close(seen[1], doubled(halved(halved(real))))

    given.clear()
    coarse, middle, fine = model.stages(model.latents(5, torch.Generator().manual_seed(0)))
    seen = dict(given)
    assert list(seen) == [2, 1, 0]
    torch.testing.assert_close(seen[1], doubled(coarse))
    torch.testing.assert_close(seen[0], doubled(middle))
    assert [tuple(images.shape) for images in (coarse, middle, fine)] == [(5, 3, s, s) for s in (2, 4, 8)]


@pytest.mark.parametrize("train_levels", ["together", "in_turn"])
def test_the_last_stage_is_what_is_decoded_by_the_averaged_generator(tiny_data, fit, train_levels):
    model = make_lapgan(2, condition_size=3, ema_decay=0.5, train_levels=train_levels)
    fit(model, tiny_data(4, (1, 8, 8), 3))
    model.train()
    latents, labels = model.latents(6), torch.tensor([0, 1, 2, 0, 1, 2])
    stages = model.stages(latents, labels)
    assert torch.equal(stages[-1], model.decode(latents, labels))
    assert model.generator.training and not any(images.requires_grad for images in stages)
    by_hand = model.generator_ema.network.stages(latents, one_hot(labels, 3).float())
    assert all(torch.equal(made, expected) for made, expected in zip(stages, by_hand, strict=True))
    last = model.generator.eval().stages(latents, one_hot(labels, 3).float())
    assert not torch.allclose(stages[-1], last[-1], atol=1e-6)
    assert not torch.allclose(stages[0], model.stages(latents, labels.flip(0))[0], atol=1e-6)
    assert model.weights_sampled == "averaged"


@pytest.mark.parametrize(
    "options",
    [{}, {"historical_averaging": 0.1}, {"balanced": True}, {"augment": ["translation", "cutout"]}, {"r1": 1}],
)
def test_one_level_is_a_plain_gan_with_whatever_it_may_have(make_gan, tiny_data, fit, options):
    shape, common = [1, 16, 16], {"optimizer": ADAM, "max_iterations": 3, "ema_decay": 0.5, **options}
    auto = {"coarsest": "auto"}
    model = make_lapgan(1, shape, generator=auto, discriminator=auto, train_levels="in_turn", **common)
    gan = make_gan(shape, "dcgan", latent_dim=6, discriminator={"norm": "none"}, **common)
    for fitted in (model, gan):
        fit(fitted, tiny_data(4, shape))
    for player in ("generator", "discriminator"):
        assert equal(getattr(gan, player).state_dict(), getattr(model, player).levels[0].state_dict())
    images = torch.rand(3, *shape)
    assert torch.equal(model.score(images), gan.score(images))


def test_penalties_and_instance_noise_are_each_levels_own(tiny_data, fit):
    model, last = make_lapgan(2, r1=0.5, gradient_penalty=2.0, max_iterations=1).double(), LastOutputs()
    before, data = copy.deepcopy(model.discriminator), tiny_data(4, (1, 8, 8), dtype=torch.float64)
    shares, drawn = recording(model, "draw_shared"), recording(model)
    generator = copy.deepcopy(model.generator)
    fit(model, data, last)
    r1, centred, norms = 0.0, 0.0, []
    for level, share in zip(range(2), shares, strict=True):
        residuals, low_pass = inputs_of(data.batches[0].samples, level, 2)
        fakes = generator.levels[level](latents_of(drawn[0], level, 2), *low_pass, None).detach()
        r1 += 0.5 * gradient(before.levels[level], residuals, low_pass).square().sum(1).mean().item() / 2
        weight = share.view(-1, 1, 1, 1)
        mixed = weight * residuals + (1 - weight) * fakes
        norms.append(gradient(before.levels[level], mixed, low_pass).norm(dim=1))
        centred += 2.0 * (norms[-1] - 1).square().mean().item()
    values = {tag: value.item() for tag, value in last.outputs.items()}
    assert values["penalty/r1"] == pytest.approx(r1, rel=1e-9)
    assert values["penalty/gradient"] == pytest.approx(centred, rel=1e-9)
    assert values["grad_norm/critic_mean"] == pytest.approx(torch.stack(norms).mean().item(), rel=1e-9)
    terms = values["loss/discriminator_real"] + values["loss/discriminator_fake"] + r1 + centred
    assert values["loss/discriminator"] == pytest.approx(terms, rel=1e-9)


def gradient(network, residuals, low_pass):
    residuals = residuals.clone().requires_grad_()
    return torch.autograd.grad(network(residuals, *low_pass).sum(), residuals)[0].flatten(1)


def test_noise_and_relativistic_scores_reach_every_level(tiny_data, fit):
    plain = make_lapgan(2, max_iterations=1)
    fit(plain, tiny_data(4, (1, 8, 8)))
    for options in (
        {"instance_noise": 0.5},
        {"relativistic": "paired"},
        {"relativistic": "average"},
        {"loss": "hinge"},
    ):
        model, last = make_lapgan(2, max_iterations=1, **options), LastOutputs()
        fit(model, tiny_data(4, (1, 8, 8)), last)
        for level in range(2):
            one, other = model.discriminator.levels[level], plain.discriminator.levels[level]
            assert not equal(one.state_dict(), other.state_dict()), (options, level)
    assert last.outputs["score/real"].ndim == 0


def test_without_measuring_only_the_losses_are_computed(tiny_data, fit):
    model, last = make_lapgan(2, max_iterations=1), LastOutputs()
    model.measuring = False
    fit(model, tiny_data(4, (1, 8, 8)), last)
    assert last.outputs.keys() == {"loss/discriminator", "loss/generator"}


def test_scores_are_sums_and_accuracies_means_over_the_levels(tiny_data, fit):
    model, last = make_lapgan(2, max_iterations=1).double(), LastOutputs()
    before, data = copy.deepcopy(model.discriminator), tiny_data(4, (1, 8, 8), dtype=torch.float64)
    fit(model, data, last)
    real = data.batches[0].samples
    with torch.no_grad():
        scores = [before.levels[k](*inputs[:1], *inputs[1]) for k in range(2) for inputs in [inputs_of(real, k, 2)]]
        assert last.outputs["score/real"].item() == pytest.approx(before(real).mean().item(), rel=1e-9)
    shares = [(level > 0).double().mean().item() for level in scores]
    assert last.outputs["accuracy/discriminator_real"].item() == pytest.approx(sum(shares) / 2)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"augment": ["color"]}, r"model\.augment=\['color'\]: .*set model\.augment=\[\] or model\.levels=1"),
        ({"historical_averaging": 0.5}, r"model\.historical_averaging=0\.5: .*set model\.historical_averaging=0 or"),
        ({"balanced": True}, r"model\.balanced=True: .*set model\.balanced=false or model\.levels=1"),
    ],
)
def test_what_takes_a_single_discriminator_is_refused_with_several_levels(options, line):
    with pytest.raises(ConfigError, match=line):
        make_lapgan(2, **options)


def test_a_run_too_short_for_every_turn_is_refused():
    with pytest.raises(ConfigError, match=r"trainer\.max_iterations=2: 3 levels in turn .*at least 3"):
        make_lapgan(3, train_levels="in_turn", max_iterations=2)
    make_lapgan(3, train_levels="together", max_iterations=2)


def test_the_configuration_makes_the_papers_model(settings):
    config = settings("model=lapgan", "data=digits", "model.levels=3")
    assert config["model"]["prior"] == "uniform" and config["model"]["condition_size"] == 0
    model = build_model(config)
    assert isinstance(model, LAPGAN) and len(model.generator.levels) == len(model.discriminator.levels) == 3
    assert [tuple(images.shape[1:]) for images in model.stages(model.latents(2))] == [(1, s, s) for s in (4, 8, 16)]
    conditional = build_model(settings("model=lapgan", "data=digits", "model.condition_size=${data.condition_size}"))
    assert conditional.condition_size == 10
