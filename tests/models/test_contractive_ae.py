import pytest
import torch

from autoencoders import make
from ganlab.errors import ConfigError
from ganlab.models.contractive_ae import ContractiveAE

SIGMOID = {"code_activation": "sigmoid"}


def norms(model, values):
    """‖∂code/∂input‖² of each sample, by torch's own Jacobian."""
    jacobians = [torch.autograd.functional.jacobian(lambda x: model.autoencoder.encoder(x[None])[0], v) for v in values]
    return torch.stack([jacobian.square().sum() for jacobian in jacobians])


@pytest.mark.parametrize("method", ["auto", "closed", "exact"])
def test_the_loss_has_the_jacobians_norm(method):
    model = make(ContractiveAE, encoder=SIGMOID, contraction=0.3, contraction_method=method)
    values = torch.randn(5, 4)
    loss, told = model.loss_of("autoencoder", values, None)
    expected = 0.3 * norms(model, values).mean().item()
    assert told["penalty/contraction"].item() == pytest.approx(expected, rel=1e-4)
    assert loss.item() == pytest.approx(expected + told["loss/reconstruction"].item(), rel=1e-5)


@pytest.mark.parametrize(("widths", "encoder"), [([5], {}), ([], {}), ([5], SIGMOID)])
def test_auto_estimates_where_no_closed_form_holds(widths, encoder):
    model = make(ContractiveAE, widths=widths, encoder=encoder, contraction=1.0, probes=4000)
    values = torch.randn(5, 4)
    model.begin_iteration()
    told = model.loss_of("autoencoder", values, None)[1]
    assert told["penalty/contraction"].item() == pytest.approx(norms(model, values).mean().item(), rel=0.05)


def test_the_price_trains_the_encoder_and_conditions_have_no_part_in_it():
    model = make(ContractiveAE, encoder=SIGMOID, condition_size=2, contraction=1.0)
    values, condition = torch.randn(5, 4), torch.eye(2)[[0, 1, 1, 0, 1]]
    told = model.loss_of("autoencoder", values, condition)[1]
    weight = model.autoencoder.encoder.linears[0].weight
    start = norms_with(model, values, condition)
    assert told["penalty/contraction"].item() == pytest.approx(start, rel=1e-4)
    for _ in range(50):
        loss = model.terms(model.passed(values, condition))["penalty/contraction"]
        (gradient,) = torch.autograd.grad(loss, weight)
        with torch.no_grad():
            weight -= 0.1 * gradient
    assert norms_with(model, values, condition) < 0.5 * start


def norms_with(model, values, condition):
    slopes = model.autoencoder.encoder(values, condition) * (1 - model.autoencoder.encoder(values, condition))
    weight = model.autoencoder.encoder.linears[0].weight[:, : values.shape[1]]
    return (slopes.square() * weight.square().sum(1)).sum(1).mean().item()


def test_examining_tells_the_exact_norm_whatever_trains():
    model = make(ContractiveAE, [1, 2, 2], widths=[3], contraction_method="hutchinson")
    samples = torch.rand(4, 1, 2, 2) * 2 - 1
    said = model.held_out(samples)
    assert torch.allclose(said["jacobian/squared_norm"], norms(model, (samples + 1) / 2), rtol=1e-4)
    assert not said["jacobian/squared_norm"].requires_grad


def test_batch_norm_is_refused():
    coder = "ganlab.networks.convolutional_autoencoder.Convolutional"
    with pytest.raises(ConfigError, match=r"model.encoder.batch_norm=true: the code of one sample depends on"):
        images = {"sample_shape": [1, 16, 16], "width": 2, "batch_norm": True}
        model = ContractiveAE(
            name="tiny",
            sample_shape=[1, 16, 16],
            latent_dim=2,
            encoder={"_target_": coder + "Encoder", **images},
            decoder={"_target_": coder + "Decoder", **images},
        )
        model.prepare_training(optimizers={}, seed=0, max_iterations=1)


def test_the_closed_form_is_refused_where_it_does_not_hold():
    with pytest.raises(ConfigError, match="contraction_method=closed: it holds for one sigmoid layer"):
        make(ContractiveAE, widths=[5], encoder=SIGMOID, contraction_method="closed")
