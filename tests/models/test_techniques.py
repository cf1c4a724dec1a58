"""What goes with every adversarial model, in its iteration: against loops and formulas written by hand."""

import copy
import itertools
import re

import pytest
import torch
from lightning import Callback
from torch.nn.functional import softplus

from ganlab.errors import ConfigError
from ganlab.objectives.augmentation import SHARES, augmented
from recording import recording

SGD = {"algorithm": "sgd", "lr": 0.05}


class Outputs(Callback):
    """What each iteration returned."""

    def __init__(self):
        self.rows = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.rows.append({tag: value.item() for tag, value in outputs.items()})


def descended(network, before, loss):
    """Whether one step of plain gradient descent on the loss leads from `before` to the network."""
    names, parameters = zip(*before.named_parameters(), strict=True)
    gradients = torch.autograd.grad(loss, parameters, retain_graph=True)
    for name, old, gradient in zip(names, parameters, gradients, strict=True):
        torch.testing.assert_close(
            network.get_parameter(name), old - 0.05 * gradient, rtol=1e-9, atol=1e-12, msg=lambda m, n=name: f"{n}: {m}"
        )


# -- relativistic ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("relativity", ["paired", "average"])
def test_a_relativistic_iteration_descends_the_papers_losses(make_gan, tiny_data, fit, relativity):
    model = make_gan(optimizer=SGD, max_iterations=1, relativistic=relativity).double()
    critic, generator = copy.deepcopy(model.discriminator), copy.deepcopy(model.generator)
    drawn, data, outputs = recording(model), tiny_data(dtype=torch.float64), Outputs()
    fit(model, data, outputs)

    real, fakes = data.batches[0].samples, generator(drawn[0])

    def loss(critic, signs):
        """Of both terms; signs 1, -1 for the discriminator, exchanged for the generator."""
        on_real, on_fake = critic(real), critic(fakes)
        rest_of_fake = on_fake if relativity == "paired" else on_fake.mean()
        rest_of_real = on_real if relativity == "paired" else on_real.mean()
        real_sign, fake_sign = signs
        of_real = softplus(-real_sign * (on_real - rest_of_fake)).mean()
        of_fake = softplus(-fake_sign * (on_fake - rest_of_real)).mean()
        return of_real if relativity == "paired" else of_real + of_fake  # of pairs both are the same

    descended(model.discriminator, critic, loss(critic, (1, -1)))
    descended(model.generator, generator, loss(model.discriminator, (-1, 1)))
    assert outputs.rows[0]["loss/generator"] == pytest.approx(loss(model.discriminator, (-1, 1)).item(), rel=1e-9)


# -- instance noise -------------------------------------------------------------------------------------------


def shown_to_the_discriminator(model):
    """All that the discriminator is given, in its order."""
    seen, observe = [], model.observe

    def observe_and_keep(samples, condition):
        seen.append(samples.detach().clone())
        return observe(samples, condition)

    model.observe = observe_and_keep
    return seen


def test_instance_noise_falls_on_a_line_to_nothing(make_gan, tiny_data, fit):
    outputs = Outputs()
    fit(
        make_gan(max_iterations=10, instance_noise=0.8, instance_noise_until=0.5),
        tiny_data(),
        outputs,
    )
    stds = [row["instance_noise/std"] for row in outputs.rows]
    assert stds == pytest.approx([0.8, 0.64, 0.48, 0.32, 0.16, 0, 0, 0, 0, 0], abs=1e-6)


def test_instance_noise_is_on_real_and_generated_samples_in_both_players_steps(make_gan, tiny_data, fit):
    model = make_gan(max_iterations=2, instance_noise=0.5, instance_noise_until=1.0)
    rows, clean = 20_000, copy.deepcopy(model.generator)
    drawn, seen, data = recording(model), shown_to_the_discriminator(model), tiny_data(rows)
    fit(model, data)
    real, fakes = data.batches[0].samples, clean(drawn[0]).detach()
    noises = [seen[0] - real, seen[1] - fakes, seen[2] - fakes]
    for noise in noises:
        assert noise.std().item() == pytest.approx(0.5, abs=0.01) and abs(noise.mean().item()) < 0.02
    for first, second in itertools.combinations(noises, 2):
        correlation = (first * second).mean() / 0.25
        assert abs(correlation.item()) < 0.03, "each is a draw of its own"
    assert (seen[3] - data.batches[1].samples).std().item() == pytest.approx(0.25, abs=0.01)


