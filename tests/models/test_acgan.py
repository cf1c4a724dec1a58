"""AC-GAN: who is told the class, and both players' losses written out."""

import copy

import pytest
import torch
from torch.nn.functional import cross_entropy, one_hot, softplus

from ganlab.models.acgan import ACGAN
from recording import LastOutputs, recording

SGD = {"algorithm": "sgd", "lr": 0.05}


def make(**options):
    torch.manual_seed(5)
    node = {"sample_shape": [2], "width": 8}
    model = ACGAN(
        name="acgan",
        sample_shape=[2],
        latent_dim=3,
        condition_size=4,
        generator={"_target_": "ganlab.networks.mlp.MLPGenerator", **node},
        discriminator={"_target_": "ganlab.networks.mlp.MLPDiscriminator", **node},
        **options,
    )
    model.prepare_training(optimizers={"generator": SGD, "discriminator": SGD}, seed=0, max_iterations=1)
    return model


def test_both_players_descend_source_and_class(tiny_data, fit):
    model = make(class_weight=0.7).double()
    critic, generator = copy.deepcopy(model.discriminator), copy.deepcopy(model.generator)
    drawn, last, data = recording(model), LastOutputs(), tiny_data(8, classes=4, dtype=torch.float64)
    fit(model, data, last)
    real, labels = data.batches[0].samples, data.batches[0].conditions
    fakes = generator(drawn[0], one_hot(labels, 4).double())

    said_real, said_fake = critic(real), critic(fakes.detach())
    of_classes = cross_entropy(said_real.answers, labels) + cross_entropy(said_fake.answers, labels)
    of_critic = softplus(-said_real.scores).mean() + softplus(said_fake.scores).mean() + 0.7 * of_classes
    of_critic.backward()
    for name, old in critic.named_parameters():
        new = model.discriminator.get_parameter(name)
        torch.testing.assert_close(new, old - 0.05 * old.grad, rtol=1e-9, atol=1e-12, msg=name)

    said = model.discriminator(fakes)
    of_generator = softplus(-said.scores).mean() + 0.7 * cross_entropy(said.answers, labels)
    for (name, old), gradient in zip(
        generator.named_parameters(), torch.autograd.grad(of_generator, list(generator.parameters())), strict=True
    ):
        new = model.generator.get_parameter(name)
        torch.testing.assert_close(new, old - 0.05 * gradient, rtol=1e-9, atol=1e-12, msg=name)
    assert last.outputs["loss/discriminator"] == pytest.approx(of_critic.item(), rel=1e-9)
    assert last.outputs["loss/generator"] == pytest.approx(of_generator.item(), rel=1e-9)


def test_it_classifies_and_is_not_told_the_class():
    model, samples = make(), torch.randn(5, 2)
    torch.testing.assert_close(model.classify(samples), model.discriminator(samples).answers.detach())
    torch.testing.assert_close(model.score(samples, torch.tensor([0, 1, 2, 3, 0])), model.score(samples))
