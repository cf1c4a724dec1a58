"""Compiled training: one graph a computation, none broken, none compiled anew at each iteration; the same run."""

import logging

import lightning
import pytest
import torch
from torch._dynamo.utils import counters
from torch.nn.functional import softplus

from ganlab.models.adversarial import Round
from ganlab.models.gan import GAN
from ganlab.tasks.building import build_data, build_model

FAMILIES = {
    # conf/model/*.yaml: graphs of a run over logged and other iterations
    "acgan": 3,
    "ae": 2,
    "cgan": 3,
    "contractive_ae": 2,
    "dcgan": 3,
    "deep_ae": 4,
    "denoising_ae": 2,
    "fgan": 3,
    "gan": 3,
    "infogan": 3,
    "lapgan": 6,
    "lsgan": 3,
    "semi_supervised_gan": 3,
    "sparse_ae": 2,
    "stacked_ae": 4,
    "vae": 2,
    "wgan": 5,
    "wgan_gp": 5,
}
QUICK = ("gan", "wgan_gp", "vae")
"""The others take long to trace."""
OF = {
    "deep_ae": ["model.pretrain_iterations=1", "model.encoder.widths=[7]"],
    "stacked_ae": ["model.pretrain_iterations=1", "model.encoder.widths=[7]"],
    "lapgan": ["model.levels=2"],
}
TINY = {
    "points": ["data=ring", "data.batch_size=6"],
    "images": ["data=digits", "data.image_size=8", "data.margin=0", "data.batch_size=6"],
}
TECHNIQUES = [
    "model.instance_noise=0.5",
    "model.relativistic=average",
    "model.r1=0.5",
    "model.r2=0.5",
    "model.gradient_penalty=1",
    "model.augment=[color,translation,cutout]",
    "model.historical_averaging=0.1",
    "model.ema_decay=0.5",
]


class Kept(lightning.Callback):
    """What each iteration has logged; every second one is measured."""

    def __init__(self):
        self.rows = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.rows.append({tag: value.item() for tag, value in outputs.items()})
        pl_module.measuring = pl_module.iteration % 2 == 1


@pytest.fixture(autouse=True)
def afresh():
    torch._dynamo.reset()
    counters.clear()


@pytest.fixture
def trained(settings, fit):
    """trained("model=gan", …, backend="aot_eager"): the model, what it logged, and the lines it told."""

    def run(*words, backend=None, iterations=4, plugins=()):
        config = settings(*words, f"trainer.max_iterations={iterations}")
        model = build_model(config)
        model.prepare_training(optimizers=config["optimizer"], seed=0, max_iterations=iterations)
        told, kept = [], Kept()
        if backend:
            model.compile_training(told.append, backend=backend)
        fit(model, build_data(config, model), kept, plugins=list(plugins))
        return model, kept.rows, told

    return run


def assert_same(plain, compiled, **tolerance):
    (model, rows, _), (other, others, told) = plain, compiled
    assert told == []
    for row, again in zip(rows, others, strict=True):
        assert row.keys() == again.keys()
        assert list(row.values()) == pytest.approx(list(again.values()), **tolerance)
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], weight, rtol=1e-4, atol=tolerance.get("abs", 0), msg=name)


def test_every_family_is_here():
    from ganlab.config.paths import conf_folder

    assert set(FAMILIES) == {path.stem for path in (conf_folder() / "model").glob("*.yaml")}


@pytest.mark.parametrize("family", [f if f in QUICK else pytest.param(f, marks=pytest.mark.slow) for f in FAMILIES])
def test_a_familys_step_is_few_whole_graphs_and_the_same_step(trained, family):
    """`aot_eager` has the forward and backward graphs of the compiler, and runs them by torch's own kernels."""
    words = [f"model={family}", *TINY["images" if family not in QUICK else "points"], *OF.get(family, [])]
    plain = trained(*words)
    counters.clear()
    compiled = trained(*words, backend="aot_eager")
    assert counters["graph_break"] == {} and counters["stats"]["unique_graphs"] == FAMILIES[family]
    assert_same(plain, compiled, rel=0, abs=0)


@pytest.mark.slow
def test_techniques_and_penalties_are_of_the_same_graphs(trained):
    words = ["model=gan", *TINY["images"], "model.discriminator.norm=none", *TECHNIQUES]
    plain = trained(*words, iterations=6)
    counters.clear()
    compiled = trained(*words, iterations=6, backend="aot_eager")
    # The noise ends halfway: two graphs of each player.
    assert counters["graph_break"] == {} and counters["stats"]["unique_graphs"] == 5
    assert plain[1][0]["instance_noise/std"] > 0 and plain[1][5]["instance_noise/std"] == 0
    assert_same(plain, compiled, rel=0, abs=0)


