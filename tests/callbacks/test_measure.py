import copy
import re

import pytest
import torch
from lightning import Callback

import recording
from ganlab.callbacks import measure as module
from ganlab.callbacks.finite import FiniteGuard
from ganlab.callbacks.group import CallbackGroup
from ganlab.callbacks.measure import CHARTS, Measure
from ganlab.config.scores import BY_INCEPTION, SCORES, tag_name
from ganlab.counting import UpdatePlan

SCHEDULED = {"algorithm": "sgd", "lr": 0.1, "schedule": "linear", "decay_from": 0.0}
TAGS = {
    *("loss/discriminator", "loss/discriminator_real", "loss/discriminator_fake", "loss/generator"),
    *("score/real", "score/fake", "accuracy/discriminator_real", "accuracy/discriminator_fake"),
    *("grad_norm/generator", "grad_norm/discriminator", "lr/generator", "lr/discriminator"),
    "throughput/images_per_second",
}
OF_FAMILIES = {
    *("wasserstein/estimate", "wasserstein/exact", "divergence/estimate", "penalty/gradient", "penalty/r1"),
    *("loss/information", "loss/information_1", "information/code_1", "loss/supervised", "loss/feature_matching"),
    *("loss/class_real", "loss/generator_level_0", "loss/discriminator_level_1", "updates/generator"),
    *("instance_noise/std", "penalty/history_generator"),
    *("loss/autoencoder", "loss/reconstruction", "loss/autoencoder_layer_1", "loss/reconstruction_rbm_1"),
    *("rbm/free_energy_gap_rbm_1", "accuracy/labelled", "reconstruction/mse", "reconstruction/mse_held_out"),
    *("reconstruction/psnr", "reconstruction/restored_mse_held_out", "loss/kl", "loss/kl_held_out", "elbo"),
    *("elbo_held_out", "sparsity/dead_units", "jacobian/squared_norm_held_out"),
}


class Memory(recording.Memory):
    """Of one row an iteration."""

    def log_metrics(self, metrics, step=None):
        assert step not in self.rows
        super().log_metrics(metrics, step)


class Everything(Callback):
    """Outputs and gradient norms of every iteration, computed and read each time."""

    def __init__(self):
        self.rows, self.norms = {}, {}

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        squares = sum(p.grad.double().square().sum() for group in optimizer.param_groups for p in group["params"])
        self.norms[f"grad_norm/{pl_module.network_of(optimizer)}"] = squares.sqrt().item()

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        pl_module.measuring = True
        self.rows[pl_module.iteration] = {tag: value.item() for tag, value in outputs.items()} | self.norms


@pytest.mark.parametrize(
    ("every", "total", "expected"), [(3, 8, [3, 6, 8]), (4, 8, [4, 8]), (50, 5, [5]), (1, 3, [1, 2, 3])]
)
def test_it_logs_at_every_nth_iteration_and_at_the_last(make_gan, tiny_data, fit, every, total, expected):
    logger = Memory()
    fit(make_gan(max_iterations=total), tiny_data(), Measure(every, total, UpdatePlan(8)), logger=logger)
    assert list(logger.rows) == expected
    assert all(row.keys() == TAGS for row in logger.rows.values())


def test_a_resumed_run_logs_at_the_same_iterations(make_gan, tiny_data, fit):
    logger, model = Memory(), make_gan(max_iterations=9)
    model.iteration = 4
    fit(model, tiny_data(), Measure(5, 9, UpdatePlan(8)), logger=logger)
    assert list(logger.rows) == [5, 9]


@pytest.mark.parametrize("updates", [1, 3])
def test_values_are_those_of_that_very_iteration(make_gan, tiny_data, fit, updates):
    def build():
        clipped = {**SCHEDULED, "clip_norm": 1e-3}
        return make_gan(optimizer=clipped, max_iterations=7, discriminator_updates=updates).double()

    data = tiny_data(8 * updates, dtype=torch.float64)
    logger, everything = Memory(), Everything()
    fit(build(), data, Measure(3, 7, UpdatePlan(8)), logger=logger)
    fit(build(), data, everything)
    assert list(logger.rows) == [3, 6, 7]
    for iteration, row in logger.rows.items():
        for tag, value in everything.rows[iteration].items():
            assert row[tag] == pytest.approx(value, rel=1e-6), (iteration, tag)
        # The rate of this iteration's step, not the one that the schedule has moved on to.
        assert row["lr/generator"] == row["lr/discriminator"] == pytest.approx(0.1 * (1 - (iteration - 1) / 7))
        assert row["grad_norm/generator"] > 1e-3, "the norm is that before clipping"
    assert everything.rows[3] != everything.rows[6]


def test_throughput_counts_the_images_since_the_last_reading(make_gan, tiny_data, fit, monkeypatch):
    clock = iter([10.0, 14.0, 15.0, 15.5])
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(clock))
    logger = Memory()
    fit(make_gan(max_iterations=5), tiny_data(), Measure(2, 5, UpdatePlan(100)), logger=logger)
    speeds = [row["throughput/images_per_second"] for row in logger.rows.values()]
    assert speeds == [2 * 100 / 4, 2 * 100 / 1, 1 * 100 / 0.5]


