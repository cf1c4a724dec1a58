"""The variational autoencoder: its bounds by torch.distributions, and a model whose likelihood is known exactly."""

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning import Callback
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

import ganlab.models.vae
from ganlab.data.batch import Batch
from ganlab.errors import ConfigError
from ganlab.models.vae import VAE
from recording import LastOutputs, recording

POINTS, IMAGES = [4], [1, 2, 3]
N, LATENTS = 6, 2


def make(shape=POINTS, widths=(5,), max_iterations=1, optimizer=None, condition_size=0, latent_dim=LATENTS, **options):
    torch.manual_seed(3)
    coder = {"sample_shape": list(shape), "widths": list(widths), "activation": "tanh"}
    coders = {
        name: {"_target_": f"ganlab.networks.mlp_autoencoder.MLP{name.capitalize()}", **coder, **options.pop(name, {})}
        for name in ("encoder", "decoder")
    }
    common = {"name": "vae", "sample_shape": list(shape), "latent_dim": latent_dim, "condition_size": condition_size}
    model = VAE(**common, **coders, **options)
    optimizer = optimizer or {"algorithm": "sgd", "lr": 0.05}
    model.prepare_training(optimizers={"autoencoder": dict(optimizer)}, seed=0, max_iterations=max_iterations)
    return model