def test_the_generator_learns_through_the_noise(make_gan, tiny_data, fit):
    model = make_gan(optimizer=SGD, max_iterations=1, instance_noise=0.5).double()
    generator = copy.deepcopy(model.generator)
    drawn, seen, data = recording(model), shown_to_the_discriminator(model), tiny_data(dtype=torch.float64)
    fit(model, data)
    fakes = generator(drawn[0])
    noise = seen[2] - fakes.detach()
    descended(model.generator, generator, softplus(-model.discriminator(fakes + noise)).mean())


# -- augmentation ---------------------------------------------------------------------------------------------


def test_the_discriminator_sees_nothing_but_augmented_images(make_gan, tiny_data, fit):
    policy = ["color", "translation", "cutout"]
    model = make_gan([3, 8, 8], "dcgan", max_iterations=1, augment=policy)
    generator = copy.deepcopy(model.generator)
    drawn, shares = recording(model), recording(model, "draw_shared")
    seen, data = shown_to_the_discriminator(model), tiny_data(4, [3, 8, 8])
    fit(model, data)
    assert [share.shape for share in shares] == [(4, SHARES)] * 3
    fakes = generator(drawn[0]).detach()
    for shown, plain, share in zip(seen, [data.batches[0].samples, fakes, fakes], shares, strict=True):
        torch.testing.assert_close(shown, augmented(plain, policy, share))
    assert not torch.equal(shares[0], shares[1]) and not torch.equal(shares[1], shares[2])


# -- historical averaging -------------------------------------------------------------------------------------


def test_each_player_is_pulled_to_its_own_past(make_gan, tiny_data, fit):
    plain, pulled = (
        make_gan(optimizer=SGD, max_iterations=3, historical_averaging=weight).double() for weight in (0.0, 0.7)
    )
    past = {player: [] for player in ("generator", "discriminator")}

    class Follow(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            for player, weights in past.items():
                weights.append([p.detach().clone() for p in pl_module.parameters_of(player)])
            self.outputs = outputs

    follow, data = Follow(), tiny_data(dtype=torch.float64)
    fit(pulled, data, follow)
    for player, weights in past.items():
        # The penalty of the third update was about the mean of the first two.
        means = [(first + second) / 2 for first, second in zip(weights[0], weights[1], strict=True)]
        distance = sum(float((now - mean).square().sum()) for now, mean in zip(weights[1], means, strict=True))
        assert follow.outputs[f"penalty/history_{player}"].item() == pytest.approx(0.7 * distance, rel=1e-9)
        assert distance > 0
    fit(plain, data)
    assert not torch.equal(plain.parameters_of("generator")[0], pulled.parameters_of("generator")[0])


def test_history_goes_on_after_a_stop(make_gan, tiny_data, fit, tmp_path):
    whole, half = (make_gan(max_iterations=n, historical_averaging=0.5) for n in (4, 2))
    fit(whole, tiny_data())
    fit(half, tiny_data()).save_checkpoint(tmp_path / "half.ckpt")
    rest = make_gan(max_iterations=4, historical_averaging=0.5)
    fit(rest, tiny_data(start=2), ckpt_path=tmp_path / "half.ckpt")
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, rest.state_dict()[name]), name


# -- balanced updates -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_player_with_the_larger_loss_is_trained_and_no_other(make_gan, tiny_data, fit, accumulate):
    class Follow(Outputs):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            self.before = copy.deepcopy(pl_module.state_dict())

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
            after = pl_module.state_dict()
            moved = {name.split(".")[0] for name in after if not torch.equal(after[name], self.before[name])}
            self.rows[-1]["moved"] = moved - {"updates_so_far", "streaks"}

    model = make_gan(
        optimizer={"algorithm": "sgd", "lr": 0.8},
        max_iterations=40,
        balanced=True,
        longest_streak=None,
        accumulate=accumulate,
    ).double()
    follow = Follow()
    fit(model, tiny_data(8 * accumulate, dtype=torch.float64), follow)
    trained = {"discriminator": 0, "generator": 0}
    for row in follow.rows:
        larger = "discriminator" if row["balance/discriminator"] > row["balance/generator"] else "generator"
        if accumulate == 1:
            assert row["moved"] == {larger}
        assert len(row["moved"]) == 1
        trained[row["moved"].pop()] += 1
        assert {player: row[f"updates/{player}"] for player in trained} == trained
    assert min(trained.values()) >= 5, "both had their turn"