def test_throughput_knows_a_plan_that_varies(make_gan, tiny_data, fit, monkeypatch):
    clock = iter([0.0, 1.0, 2.0, 3.0])
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(clock))
    logger, plan = Memory(), UpdatePlan(1, warmup_iterations=3, warmup_updates=5).times(100)
    fit(make_gan(max_iterations=5), tiny_data(), Measure(2, 5, plan), logger=logger)
    assert [row["throughput/images_per_second"] for row in logger.rows.values()] == [1000, 600, 100]


SYNCHRONISING = ["item", "tolist", "numpy", "cpu", "__bool__", "__float__", "__int__", "__index__", "is_nonzero"]


def test_between_logged_iterations_nothing_is_read_from_the_device(make_gan, tiny_data, fit, monkeypatch):
    """On a GPU each such call waits for all work that is queued."""
    model, reads, now = make_gan(max_iterations=10, ema_decay=0.9), [], []

    class Clock(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            now[:] = [pl_module.iteration + 1]

    for name in SYNCHRONISING:
        original = getattr(torch.Tensor, name)

        def counted(self, *args, original=original, name=name, **kwargs):
            if now:
                reads.append((now[0], name))
            return original(self, *args, **kwargs)

        monkeypatch.setattr(torch.Tensor, name, counted)
    group = CallbackGroup([FiniteGuard(5), Measure(5, 10, UpdatePlan(8))])
    fit(model, tiny_data(), Clock(), group, logger=Memory())
    assert {iteration for iteration, _ in reads} == {5, 10}
    # One reading each of the guard and of the measure.
    assert reads.count((5, "tolist")) == 2


def test_unlogged_iterations_compute_only_the_losses(make_gan, tiny_data, fit):
    outputs_seen = {}

    class Watch(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            outputs_seen[pl_module.iteration] = set(outputs)

    fit(make_gan(max_iterations=4), tiny_data(), Measure(2, 4, UpdatePlan(8)), Watch(), logger=Memory())
    assert outputs_seen[1] == outputs_seen[3] == {"loss/discriminator", "loss/generator"}
    assert outputs_seen[2] == outputs_seen[4] > outputs_seen[1]


def test_it_does_not_change_the_training(make_gan, tiny_data, fit):
    watched, alone = make_gan(), make_gan()
    fit(watched, tiny_data(), Measure(2, 4, UpdatePlan(8)), logger=Memory())
    alone.measuring = False
    fit(alone, tiny_data())
    weights = copy.deepcopy(alone.state_dict())
    assert all(torch.equal(weight, weights[name]) for name, weight in watched.state_dict().items())


def test_each_chart_shows_its_own_tags_and_no_others():
    """TensorBoard takes a chart's tags as patterns that must match from the start of a tag."""
    shown = {
        chart: {tag for tag in TAGS | OF_FAMILIES for pattern in patterns if re.match(pattern, tag)}
        for page, charts in CHARTS.items()
        for chart, patterns in charts.items()
        if page != "scores"
    }
    assert shown == {
        "losses": {"loss/discriminator", "loss/generator"},
        "discriminator: real and generated": {"loss/discriminator_real", "loss/discriminator_fake"},
        "raw scores": {"score/real", "score/fake"},
        "accuracy (1/2 at equilibrium)": {"accuracy/discriminator_real", "accuracy/discriminator_fake"},
        "Wasserstein distance": {"wasserstein/estimate", "wasserstein/exact"},
        "divergence (lower bound)": {"divergence/estimate"},
        "penalties": {"penalty/gradient", "penalty/r1", "penalty/history_generator"},
        "codes: -log Q, nats (InfoGAN)": {"loss/information_1"},
        "codes: mutual information, nats (lower bound)": {"information/code_1"},
        "supervised and feature matching": {"loss/supervised", "loss/feature_matching", "loss/class_real"},
        "levels (0 is the finest)": {"loss/generator_level_0", "loss/discriminator_level_1"},
        "updates so far": {"updates/generator"},
        "instance noise": {"instance_noise/std"},
        "loss": {"loss/autoencoder", "loss/reconstruction"},
        "layers in turn": {"loss/autoencoder_layer_1", "loss/reconstruction_rbm_1"},
        "free energy of data above that of the chain (RBMs)": {"rbm/free_energy_gap_rbm_1"},
        "classifier on the code: accuracy of labelled samples": {"accuracy/labelled"},
        "mean squared error a value": {"reconstruction/mse", "reconstruction/mse_held_out"},
        "peak signal to noise, dB": {"reconstruction/psnr"},
        "restored from corruption, mean squared error": {"reconstruction/restored_mse_held_out"},
        "KL from the prior, nats": {"loss/kl", "loss/kl_held_out"},
        "evidence lower bound, nats": {"elbo", "elbo_held_out"},
        "sparsity": {"sparsity/dead_units"},
        "squared norm of the encoder's Jacobian": {"jacobian/squared_norm_held_out"},
        "gradient norms": {"grad_norm/generator", "grad_norm/discriminator"},
        "learning rates": {"lr/generator", "lr/discriminator"},
    }


@pytest.mark.parametrize("extractor", ["inception", "digits", "random_conv", None])
def test_each_score_is_on_one_chart(extractor):
    for kind in SCORES:
        tag = f"metric/{tag_name(kind, extractor)}"
        if extractor is None and kind in BY_INCEPTION:
            continue
        charts = [chart for chart, patterns in CHARTS["scores"].items() if any(re.match(p, tag) for p in patterns)]
        assert len(charts) == 1, (tag, charts)