def drawn(*shape, seed=0, draw=torch.randn):
    return draw(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def with_noise(model, *noises):
    """The model, in double precision, with these draws in place of its own, in turn and over again."""
    calls = []

    def draw_shared(count, *shape, draw):
        noise = noises[len(calls) % len(noises)]
        assert noise.shape == (count, *shape)
        calls.append(draw)
        return noise

    model.draw_shared = draw_shared
    return model.double()


def parts(model, values, noise, condition=None):
    """(KL [n], log p(x | z) [K, n], log p(z) [K, n], log q [K, n]) by torch.distributions, one draw at a time."""
    encoded = model.autoencoder.encoder(values, condition)
    mean, std = encoded[:, :LATENTS], (encoded[:, LATENTS:] / 2).exp()
    posterior = Independent(Normal(mean, std), 1)
    prior = Independent(Normal(torch.zeros_like(mean), torch.ones_like(mean)), 1)
    said = []
    for epsilon in noise.unbind(1):
        code = mean + std * epsilon
        outputs = model.autoencoder.decoder(code, condition)
        if model.reconstruction == "bernoulli":
            likelihood = Independent(Bernoulli(logits=outputs), 3)
        else:
            scale = model.autoencoder.log_std.exp() if model.std == "learned" else model.std
            likelihood = Independent(Normal(outputs, scale), len(values.shape) - 1)
        said.append((likelihood.log_prob(values), prior.log_prob(code), posterior.log_prob(code)))
    return kl_divergence(posterior, prior), *(torch.stack(terms) for terms in zip(*said, strict=True))


def values_for(shape, count=N):
    return (drawn(count, *shape, seed=5, draw=torch.rand) > 0.5).double() if len(shape) == 3 else drawn(count, *shape)


CASES = [
    (IMAGES, {}),
    (POINTS, {}),
    (POINTS, {"std": 0.3}),
    (IMAGES, {"reconstruction": "gaussian", "output": "linear", "std": 0.5}),
    (IMAGES, {"condition_size": 3}),
]


@pytest.mark.parametrize(("shape", "options"), CASES)
@pytest.mark.parametrize("draws", [1, 3])
def test_the_objective_is_the_negative_bound(shape, options, draws):
    noise, values = drawn(N, draws, LATENTS, seed=1), values_for(shape)
    model = with_noise(make(shape, importance_samples=draws, beta=2.5, **options), noise)
    condition = torch.eye(3).double()[torch.arange(N) % 3] if options.get("condition_size") else None
    loss, measured = model.loss_of("autoencoder", values, condition)
    kl, log_likelihood, _, _ = parts(model, values, noise, condition)
    assert loss.item() == pytest.approx((-log_likelihood.mean() + 2.5 * kl.mean()).item(), rel=1e-12)
    assert measured["loss/autoencoder"].item() == loss.item()
    assert measured["loss/kl"].item() == pytest.approx(kl.mean().item(), rel=1e-12)
    assert measured["loss/reconstruction"].item() == pytest.approx(-log_likelihood.mean().item(), rel=1e-12)
    assert measured["elbo"].item() == pytest.approx((log_likelihood.mean() - kl.mean()).item(), rel=1e-12)


@pytest.mark.parametrize(("shape", "options"), CASES)
@pytest.mark.parametrize("draws", [1, 4])
def test_the_importance_weighted_objective(shape, options, draws):
    noise, values = drawn(N, draws, LATENTS, seed=1), values_for(shape)
    model = with_noise(make(shape, objective="iwae", importance_samples=draws, **options), noise)
    condition = torch.eye(3).double()[torch.arange(N) % 3] if options.get("condition_size") else None
    loss, measured = model.loss_of("autoencoder", values, condition)
    kl, log_likelihood, log_prior, log_posterior = parts(model, values, noise, condition)
    weights = (log_likelihood + log_prior - log_posterior).detach().numpy()
    assert loss.item() == pytest.approx(-(logsumexp(weights, axis=0) - math.log(draws)).mean(), rel=1e-12)
    assert measured["elbo"].item() == pytest.approx((log_likelihood.mean() - kl.mean()).item(), rel=1e-12)


def test_with_one_draw_the_importance_weighted_objective_is_the_evidence_lower_bound():
    count = 40_000
    noise, values = drawn(count, 1, LATENTS, seed=1), values_for(POINTS, 1).expand(count, -1)
    losses = {}
    for objective in ("elbo", "iwae"):
        model = with_noise(make(objective=objective), noise)
        losses[objective], _ = model.loss_of("autoencoder", values, None)
    _, _, log_prior, log_posterior = parts(model, values, noise)
    error = (log_prior - log_posterior).std().item() / math.sqrt(count)  # of the KL by draws
    assert error < 0.01
    assert losses["iwae"].item() == pytest.approx(losses["elbo"].item(), abs=4 * error)
    several = with_noise(make(objective="iwae", importance_samples=20), noise.view(-1, 20, LATENTS))
    tighter, _ = several.loss_of("autoencoder", values[: count // 20], None)
    assert tighter.item() < losses["elbo"].item() - 0.05


@pytest.mark.parametrize(
    "options",
    [
        {"importance_samples": 3, "beta": 2.0},
        {"free_bits": 0.1, "beta": 0.5},
        {"objective": "iwae", "importance_samples": 3},
    ],
)
@pytest.mark.parametrize("shape", [POINTS, IMAGES])
def test_the_gradient_against_finite_differences(shape, options):
    noise = drawn(N, options.get("importance_samples", 1), LATENTS, seed=1)
    model, values = with_noise(make(shape, **options), noise), values_for(shape)

    def loss():
        return model.loss_of("autoencoder", values, None)[0]

    loss().backward()
    for name, parameter in model.autoencoder.named_parameters():
        direction = drawn(*parameter.shape, seed=9)
        slope, step, at = (parameter.grad * direction).sum().item(), 1e-5, parameter.data.clone()
        around = []
        for sign in (1, -1):
            parameter.data = at + sign * step * direction
            around.append(loss().item())
        parameter.data = at
        assert slope == pytest.approx((around[0] - around[1]) / (2 * step), rel=1e-5, abs=1e-7), name


def test_free_bits_are_of_each_latents_mean_over_the_batch():
    noise, values = drawn(N, 1, LATENTS, seed=1), values_for(POINTS)
    model = make()
    with torch.no_grad():  # the second latent close to the prior
        model.autoencoder.encoder.linears[-1].weight[[1, 3]] *= 0.7
    model = with_noise(model, noise)
    encoded = model.autoencoder.encoder(values)
    each = kl_divergence(
        Normal(encoded[:, :LATENTS], (encoded[:, LATENTS:] / 2).exp()), Normal(torch.zeros(()).double(), 1.0)
    )
    least = (each.min(0).values[0] + each.max(0).values[1]).item() / 2
    assert each[:, 0].min() < least < each[:, 0].mean() and each[:, 1].mean() < least < each[:, 1].max()
    model.free_bits = least
    loss, measured = model.loss_of("autoencoder", values, None)
    priced = loss - measured["loss/reconstruction"]
    assert priced.item() == pytest.approx(each[:, 0].mean().item() + least, rel=1e-9)
    assert measured["loss/kl"].item() == pytest.approx(each.sum(1).mean().item(), rel=1e-9)


def test_beta_rises_during_its_share_of_the_run(tiny_data, fit):
    model = make(max_iterations=10, beta=4.0, beta_warmup=0.5)
    seen = []

    class Watch(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            seen.append({tag: value.item() for tag, value in outputs.items()})

    fit(model, tiny_data(shape=POINTS), Watch())
    expected = [0, 0.8, 1.6, 2.4, 3.2, 4, 4, 4, 4, 4]
    assert [row["kl/beta"] for row in seen] == pytest.approx(expected, rel=1e-6)
    for row, beta in zip(seen, expected, strict=True):
        assert row["loss/autoencoder"] == pytest.approx(row["loss/reconstruction"] + beta * row["loss/kl"], rel=1e-5)
    assert make(beta=4.0).current_beta == 4


def test_active_latents_are_counted():
    model = make(widths=[]).double()
    with torch.no_grad():
        model.autoencoder.encoder.linears[0].weight[1] = 0
    _, measured = model.loss_of("autoencoder", values_for(POINTS, 50), None)
    assert measured["latents/active"].item() == 1


# -- binarisation -----------------------------------------------------------------------------------------------------


def shown(model, method, *asked):
    """What encoder and likelihood saw: (inputs of the encoder, [targets])."""
    seen, targets, losses = [], [], model.reconstruction_losses
    hook = model.autoencoder.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model.reconstruction_losses = lambda outputs, values: (targets.append(values), losses(outputs, values))[1]
    getattr(model, method)(*asked)
    hook.remove()
    del model.reconstruction_losses
    assert len(seen) == 1
    return seen[0], targets


GRAY = drawn(400, *IMAGES, seed=2, draw=torch.rand).float()


def test_a_threshold_makes_values_zero_or_one_everywhere():
    model = make(IMAGES, binarise="threshold")
    model.begin_iteration()
    expected, samples = (GRAY > 0.5).float(), GRAY * 2 - 1
    for asked in (("loss_of", "autoencoder", GRAY, None), ("examine", samples, None, None, 3)):
        inputs, targets = shown(model, *asked)
        assert torch.equal(inputs, expected)
        assert all(torch.equal(target, expected.repeat(len(target) // len(expected), 1, 1, 1)) for target in targets)
    assert torch.equal(model.encode(samples), make(IMAGES).encode(expected * 2 - 1))


def test_dynamic_binarisation_draws_each_value_by_its_gray():
    model = make(IMAGES, binarise="sample")
    model.begin_iteration()
    gray = GRAY[:1].expand(20_000, *IMAGES)
    inputs, (target,) = shown(model, "loss_of", "autoencoder", gray, None)
    assert torch.equal(inputs, target)
    assert set(inputs.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(inputs.mean(0), GRAY[0], atol=4 * 0.5 / math.sqrt(20_000), rtol=0)
    again, _ = shown(model, "loss_of", "autoencoder", gray, None)
    assert not torch.equal(again, inputs), "afresh each time"

    samples = GRAY * 2 - 1
    generators = [torch.Generator().manual_seed(seed) for seed in (1, 1, 2)]
    examined = [shown(model, "examine", samples, None, generator) for generator in generators]
    assert torch.equal(examined[0][0], examined[1][0]) and not torch.equal(examined[0][0], examined[2][0])
    assert all(torch.equal(inputs, target) for inputs, targets in examined for target in targets)
    assert set(examined[0][0].unique().tolist()) == {0.0, 1.0}
    assert torch.equal(model.encode(samples), make(IMAGES).encode(samples)), "gray: what the draws are on average"


# -- what is said of samples ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "options"), CASES)
def test_what_is_said_of_each_sample(shape, options):
    model, values = make(shape, **options).double(), values_for(shape)
    samples = values * 2 - 1 if len(shape) == 3 else values
    labels = torch.arange(N) % 3 if options.get("condition_size") else None
    vectors = None if labels is None else torch.eye(3).double()[labels]
    told = model.examine(samples, labels, torch.Generator().manual_seed(4), 5)
    generator = torch.Generator().manual_seed(4)
    one, several = (torch.randn(k, N, LATENTS, generator=generator).double() for k in (1, 5))
    kl, log_likelihood, _, _ = parts(model, values, one.transpose(0, 1), vectors)
    _, *terms = parts(model, values, several.transpose(0, 1), vectors)
    weights = (terms[0] + terms[1] - terms[2]).detach().numpy()
    bound = torch.tensor(logsumexp(weights, axis=0) - math.log(5))
    errors = (model.reconstruct(samples, labels) - samples).square().flatten(1).mean(1)
    expected = {
        "elbo": log_likelihood[0] - kl,
        "loss/kl": kl,
        "loss/reconstruction": -log_likelihood[0],
        "reconstruction/mse": errors / 4 if len(shape) == 3 else errors,
        "posterior/mean": model.encode(samples, labels),
        "bound/importance_weighted": bound,
        "bound/bits_per_dim": -bound / (math.prod(shape) * math.log(2)),
    }
    assert told.keys() == expected.keys()
    for tag, value in expected.items():
        torch.testing.assert_close(told[tag], value.detach(), rtol=1e-10, atol=1e-12, msg=tag)
    assert not any(tag.startswith("bound/") for tag in model.examine(samples, labels))


def test_a_streamed_bound_is_that_of_all_draws_at_once_in_bounded_memory(monkeypatch):
    """Draws of a generator depend on how they are asked for, so they are drawn here once, and handed out."""
    model, values, draws = make().double(), values_for(POINTS), drawn(50, N, LATENTS, seed=6)
    rows = []
    model.autoencoder.decoder.register_forward_pre_hook(lambda _, inputs: rows.append(len(inputs[0])))
    bounds = []
    for most in (10**6, 7 * N + 2, 1):
        monkeypatch.setattr(ganlab.models.vae, "DECODED", most)
        rows.clear()
        left = iter(draws)
        with torch.no_grad():
            mean, log_variance = model.posterior(values, None)
            bounds.append(
                model.bound(
                    values,
                    None,
                    mean,
                    log_variance,
                    50,
                    lambda count, *shape, draw, left=left: torch.stack([next(left) for _ in range(count)]),
                )
            )
        assert max(rows) <= max(N, most) and sum(rows) == 50 * N
    for bound in bounds[1:]:
        torch.testing.assert_close(bound, bounds[0], rtol=1e-12, atol=0)


def marginal(model):
    """The exact distribution of points by a linear decoder: N(b, WWᵀ + σ²I)."""
    (layer,) = model.autoencoder.decoder.linears
    weight, bias = (tensor.detach().double().numpy() for tensor in (layer.weight, layer.bias))
    variance = math.exp(2 * torch.as_tensor(model.log_std).item())
    return multivariate_normal(bias, weight @ weight.T + variance * np.eye(len(bias)))


@pytest.mark.parametrize("seed", range(3))
def test_the_importance_weighted_bound_rises_to_the_exact_likelihood(seed):
    model = make(widths=[], std=0.6).double()
    with torch.no_grad():
        for index, (name, parameter) in enumerate(model.autoencoder.named_parameters()):
            # A posterior near the prior, which is wider than the true one: weights of finite variance.
            parameter.copy_((0.1 if "encoder" in name else 0.7) * drawn(*parameter.shape, seed=10 * seed + index))
    points = drawn(300, *POINTS, seed=7)
    exact = marginal(model).logpdf(points.numpy()).mean()
    bounds = []
    for count in (1, 5, 50, 5000):
        told = model.examine(points, None, torch.Generator().manual_seed(seed), count)
        bounds.append(told["bound/importance_weighted"].mean().item())
    assert told["elbo"].mean().item() < bounds[1]
    assert all(low < high - 0.005 for low, high in itertools.pairwise(bounds)), bounds
    assert bounds[0] < exact - 0.3, "the bounds had far to go"
    assert bounds[-1] == pytest.approx(exact, abs=0.01)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_a_linear_gaussian_model_reaches_probabilistic_pca(tiny_data, fit, seed):
    """Its posterior is Gaussian with independent latents for the right rotation, so the bound can be met (Lucas 2019).

    The best likelihood of any such model is known: that of the maximum likelihood solution (Tipping & Bishop 1999).
    """
    random = np.random.default_rng(seed)
    mixing = np.linalg.qr(random.normal(size=(5, 2)))[0] * [2.0, 1.2]
    data = random.normal(size=(1000, 2)) @ mixing.T + 0.5 * random.normal(size=(1000, 5)) + random.normal(size=5)
    best = PCA(2).fit(data).score(data)
    points = torch.tensor(data, dtype=torch.float32)
    adam = {"algorithm": "adam", "lr": 0.05, "betas": [0.9, 0.99], "schedule": "linear", "decay_from": 0.3}
    model = make([5], widths=[], max_iterations=600, optimizer=adam)
    source = tiny_data()
    source.batches = [Batch(points, None)]
    fit(model, source)
    told = model.examine(points.repeat(20, 1), None, torch.Generator().manual_seed(0))
    elbo = told["elbo"].mean().item()
    exact = marginal(model).logpdf(data).mean()
    assert best - 0.05 < elbo < exact + 0.01
    assert exact <= best + 1e-6
    assert model.log_std.exp().item() == pytest.approx(0.5, rel=0.05)


# -- generating -------------------------------------------------------------------------------------------------------


def test_samples_are_the_means_of_decoded_draws_from_the_prior():
    for shape, squash in ((IMAGES, lambda outputs: torch.sigmoid(outputs) * 2 - 1), (POINTS, lambda outputs: outputs)):
        model = make(shape, condition_size=3)
        labels = torch.arange(N) % 3
        sampled = model.sample(N, labels, torch.Generator().manual_seed(3))
        latents = torch.randn(N, LATENTS, generator=torch.Generator().manual_seed(3))
        expected = squash(model.autoencoder.decoder(latents, torch.eye(3)[labels]))
        torch.testing.assert_close(sampled, expected.detach())
        assert not torch.allclose(sampled, model.sample(N, labels + (1 - labels), torch.Generator().manual_seed(3)))


def test_a_traversal_varies_one_latent_over_the_prior():
    model = make(latent_dim=3)
    walks = model.traversals(7, torch.Generator().manual_seed(1))
    assert [name for name, _ in walks] == ["latent 1", "latent 2", "latent 3"]
    base = model.latents(1, torch.Generator().manual_seed(1))[0]
    for index, (_, latents) in enumerate(walks):
        others = [other for other in range(3) if other != index]
        assert torch.equal(latents[:, others], base[others].expand(7, -1))
        assert latents[:, index].tolist() == [-3, -2, -1, 0, 1, 2, 3]


# -- runs -------------------------------------------------------------------------------------------------------------


def test_a_step_descends_the_loss_of_its_own_draws(tiny_data, fit):
    model, twin = make(max_iterations=1).double(), make().double()
    noises, last, data = recording(model, "draw_shared"), LastOutputs(), tiny_data(shape=POINTS, dtype=torch.float64)
    fit(model, data, last)
    (noise,) = noises
    kl, log_likelihood, _, _ = parts(twin, data.batches[0].samples, noise)
    loss = (kl - log_likelihood[0]).mean()
    loss.backward()
    assert last.outputs["loss/autoencoder"] == pytest.approx(loss.item(), rel=1e-12)
    for name, old in twin.autoencoder.named_parameters():
        torch.testing.assert_close(model.autoencoder.get_parameter(name), old - 0.05 * old.grad, msg=name)


def test_two_processes_have_the_loss_of_one_with_their_batches():
    def loss(values, rank=0, world=1):
        model = make(IMAGES, binarise="sample", importance_samples=2)
        model._trainer = SimpleNamespace(world_size=world, global_rank=rank, strategy=None)
        model.begin_iteration()
        return model.loss_of("autoencoder", values, None)[0].item()

    apart = [loss(GRAY[200 * rank : 200 * (rank + 1)], rank, 2) for rank in range(2)]
    assert sum(apart) / 2 == pytest.approx(loss(GRAY), rel=1e-6)
    assert apart[1] != loss(GRAY[200:])


def test_a_resumed_run_ends_where_the_whole_one_does(tmp_path, tiny_data, fit):
    adam = {"algorithm": "adam", "lr": 0.01, "betas": [0.9, 0.99], "schedule": "linear"}
    options = {"binarise": "sample", "beta_warmup": 0.8, "importance_samples": 2, "max_iterations": 6}

    def fresh():
        return make(IMAGES, optimizer=adam, condition_size=3, **options)

    def data(start=0):
        return tiny_data(shape=IMAGES, classes=3, start=start)

    class SaveAndStop(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            if pl_module.iteration == 4:
                trainer.save_checkpoint(tmp_path / "four.ckpt")
                trainer.should_stop = True

    whole, second, lasts = fresh(), fresh(), (LastOutputs(), LastOutputs())
    fit(whole, data(), lasts[0])
    fit(fresh(), data(), SaveAndStop())
    fit(second, data(4), lasts[1], ckpt_path=tmp_path / "four.ckpt")
    assert second.iteration == 6 and lasts[0].outputs == lasts[1].outputs
    for name, weight in whole.state_dict().items():
        assert torch.equal(second.state_dict()[name], weight), name


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"reconstruction": "squared"}, "model.reconstruction=squared: the evidence lower bound needs a likelihood"),
        ({"shape": IMAGES, "reconstruction": "absolute"}, "set model.reconstruction=gaussian, or bernoulli for images"),
        ({"reconstruction": "bernoulli"}, "model.reconstruction=bernoulli: it is a likelihood of values in"),
        ({"binarise": "threshold"}, "model.binarise=threshold: only images under a Bernoulli likelihood, and this"),
        ({"shape": IMAGES, "reconstruction": "gaussian", "binarise": "sample"}, "set model.binarise=none"),
        ({"prior": "uniform"}, "model.prior=uniform: the KL is from a normal prior"),
        ({"objective": "iwae", "beta": 4.0}, "model.beta=4: the importance-weighted objective has no KL term"),
        ({"objective": "iwae", "free_bits": 0.5}, "model.free_bits=0.5: the importance-weighted"),
        ({"objective": "iwae", "beta_warmup": 0.5}, "set model.beta_warmup=0 or model.objective=elbo"),
        ({"encoder": {"code_activation": "sigmoid"}}, "set model.encoder.code_activation=linear"),
        ({"tied": True}, "set model.tied=false"),
    ],
)
def test_what_has_no_bound_is_refused(options, said):
    with pytest.raises(ConfigError, match=r"^model") as refused:
        make(**options)
    assert said in str(refused.value) and "\n" not in str(refused.value)
