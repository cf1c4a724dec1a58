"""The semi-supervised GAN's iteration against the formulas, and what it tells of classes."""

import copy

import pytest
import torch
from torch.nn.functional import cross_entropy, softplus

from ganlab.data.batch import Batch
from ganlab.models.semi_supervised_gan import SemiSupervisedGAN
from recording import LastOutputs, recording

SGD = {"algorithm": "sgd", "lr": 0.05}


def make(max_iterations=1, **options):
    torch.manual_seed(5)
    node = {"sample_shape": [2], "width": 8}
    critic = {"_target_": "ganlab.networks.mlp.MLPDiscriminator", **node, **options.pop("discriminator", {})}
    model = SemiSupervisedGAN(
        name="semi_supervised_gan",
        sample_shape=[2],
        latent_dim=3,
        num_classes=4,
        generator={"_target_": "ganlab.networks.mlp.MLPGenerator", **node},
        discriminator=critic,
        **options,
    )
    optimizers = {"generator": dict(SGD), "discriminator": dict(SGD)}
    model.prepare_training(optimizers=optimizers, seed=0, max_iterations=max_iterations)
    return model


@pytest.fixture
def data(tiny_data):
    """Batches of eight unlabelled samples and eight labelled ones."""
    module = tiny_data(8, dtype=torch.float64)
    random = torch.Generator().manual_seed(2)
    labelled = Batch(torch.randn(8, 2, generator=random, dtype=torch.float64), torch.randint(4, (8,), generator=random))
    module.batches = [batch._replace(labelled=labelled) for batch in module.batches]
    return module


@pytest.mark.parametrize("loss", ["feature_matching", "non_saturating", "minimax"])
@pytest.mark.parametrize("minibatch", [0, 3])
def test_both_players_descend_the_papers_losses(data, fit, loss, minibatch):
    model = make(
        loss=loss, supervised_weight=1.5, unsupervised_weight=0.5, discriminator={"minibatch_kernels": minibatch}
    ).double()
    critic, generator = copy.deepcopy(model.discriminator), copy.deepcopy(model.generator)
    drawn, last = recording(model), LastOutputs()
    fit(model, data, last)
    real, _, (labelled, labels) = data.batches[0][0], None, data.batches[0].labelled[:2]
    fakes = generator(drawn[0])

    def log_z(samples, network):
        return network(samples).answers.exp().sum(1).log()

    supervised = 1.5 * cross_entropy(critic(labelled).answers, labels)
    unsupervised = softplus(-log_z(real, critic)).mean() + softplus(log_z(fakes.detach(), critic)).mean()
    of_critic = supervised + 0.5 * unsupervised
    of_critic.backward()
    for name, old in critic.named_parameters():
        new = model.discriminator.get_parameter(name)
        torch.testing.assert_close(new, old - 0.05 * old.grad, rtol=1e-9, atol=1e-12, msg=name)
    assert last.outputs["loss/supervised"] == pytest.approx(supervised.item(), rel=1e-9)
    assert last.outputs["loss/discriminator"] == pytest.approx(of_critic.item(), rel=1e-9)

    body = model.discriminator.discriminator
    if loss == "feature_matching":
        of_generator = (body.features(real).mean(0) - body.features(fakes).mean(0)).square().sum()
    elif loss == "minimax":
        of_generator = -softplus(log_z(fakes, model.discriminator)).mean()
    else:
        of_generator = softplus(-log_z(fakes, model.discriminator)).mean()
    for (name, old), gradient in zip(
        generator.named_parameters(), torch.autograd.grad(of_generator, list(generator.parameters())), strict=True
    ):
        new = model.generator.get_parameter(name)
        torch.testing.assert_close(new, old - 0.05 * gradient, rtol=1e-9, atol=1e-12, msg=name)
    assert last.outputs["loss/generator"] == pytest.approx(of_generator.item(), rel=1e-9)


def test_without_the_unsupervised_part_it_is_a_classifier_trained_on_the_labels(data, fit):
    model = make(max_iterations=20, unsupervised_weight=0.0).double()
    plain = copy.deepcopy(model.discriminator)
    fit(model, data)
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.05)
    for _ in range(20):
        samples, labels = data.batches[0].labelled[:2]
        optimizer.zero_grad()
        cross_entropy(plain(samples).answers, labels).backward()
        optimizer.step()
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(model.discriminator.get_parameter(name), parameter, rtol=1e-9, atol=1e-12)


def test_classify_gives_the_class_logits_and_leaves_the_modes(data):
    model = make(discriminator={"norm": "batch"}).double()
    model.train()
    samples = torch.randn(5, 2, dtype=torch.float64)
    told = model.classify(samples)
    assert told.shape == (5, 4) and not told.requires_grad and model.discriminator.training
    reference = copy.deepcopy(model.discriminator).eval()
    torch.testing.assert_close(told, reference.discriminator(samples), check_stride=False)
    torch.testing.assert_close(model.score(samples), told.logsumexp(1))
