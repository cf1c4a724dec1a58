"""What a search in a model's latents needs of it: samples with their graph, and each sample's own loss."""

import pytest
import torch

from ganlab.tasks.building import build_model

SMALL = ["data=digits", "data.image_size=8", "model.latent_dim=4"]
GAN = [*SMALL, "model/networks=mlp", "model.generator.width=16", "model.discriminator.width=16"]
FAMILIES = {
    "gan": ["model=gan", *GAN],
    "minimax": ["model=gan", "model.loss=minimax", *GAN],
    "hinge": ["model=gan", "model.loss=hinge", *GAN],
    "lsgan": ["model=lsgan", *GAN],
    "wgan_gp": ["model=wgan_gp", *GAN],
    "fgan": ["model=fgan", *GAN],
    "averaged": ["model=gan", "model.ema_decay=0.9", *GAN],
    "relativistic": ["model=gan", "model.relativistic=average", *GAN],
    "cgan": ["model=cgan", *SMALL],
    "acgan": ["model=acgan", *SMALL],
    "infogan": ["model=infogan", *SMALL],
    "lapgan": ["model=lapgan", "data=digits", "model.levels=2", "model.latent_dim=4"],
    "semi_supervised": ["model=semi_supervised_gan", *SMALL],
    "vae": ["model=vae", *SMALL],
}
JUDGING = [name for name in FAMILIES if name != "vae"]


@pytest.fixture
def built(settings):
    def make(family):
        model = build_model(settings(*FAMILIES[family])).double()
        # Batch norm as after training: not the identity.
        for name, buffer in model.named_buffers():
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 2)
        return model

    return make


def condition_of(model, count):
    return torch.arange(count) % model.condition_size if model.condition_size else None


@pytest.mark.parametrize("family", FAMILIES)
def test_the_graph_leads_from_samples_to_latents(family, built):
    model = built(family)
    latents = model.latents(3, torch.Generator().manual_seed(0)).requires_grad_()
    condition = condition_of(model, 3)
    samples = model.decode_with_graph(latents, condition)
    assert torch.equal(samples, model.decode(latents, condition)) and not model.decode(latents, condition).requires_grad
    assert model.training, "the modes are as they were"

    direction = torch.randn(latents.shape, dtype=latents.dtype, generator=torch.Generator().manual_seed(1))
    (gradient,) = torch.autograd.grad(samples.square().sum(), latents)
    moved = [model.decode(latents + sign * 1e-6 * direction, condition).square().sum() for sign in (1, -1)]
    torch.testing.assert_close((gradient * direction).sum(), (moved[0] - moved[1]) / 2e-6, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("family", JUDGING)
def test_each_sample_has_the_generators_loss_of_it_alone(family, built):
    model = built(family)
    assert model.judges
    samples = (torch.rand(5, *model.sample_shape, dtype=torch.float64) * 2 - 1).requires_grad_()
    condition = condition_of(model, 5)
    losses = model.realism_losses(samples, condition)
    scores = model.score(samples, condition)
    if family == "relativistic":
        expected = -scores
    else:
        expected = torch.stack([model.generator_term(score) for score in scores.split(1)])
        torch.testing.assert_close(losses.mean(), model.generator_term(scores))
    torch.testing.assert_close(losses, expected)
    if family != "semi_supervised":  # whose generator matches features and has no loss of scores
        (gradient,) = torch.autograd.grad(losses[0], samples)
        assert gradient[0].abs().max() > 0 and gradient[1:].eq(0).all()


def test_the_parts_of_latents(built):
    assert built("gan").latent_parts == [("normal", 4)]
    model = built("infogan")
    assert model.latent_parts[:2] == [("normal", 4), ("one_hot", 10)]
    kinds = [kind for kind, size in model.latent_parts for _ in range(size)]
    latents = model.latents(200, torch.Generator().manual_seed(0))
    assert len(kinds) == model.latent_dim == latents.shape[1]
    one_hot, uniform = (latents[:, [kind == wanted for kind in kinds]] for wanted in ("one_hot", "uniform"))
    assert torch.equal(one_hot.sum(1), torch.ones(200).double()) and uniform.abs().max() <= 1


def test_others_say_that_they_do_not(settings):
    model = build_model(settings("model=vae", *SMALL))
    assert not model.judges
    with pytest.raises(TypeError, match="VAE does not judge"):
        model.realism_losses(torch.zeros(1, 1, 8, 8))