def test_numbers_of_the_iteration_are_no_reason_to_compile_again(trained):
    words = ["model=vae", *TINY["points"], "model.beta_warmup=0.9"]
    plain = trained(*words, iterations=7)
    counters.clear()
    compiled = trained(*words, iterations=7, backend="eager")
    # β is 0 at the first iteration, and then it grows; each of them logged or not.
    assert counters["stats"]["unique_graphs"] <= 4
    assert len({row["kl/beta"] for row in plain[1] if "kl/beta" in row}) > 2
    assert_same(plain, compiled, rel=0, abs=0)


@pytest.mark.slow
@pytest.mark.parametrize("words", [["model=dcgan", *TINY["images"]], ["model=wgan_gp", *TINY["points"]]])
def test_under_autocast_a_penalty_keeps_its_precision(trained, words):
    from lightning.pytorch.plugins import MixedPrecision

    plain = trained(*words, plugins=[MixedPrecision("bf16-mixed", "cpu")])
    compiled = trained(*words, plugins=[MixedPrecision("bf16-mixed", "cpu")], backend="aot_eager")
    assert_same(plain, compiled, rel=2e-2, abs=2e-2)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["dcgan", "wgan_gp", "vae"])
def test_fast_code_makes_the_same_run_to_rounding(trained, family):
    words = [f"model={family}", *TINY["images"]]
    assert_same(trained(*words), trained(*words, backend="inductor"), rel=1e-4, abs=1e-5)


# -- what cannot be compiled ------------------------------------------------------------------------------------


class Reading(GAN):
    """A user's family that reads a number from the device in the middle of its loss."""

    def discriminator_terms(self, real_scores, fake_scores):
        factor = 1 if real_scores.sum().item() > 1e6 else 2
        return factor * softplus(-real_scores).mean(), softplus(fake_scores).mean()


def reading(make_gan, fit, tiny_data, monkeypatch, **options):
    monkeypatch.setattr("ganlab.models.gan.GAN.discriminator_terms", Reading.discriminator_terms)
    model, kept, told = make_gan(max_iterations=3), Kept(), []
    if options:
        model.compile_training(told.append, **options)
    fit(model, tiny_data(), kept)
    return model, kept.rows, told


def test_a_family_that_cannot_be_compiled_goes_on_uncompiled_with_one_line(
    make_gan, fit, tiny_data, monkeypatch, caplog
):
    plain = reading(make_gan, fit, tiny_data, monkeypatch)
    with caplog.at_level(logging.WARNING, logger="ganlab.models.compiled"):
        model, rows, told = reading(make_gan, fit, tiny_data, monkeypatch, backend="aot_eager")
    warned = [record.getMessage() for record in caplog.records if record.name == "ganlab.models.compiled"]
    assert len(told) == 1 and "\n" not in told[0] and told == warned
    assert told[0].startswith("trainer.compile=true: discriminator_says of model=tiny cannot be compiled (")
    assert told[0].endswith("; the run goes on uncompiled")
    assert_same(plain, (model, rows, []), rel=0, abs=0)


def test_a_compiler_that_is_missing_is_one_line(make_gan, fit, tiny_data):
    def compiler(graph, inputs):
        raise RuntimeError("no C++ compiler was found")

    model, told = make_gan(max_iterations=2), []
    model.compile_training(told.append, backend=compiler)
    fit(model, tiny_data())
    assert len(told) == 1 and "no C++ compiler was found" in told[0] and model.iteration == 2


def test_an_error_of_the_models_own_is_not_the_compilers(make_gan, fit, tiny_data, monkeypatch):
    def broken(self, real_scores, fake_scores):
        raise ValueError("scores of another game")

    monkeypatch.setattr("ganlab.models.gan.GAN.discriminator_terms", broken)
    model, told = make_gan(max_iterations=2), []
    model.compile_training(told.append, backend="eager")
    with pytest.raises(ValueError, match="scores of another game"):
        fit(model, tiny_data())
    assert told == []


# -- what compilation leaves as it is ---------------------------------------------------------------------------


def test_compiling_leaves_the_names_of_the_weights(make_gan):
    model = make_gan()
    names = list(model.state_dict())
    model.compile_training()
    assert list(model.state_dict()) == names


def test_a_rehearsal_leaves_no_trace(make_gan):
    """What a computation asks for is found out by running it once; batch norm and noise must not notice."""
    model = make_gan(shape=[1, 16, 16], networks="dcgan", instance_noise=0.5, max_iterations=2)
    model.compile_training(backend="eager")
    model.begin_iteration()
    given = Round(torch.randn(4, 1, 16, 16), torch.randn(4, 1, 16, 16), torch.zeros(4, 3), None)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state, own = model.noise.get_state(), torch.get_rng_state()
    notes = model.compiled._rehearsed("discriminator_says", (given,))
    assert torch.equal(model.noise.get_state(), state) and torch.equal(torch.get_rng_state(), own)
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())
    assert [note.is_number for note in notes] == [True, False, True, False]
    assert [tuple(note.make().shape) for note in notes if not note.is_number] == 2 * [(4, 1, 16, 16)]
