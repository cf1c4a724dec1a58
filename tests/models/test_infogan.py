"""InfoGAN: codes inside the latents, a term for each of them in both players' losses, and walks along them."""

import copy
import math

import pytest
import torch
from torch.nn.functional import cross_entropy, softplus

from ganlab.models.infogan import InfoGAN
from recording import LastOutputs, recording

SGD = {"algorithm": "sgd", "lr": 0.05}


def make(codes=(3, "uniform", "uniform"), shape=(2,), max_iterations=1, **options):
    torch.manual_seed(5)
    node = {"sample_shape": list(shape), "width": 8}
    model = InfoGAN(
        name="infogan",
        sample_shape=list(shape),
        latent_dim=4,
        codes=list(codes),
        generator={"_target_": "ganlab.networks.mlp.MLPGenerator", **node},
        discriminator={"_target_": "ganlab.networks.mlp.MLPDiscriminator", **node},
        **options,
    )
    model.prepare_training(
        optimizers={"generator": dict(SGD), "discriminator": dict(SGD)}, seed=0, max_iterations=max_iterations
    )
    return model


def test_latents_are_noise_and_then_the_codes():
    model = make()
    assert model.latent_dim == 4 + 3 + 1 + 1
    latents = model.latents(30_000, torch.Generator().manual_seed(0))
    noise, choice, numbers = latents.split([4, 3, 2], dim=1)
    assert noise.std().item() == pytest.approx(1, abs=0.02)
    assert torch.equal(choice.sum(1), torch.ones(30_000)) and set(choice.unique().tolist()) == {0.0, 1.0}
    assert choice.mean(0).tolist() == pytest.approx([1 / 3] * 3, abs=0.01)
    assert numbers.min() >= -1 and numbers.max() <= 1
    assert numbers.std(0).tolist() == pytest.approx([3**-0.5] * 2, abs=0.01)
    correlations = torch.corrcoef(torch.cat([noise, choice[:, :2], numbers], dim=1).T)
    off = correlations - torch.diag(correlations.diagonal())
    off[4:6, 4:6] = 0  # values of one choice exclude each other
    assert off.abs().max() < 0.03, "codes and noise are independent"
    assert torch.equal(latents, model.latents(30_000, torch.Generator().manual_seed(0)))


def hand_losses(model, critic, generator, real, latents):
    """(the discriminator's loss, the generator's, each code's term) with every formula written out."""
    fakes = generator(latents)
    losses = []
    for samples in (fakes.detach(), fakes):
        verdict = critic(samples)
        told = verdict.answers
        terms = [cross_entropy(told[:, :3], latents[:, 4:7].argmax(1))]
        for index in range(2):
            mean, log_std, code = told[:, 3 + 2 * index], told[:, 4 + 2 * index], latents[:, 7 + index]
            log_std = torch.logaddexp(log_std, torch.full_like(log_std, -3.0))  # the smooth floor
            density = torch.distributions.Normal(mean, log_std.exp()).log_prob(code)
            terms.append(-density.mean())
        losses.append((verdict.scores, terms))
    (scores, terms), (through, shared) = losses
    weighted = [1.5 * t[0] + 0.25 * t[1] + 0.25 * t[2] for t in (terms, shared)]
    of_critic = softplus(-critic(real).scores).mean() + softplus(scores).mean() + weighted[0]
    return of_critic, softplus(-through).mean() + weighted[1], terms


def test_each_players_step_descends_its_loss_with_every_codes_term(tiny_data, fit):
    model = make(categorical_weight=1.5, continuous_weight=0.25).double()
    critic, generator = copy.deepcopy(model.discriminator), copy.deepcopy(model.generator)
    drawn, last, data = recording(model), LastOutputs(), tiny_data(dtype=torch.float64)
    fit(model, data, last)
    real, latents = data.batches[0].samples, drawn[0]

    of_critic, _, terms = hand_losses(model, critic, generator, real, latents)
    of_critic.backward()
    for name, old in critic.named_parameters():
        assert old.grad.any(), f"{name} is trained"
        new = model.discriminator.get_parameter(name)
        torch.testing.assert_close(new, old - 0.05 * old.grad, rtol=1e-9, atol=1e-12, msg=name)
    _, of_generator, _ = hand_losses(model, model.discriminator, generator, real, latents)
    for (name, old), gradient in zip(
        generator.named_parameters(), torch.autograd.grad(of_generator, list(generator.parameters())), strict=True
    ):
        new = model.generator.get_parameter(name)
        torch.testing.assert_close(new, old - 0.05 * gradient, rtol=1e-9, atol=1e-12, msg=name)

    entropies = [math.log(3), math.log(2), math.log(2)]
    for number, (term, entropy) in enumerate(zip(terms, entropies, strict=True), start=1):
        assert last.outputs[f"loss/information_{number}"] == pytest.approx(term.item(), rel=1e-9)
        assert last.outputs[f"information/code_{number}"] == pytest.approx(entropy - term.item(), rel=1e-9)
    assert last.outputs["loss/discriminator"] == pytest.approx(of_critic.item(), rel=1e-9)
    assert last.outputs["loss/generator"] == pytest.approx(of_generator.item(), rel=1e-9)


@pytest.mark.parametrize(
    "codes",
    [[2, 3, "uniform"], *(pytest.param(codes, marks=pytest.mark.slow) for codes in ([4], ["uniform"], ["uniform", 5]))],
)
def test_any_list_of_codes_is_learnt(tiny_data, fit, codes):
    """The recognition network alone, on a generator that shows the codes plainly: each term falls below chance."""
    torch.manual_seed(0)
    shape = [sum(1 if code == "uniform" else code for code in codes) + 4]
    model = make(codes, shape, max_iterations=300, continuous_weight=1.0)
    model.optimizer_configs["discriminator"] = {"algorithm": "adam", "lr": 1e-2, "betas": [0.5, 0.999]}
    model.optimizer_configs["generator"] = {"algorithm": "sgd", "lr": 0.0}
    model.generator = torch.nn.Identity()
    model.generator.forward = lambda latents, condition: latents * model.scale
    model.generator.register_parameter("scale", torch.nn.Parameter(torch.ones(())))
    model.scale = model.generator.scale
    last = LastOutputs()
    fit(model, tiny_data(64, model.sample_shape), last)
    for number, code in enumerate(model.codes, start=1):
        assert last.outputs[f"information/code_{number}"] > 0.5 * code.entropy, number


def test_a_traversal_varies_one_code_and_nothing_else():
    model = make()
    walks = model.traversals(5, torch.Generator().manual_seed(1))
    assert [name for name, _ in walks] == ["code 1", "code 2", "code 3"]
    columns = {"code 1": [4, 5, 6], "code 2": [7], "code 3": [8]}
    base = model.latents(1, torch.Generator().manual_seed(1))[0]
    for name, latents in walks:
        assert len(latents) == (3 if name == "code 1" else 5)
        others = [column for column in range(9) if column not in columns[name]]
        assert torch.equal(latents[:, others], base[others].expand(len(latents), -1))
    assert torch.equal(walks[0][1][:, 4:7], torch.eye(3))
    assert walks[2][1][:, 8].tolist() == [-1, -0.5, 0, 0.5, 1]