def test_after_a_streak_it_is_the_others_turn(make_gan, tiny_data, fit, tmp_path):
    """With learning rates of 0 the losses say the same for ever; a stop within a streak changes nothing."""
    still = {"algorithm": "sgd", "lr": 0.0}

    def order(outputs):
        counts = [(0, 0), *((row["updates/discriminator"], row["updates/generator"]) for row in outputs.rows)]
        return ["D" if after[0] > before[0] else "G" for before, after in itertools.pairwise(counts)]

    def run(last, start=0, **options):
        model, outputs = make_gan(optimizer=still, max_iterations=last, balanced=True, longest_streak=3), Outputs()
        with torch.no_grad():
            model.discriminator.layers[-1].bias.fill_(-2.0)
        trainer = fit(model, tiny_data(start=start), outputs, **options)
        return order(outputs), trainer

    whole, _ = run(10)
    assert "".join(whole) == "GGGDGGGDGG"
    first, trainer = run(6)
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    rest, _ = run(10, start=6, ckpt_path=tmp_path / "half.ckpt")
    assert first == whole[:6] and rest[1:] == whole[7:], "the first of the rest is counted from where it stopped"


def test_a_balanced_update_of_each_player_is_that_of_a_plain_loop(make_gan, tiny_data, fit):
    for favoured in ("discriminator", "generator"):
        model = make_gan(optimizer=SGD, max_iterations=1, balanced=True).double()
        # A bias of the score decides whose loss is larger.
        with torch.no_grad():
            model.discriminator.layers[-1].bias.fill_(2.0 if favoured == "discriminator" else -2.0)
        critic, generator = copy.deepcopy(model.discriminator), copy.deepcopy(model.generator)
        drawn, data, outputs = recording(model), tiny_data(dtype=torch.float64), Outputs()
        fit(model, data, outputs)
        assert len(drawn) == 2, "once to evaluate, once to train"
        real, fakes = data.batches[0].samples, generator(drawn[0])
        compared = [
            (softplus(-critic(real)).mean() + softplus(critic(fakes)).mean()) / 2,
            softplus(-critic(fakes)).mean(),
        ]
        for player, loss in zip(("discriminator", "generator"), compared, strict=True):
            assert outputs.rows[0][f"balance/{player}"] == pytest.approx(loss.item(), rel=1e-9)
        fakes = generator(drawn[1])
        if favoured == "discriminator":
            descended(model.discriminator, critic, softplus(-critic(real)).mean() + softplus(critic(fakes)).mean())
        else:
            descended(model.generator, generator, softplus(-critic(fakes)).mean())


# -- what does not go together --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("networks", "options", "said"),
    [
        ("mlp", {"augment": ["color"]}, r"model\.augment=\['color'\]: these are operations on images"),
        (
            "mlp",
            {"balanced": True, "discriminator_updates": 2},
            r"model\.discriminator_updates=2: with model\.balanced",
        ),
        ("mlp", {"loss": "hinge", "label_smoothing": 0.1}, r"model\.label_smoothing=0\.1: the hinge loss has margins"),
        ("dcgan", {"r1": 1.0}, r"model\.discriminator: with BatchNorm2d .* set model\.discriminator\.norm=none"),
        ("mlp", {"gradient_penalty": 1.0, "discriminator": {"minibatch_kernels": 4}}, "with MinibatchDiscrimination"),
    ],
)
def test_what_does_not_go_together_is_refused_in_a_line(make_gan, networks, options, said):
    shape = [1, 16, 16] if networks == "dcgan" else [2]
    with pytest.raises(Exception) as raised:
        make_gan(shape, networks, **options)
    error = raised.value
    while error.__cause__ is not None:
        error = error.__cause__
    assert isinstance(error, ConfigError) and "\n" not in str(error)
    assert re.search(said, str(error)), error
