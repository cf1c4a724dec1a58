"""Penalties on the discriminator's gradient within an iteration: any family, conditions, ranks, precision, resume."""

import copy
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.plugins import MixedPrecision
from torch.nn.functional import one_hot, softplus

from recording import LastOutputs, recording

SGD = {"algorithm": "sgd", "lr": 0.05}
ALL = {"gradient_penalty": 2.0, "gradient_centre": 1, "r1": 0.3, "r2": 0.7}


def by_hand(discriminator, real, fakes, conditions, shares, options):
    """(penalties by tag, mean norm), a sample at a time."""
    squares = {"mixed": [], "real": [], "fakes": []}
    for i in range(len(real)):
        mixed = shares[i] * real[i] + (1 - shares[i]) * fakes[i]
        condition = None if conditions is None else conditions[i : i + 1]
        for name, point in (("mixed", mixed), ("real", real[i]), ("fakes", fakes[i])):
            point = point.detach()[None].requires_grad_()
            score = discriminator(point, condition)
            squares[name].append(torch.autograd.grad(score, point, create_graph=True)[0].square().sum())
    norms = torch.stack(squares["mixed"]).sqrt()
    penalties = {
        "penalty/gradient": options["gradient_penalty"] * (norms - options["gradient_centre"]).square().mean(),
        "penalty/r1": options["r1"] / 2 * torch.stack(squares["real"]).mean(),
        "penalty/r2": options["r2"] / 2 * torch.stack(squares["fakes"]).mean(),
    }
    return penalties, norms.mean()


@pytest.mark.parametrize("centre", [0, 1])
@pytest.mark.parametrize("classes", [0, 3])
def test_an_iteration_descends_the_penalised_loss(make_gan, tiny_data, fit, classes, centre):
    options = ALL | {"gradient_centre": centre}
    model = make_gan(condition_size=classes, optimizer=SGD, max_iterations=1, **options).double()
    before, generator = copy.deepcopy(model.discriminator), copy.deepcopy(model.generator)
    drawn, shares, last, data = (
        recording(model),
        recording(model, "draw_shared"),
        LastOutputs(),
        tiny_data(classes=classes, dtype=torch.float64),
    )
    fit(model, data, last)

    real, labels, _ = data.batches[0]
    conditions = one_hot(labels, classes).double() if classes else None
    fakes = generator(drawn[0], conditions).detach()
    penalties, mean_norm = by_hand(before, real, fakes, conditions, shares[0], options)
    terms = softplus(-before(real, conditions)).mean() + softplus(before(fakes, conditions)).mean()
    loss = terms + sum(penalties.values())
    loss.backward()
    for name, parameter in model.discriminator.named_parameters():
        old = before.get_parameter(name)
        # The last bias moves no gradient of the score; all else does.
        torch.testing.assert_close(parameter, old - 0.05 * old.grad, rtol=1e-9, atol=1e-12, msg=name)
    for tag, value in penalties.items():
        assert last.outputs[tag] == pytest.approx(value.item(), rel=1e-9), tag
    assert last.outputs["grad_norm/critic_mean"] == pytest.approx(mean_norm.item(), rel=1e-9)
    assert last.outputs["loss/discriminator"] == pytest.approx(loss.item(), rel=1e-9)


@pytest.mark.parametrize(
    ("option", "tags"),
    [
        ("gradient_penalty", {"penalty/gradient", "grad_norm/critic_mean"}),
        ("r1", {"penalty/r1"}),
        ("r2", {"penalty/r2"}),
    ],
)
def test_only_what_was_asked_for_is_computed(make_gan, tiny_data, fit, option, tags):
    plain, penalised = LastOutputs(), LastOutputs()
    fit(make_gan(max_iterations=1), tiny_data(), plain)
    fit(make_gan(max_iterations=1, **{option: 0.5}), tiny_data(), penalised)
    assert penalised.outputs.keys() - plain.outputs.keys() == tags
    assert penalised.outputs["score/fake"] == plain.outputs["score/fake"], "the latents are those of a run without"


def test_two_processes_see_the_halves_of_what_one_sees(make_gan):
    real, fakes = torch.randn(2, 8, 2, generator=torch.Generator().manual_seed(0)).double()

    def penalties(real, fakes, rank=0, world=1):
        model = make_gan(**ALL).double()
        model._trainer = SimpleNamespace(world_size=world, global_rank=rank)
        model.__class__ = type("Ranked", (type(model),), {"global_rank": rank, "trainer": model._trainer})
        model.iteration = 3
        model.begin_iteration()
        model.draw_latents(len(real))
        weighted, observed = model.gradient_penalties(real, fakes, None, model.observe)
        return {tag: value.item() for tag, value in (weighted | observed).items()}

    whole = penalties(real, fakes)
    halves = [penalties(real[4 * rank :][:4], fakes[4 * rank :][:4], rank, 2) for rank in range(2)]
    for tag, value in whole.items():
        assert (halves[0][tag] + halves[1][tag]) / 2 == pytest.approx(value, rel=1e-12), tag
        assert halves[0][tag] != pytest.approx(halves[1][tag], rel=1e-6)


def test_the_shares_are_one_a_sample_uniform_and_new_each_time(make_gan):
    model = make_gan(**ALL)
    model.begin_iteration()
    first, second = model.draw_shared(4000, draw=torch.rand), model.draw_shared(4000, draw=torch.rand)
    assert first.shape == (4000,) and 0 <= first.min() < 0.01 and 0.99 < first.max() <= 1
    assert abs(first.mean().item() - 0.5) < 5 * 12**-0.5 / 4000**0.5
    assert not torch.equal(first, second)
    torch.rand(3)
    model.begin_iteration()
    assert torch.equal(model.draw_shared(4000, draw=torch.rand), first)


def test_a_run_that_goes_on_equals_one_that_never_stopped(make_gan, tiny_data, fit):
    whole, half = make_gan(max_iterations=4, **ALL), make_gan(max_iterations=2, **ALL)
    fit(whole, tiny_data())
    fit(half, tiny_data())
    rest = make_gan(max_iterations=4, **ALL)
    rest.load_state_dict(half.state_dict())
    rest.iteration = 2
    torch.rand(5)
    fit(rest, tiny_data(start=2))
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, rest.state_dict()[name]), name


def test_under_autocast_the_penalty_is_that_of_full_precision(make_gan, tiny_data, fit):
    def logged(*plugins):
        model, last = make_gan(max_iterations=1, gradient_penalty=5.0, r1=1.0), LastOutputs()
        fit(model, tiny_data(), last, plugins=list(plugins))
        return last.outputs

    full, mixed = logged(), logged(MixedPrecision("bf16-mixed", "cpu"))
    assert mixed["penalty/r1"] == full["penalty/r1"]
    assert mixed["score/real"] != full["score/real"], "autocast was on"
