"""Runs of several phases: stopped and resumed anywhere, schedules, checkpoints, and what is refused."""

import pytest
import torch

from autoencoders import coders
from ganlab.callbacks.checkpoints import AtomicCheckpointIO, Checkpoints
from ganlab.callbacks.finite import FiniteGuard
from ganlab.errors import ConfigError
from ganlab.models.deep_ae import DeepAE
from ganlab.models.stacked_ae import StackedAE

SHAPE = [1, 3, 4]
ADAM = {"algorithm": "adam", "lr": 0.02, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0}
SGD = {"algorithm": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": False, "weight_decay": 0.01}
SCHEDULE = {"schedule": "linear", "decay_from": 0.5, "final_factor": 0.2}
TOTAL = 17


def make(family, total=TOTAL, pretrain=4, accumulate=1, schedule=SCHEDULE):
    """Three layers: three phases of four iterations, and five for the last one."""
    torch.manual_seed(4)
    model = {"stacked": StackedAE, "classifier": StackedAE, "deep": DeepAE}[family](
        name=family,
        sample_shape=SHAPE,
        latent_dim=3,
        pretrain_iterations=pretrain,
        **coders(SHAPE, [6, 5], "sigmoid"),
        **{
            "stacked": {"layer": "denoising_ae"},
            "classifier": {"layer": "denoising_ae", "fine_tune": "classify", "num_classes": 4},
            "deep": {"momentum_from": 2},
        }[family],
    )
    model.prepare_training(
        optimizers={
            "pretraining": {**(SGD if family == "deep" else ADAM), **schedule},
            "autoencoder": {**ADAM, **schedule},
        },
        seed=3,
        max_iterations=total,
        accumulate=accumulate,
    )
    return model


@pytest.fixture
def train(fit, tiny_data, tmp_path):
    """train(model, folder, since=…): with a checkpoint an iteration; returns them by iteration."""

    def trained(model, folder="run", since=None, rows=8):
        start = 0
        if since is not None:
            start = model.iteration = int(torch.load(since, weights_only=True)["iteration"])
        data = tiny_data(rows, SHAPE, classes=4, start=start)
        data.batches = [batch._replace(conditions=None, labelled=batch) for batch in data.batches]
        guard = FiniteGuard(1)
        kept = Checkpoints(
            tmp_path / folder, every=1, keep=99, max_iterations=model.max_iterations, config={}, guard=guard
        )
        fit(model, data, guard, kept, ckpt_path=since, plugins=[AtomicCheckpointIO()])
        return tmp_path / folder

    return trained


def saved(folder, iteration):
    return torch.load(folder / f"iteration_{iteration:06d}.ckpt", weights_only=True)


@pytest.mark.parametrize("family", ["stacked", "classifier", "deep"])
def test_a_run_that_is_resumed_anywhere_equals_one_that_never_stopped(train, family):
    """Within each phase, at each boundary, and in the last phase."""
    whole = train(make(family), "whole")
    expected = saved(whole, TOTAL)
    for stopped in (2, 4, 5, 8, 11, 12, 13, 16):
        again = saved(train(make(family), f"from_{stopped}", whole / f"iteration_{stopped:06d}.ckpt"), TOTAL)
        for name, weight in expected["state_dict"].items():
            assert torch.equal(weight, again["state_dict"][name]), (stopped, name)
        for one, other in zip(expected["optimizer_states"], again["optimizer_states"], strict=True):
            assert one["param_groups"] == other["param_groups"]
            for index, state in one["state"].items():
                for key, value in state.items():
                    assert torch.equal(torch.as_tensor(value), torch.as_tensor(other["state"][index][key]))
        assert expected["lr_schedulers"] == again["lr_schedulers"]


@pytest.mark.parametrize("family", ["stacked", "deep"])
def test_each_phases_end_is_kept_under_its_name(train, family):
    folder = train(make(family))
    layer = "layer" if family == "stacked" else "rbm"
    names = {path.stem for path in folder.glob("*.ckpt") if not path.stem.startswith("iteration_")}
    assert names == {f"{layer}_1", f"{layer}_2", f"{layer}_3", "autoencoder", "last"}
    for name, iteration in ((f"{layer}_1", 4), (f"{layer}_2", 8), (f"{layer}_3", 12), ("autoencoder", 17)):
        assert torch.load(folder / f"{name}.ckpt", weights_only=True)["iteration"] == iteration


def test_a_learning_rates_schedule_spans_its_phase(fit, tiny_data):
    """Full until half of the phase, then on a line to a fifth at its end; none moves in another's phase."""
    model, seen = make("stacked"), []
    update = model.update

    def watched(network):
        seen.append((network, model._optimizer_of[network].param_groups[0]["lr"]))
        update(network)

    model.update = watched
    fit(model, tiny_data(8, SHAPE))
    of_four = [1.0, 1.0, 1.0, 0.6]
    expected = [(f"layer_{k}", 0.02 * factor) for k in (1, 2, 3) for factor in of_four]
    expected += [("autoencoder", 0.02 * factor) for factor in (1.0, 1.0, 1.0, 1 - 0.8 * 0.2, 1 - 0.8 * 0.6)]
    assert [name for name, _ in seen] == [name for name, _ in expected]
    assert [lr for _, lr in seen] == pytest.approx([lr for _, lr in expected])


def test_half_batches_accumulate_to_a_whole_one_in_each_phase(fit, tiny_data):
    models = [make("stacked", accumulate=accumulate) for accumulate in (1, 2)]
    for model in models:
        for name in ("regularisers", "regulariser"):
            setattr(model, name, getattr(make_plain(), name))
        fit(model, tiny_data(8, SHAPE))
    for name, weight in models[0].state_dict().items():
        torch.testing.assert_close(models[1].state_dict()[name], weight, rtol=1e-4, atol=1e-5, msg=name)


def make_plain():
    """Without corruption: noise is drawn for each part."""
    torch.manual_seed(4)
    model = make("stacked")
    model.regularisers = torch.nn.ModuleList(type(model.regulariser)() for _ in range(3))
    return model


def test_the_mode_of_training_and_the_weights_of_others_do_not_matter_to_a_phase(fit, tiny_data):
    """Layers that come later may be anything while an earlier one learns."""
    models = [make("deep"), make("deep")]
    torch.nn.init.ones_(models[1].autoencoder.encoder.linears[2].weight)
    torch.nn.init.ones_(models[1].rbms[2].weight)
    states = []
    for model in models:
        model.max_iterations = 8
        fit(model, tiny_data(8, SHAPE))
        states.append(model.state_dict())
    for index in (0, 1):
        for name in ("weight", "visible_bias", "hidden_bias"):
            assert torch.equal(states[0][f"rbms.{index}.{name}"], states[1][f"rbms.{index}.{name}"])


@pytest.mark.parametrize("family", ["stacked", "classifier", "deep"])
@pytest.mark.parametrize("total", [5, 12])
def test_a_run_without_room_for_its_last_phase_is_refused(family, total):
    last = "classifier" if family == "classifier" else "autoencoder"
    with pytest.raises(ConfigError) as refusal:
        make(family, total)
    assert str(refusal.value) == (
        f"trainer.max_iterations={total}: the 3 layers' pretraining takes 12 of them, and nothing is left for the last "
        f"phase, {last}; set trainer.max_iterations above 12, or model.pretrain_iterations=4 lower (0: none)"
    )


def test_a_model_that_is_not_trained_has_no_phases_and_works():
    model = DeepAE(
        name="deep",
        sample_shape=SHAPE,
        latent_dim=3,
        pretrain_iterations=4,
        encoder={
            "_target_": "ganlab.networks.mlp_autoencoder.MLPEncoder",
            "sample_shape": SHAPE,
            "widths": [6],
            "activation": "sigmoid",
        },
        decoder={
            "_target_": "ganlab.networks.mlp_autoencoder.MLPDecoder",
            "sample_shape": SHAPE,
            "widths": [6],
            "activation": "sigmoid",
        },
    )
    assert model.phases == () and model.phase is None
    samples = torch.rand(5, *SHAPE) * 2 - 1
    assert model.reconstruct(samples).shape == samples.shape
