"""Each guard by measurements that were recorded, ill and healthy, and by a run that is made to go wrong."""

from types import SimpleNamespace

import pytest
import torch
from lightning import Callback
from lightning.pytorch.loggers import Logger

from ganlab.callbacks.checkpoints import AtomicCheckpointIO, Checkpoints
from ganlab.callbacks.finite import FiniteGuard
from ganlab.callbacks.guards import (
    FAKE,
    GRADIENT,
    KINDS,
    REAL,
    SLOPE,
    Clipped,
    Collapse,
    DeadUnits,
    Guards,
    PosteriorCollapse,
    Saturation,
    StillAverage,
    VanishedGradient,
)
from ganlab.callbacks.measure import Measure
from ganlab.callbacks.symptoms import AT_CLIP, AVERAGE_MOVED, DIVERSITY, MOVED
from ganlab.counting import UpdatePlan
from ganlab.models.wgan import WGAN
from recording import Memory

ADAM = {"algorithm": "adam", "lr": 2e-3, "betas": [0.5, 0.9]}
NAMES = {kind.name for kind in KINDS}


def told(kind, **columns):
    """At which look (from 1) a guard speaks, and what it says, of measurements by tag."""
    guard, tags = kind(), list(columns)
    rows = [dict(zip(tags, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    said = [(look, guard.look(row)) for look, row in enumerate(rows, 1)]
    return [(look, line) for look, line in said if line]


# -- recorded: looks 50 iterations apart ------------------------------------------------------------------------

HEALTHY_RING = {  # experiment=ring, 300 iterations
    REAL: (0.467, 0.637, 0.510, 0.465, 0.760, 0.525),
    FAKE: (0.623, 0.418, 0.348, 0.719, 0.576, 1.0),
    GRADIENT: (3.12, 3.78, 3.73, 3.66, 3.98, 1.74),
    DIVERSITY: (0.974, 0.825, 0.821, 1.035, 0.649, 0.942),
    MOVED: (0.083, 0.083, 0.052, 0.061, 0.059, 0.078),
    AVERAGE_MOVED: (0.080, 0.080, 0.053, 0.049, 0.064, 0.060),
}
COLLAPSED = (  # experiment=ring_collapse: the heap is torn apart whenever it wanders
    *(0.0095, 0.222, 0.0119, 0.413, 0.122, 0.0956, 0.233, 0.0431, 0.245, 0.107, 0.0455, 0.0161, 0.00785, 0.429, 0.145),
    *(0.581, 0.153, 0.185, 0.449, 0.12, 0.363, 0.126, 0.0862, 0.0326, 0.027),
)
TIGHT = (  # experiment=wgan_tight_clipping
    *(0.989, 0.954, 0.879, 0.765, 0.651, 0.571, 0.524, 0.569, 0.702, 0.768, 0.792, 0.835, 0.868, 0.897, 0.906, 0.936),
    *(0.945, 0.952, 0.96, 0.972),
)
PAPERS = (0.495, 0.493, 0.598, 0.772, 0.858, 0.977, 0.985, 0.948, 0.946, 0.776, 0.385, 0.702)  # model=wgan data=ring


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_healthy_run_is_not_warned_of(kind):
    assert told(kind, **HEALTHY_RING) == []


def test_a_wandering_heap_is_a_collapse():
    ((look, line),) = told(Collapse, **{DIVERSITY: COLLAPSED})
    assert look == 18
    assert line == "samples of fixed noise are 18.5% as far apart as real ones, once 58%"
    ((look, _),) = told(Collapse, **{DIVERSITY: [min(share, 0.4) for share in COLLAPSED]})
    assert look == 22  # that were never far apart: the twentieth look is the first that counts


def test_a_collapse_is_told_sooner_of_a_generator_that_had_begun():
    ((look, line),) = told(Collapse, **{DIVERSITY: (0.1, 0.6, 0.9, 1.0, 0.9, 0.02, 0.02, 0.02, 0.02, 0.02)})
    assert (look, line) == (10, "samples of fixed noise are 2.0% as far apart as real ones, once 100%")
    assert told(Collapse, **{DIVERSITY: (0.01,) * 19}) == []


def test_a_critic_at_its_bound_is_told_from_one_with_room():
    ((look, line),) = told(Clipped, **{AT_CLIP: TIGHT, SLOPE: (2.8e-11,) * len(TIGHT)})
    said = "87.9% of the critic's weights lie at the clip bound, and the norm of its gradient is 2.8e-11"
    assert (look, line) == (3, said)
    assert told(Clipped, **{AT_CLIP: PAPERS, SLOPE: (2.8e-5, 2e-4, *(4e-3,) * 10)}) == []
    assert told(Clipped, **{AT_CLIP: (0.4,) * 9, SLOPE: (1e-9,) * 9}) == []


def test_a_gradient_may_be_small_from_the_beginning_or_fall():
    ((look, line),) = told(VanishedGradient, **{GRADIENT: (3.73e-13, 3.73e-13, 3.68e-13, 3.55e-13)})
    assert (look, line) == (3, "the generator's gradient norm is 3.7e-13")
    falling = (0.5, 0.6, 0.4, 0.1, 4e-4, 4e-4, 4e-4, 3e-4)
    ((look, line),) = told(VanishedGradient, **{GRADIENT: falling})
    assert (look, line) == (7, "the generator's gradient norm is 0.0004, before 0.45")
    assert told(VanishedGradient, **{GRADIENT: (0.5, 0.6, 0.4, 0.1, 1e-2, 1e-2, 1e-2, 1e-2)}) == []


def test_a_sure_discriminator_is_told_only_if_the_generator_learns_little_from_it():
    right = {REAL: (1.0,) * 10, FAKE: (1.0,) * 10}
    falling = (2.0, 1.5, 1.0, 1.0, 0.5, 0.05, 0.05, 0.04, 0.03, 0.02)
    ((look, line),) = told(Saturation, **right, **{GRADIENT: falling})
    assert look == 8
    assert line == (
        "the discriminator is right on 100.0% of real and 100.0% of generated samples, "
        "and the generator's gradient norm is 0.04, early on 1"
    )
    assert told(Saturation, **right, **{GRADIENT: (2.0,) * 10}) == []
    ((look, _),) = told(Saturation, **right, **{GRADIENT: (3.1e-5, 1.9e-5, 1.2e-5) + (1e-5,) * 7})
    assert look == 3  # that had vanished before the first look
    unsure = {REAL: (1.0,) * 10, FAKE: (0.9,) * 10}
    assert told(Saturation, **unsure, **{GRADIENT: falling}) == []


def test_an_average_that_stays_while_the_generator_moves():
    ((look, _),) = told(StillAverage, **{MOVED: (0.1,) * 4, AVERAGE_MOVED: (0.0,) * 4})
    assert look == 3
    assert told(StillAverage, **{MOVED: (0.0,) * 4, AVERAGE_MOVED: (0.0,) * 4}) == []
    assert told(StillAverage, **{MOVED: (0.1,) * 4, AVERAGE_MOVED: (0.016,) * 4}) == []


def test_a_posterior_without_information_and_dead_units():
    kl = {"loss/kl": (0.0271, 0.0128, 0.0078, 0.0055, 0.00507)}  # model=vae model.beta=100
    ((look, line),) = told(PosteriorCollapse, **{"latents/active": (0.0,) * 5}, **kl)
    assert (look, line) == (5, "0 latents are active, and KL 0.0051 nats")
    assert told(PosteriorCollapse, **{"latents/active": (0.0, 0.0, 1.0, 3.0, 16.0)}) == []
    ((look, line),) = told(DeadUnits, **{"sparsity/dead_units": (0.5, 0.95, 0.95, 0.95, 0.95, 0.95)})
    assert (look, line) == (6, "95.0% of the code's units are dead")
    assert told(DeadUnits, **{"sparsity/dead_units": (0.5,) * 9}) == []


def test_it_is_told_once_and_again_after_it_has_recovered():
    bad, good = 0.95, 0.5
    sequence = (bad,) * 6 + (good,) * 4 + (bad,) * 6 + (good,) * 5 + (bad,) * 6
    assert [look for look, _ in told(DeadUnits, **{"sparsity/dead_units": sequence})] == [5, 26]


def test_what_is_not_measured_or_no_number_is_passed_over():
    nan = float("nan")
    assert [look for look, _ in told(VanishedGradient, **{GRADIENT: (0.0, nan, 0.0, nan, 0.0)})] == [5]
    assert KINDS[0]().look({}) is None


# -- runs that go wrong -----------------------------------------------------------------------------------------


class Board(Logger):
    """TensorBoard's texts."""

    name, version = "board", ""

    def __init__(self):
        super().__init__()
        self.texts = []
        self.experiment = SimpleNamespace(
            add_text=lambda tag, text, step: self.texts.append((tag, text, step)),
            add_custom_scalars=lambda layout: None,
        )

    def log_hyperparams(self, *args, **kwargs):
        pass

    def log_metrics(self, metrics, step=None):
        pass


class At(Callback):
    """Does something to the model before an iteration."""

    def __init__(self, iteration, do):
        self.iteration, self.do = iteration, do

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if pl_module.iteration == self.iteration - 1:
            with torch.no_grad():
                self.do(pl_module)


@pytest.fixture
def watch(points, fit):
    """watch(model, …): trains under guards; returns them and what was logged, by iteration."""

    def watched(model, *others, board=None, data=None, ckpt_path=None):
        measure, memory = Measure(25, model.max_iterations, UpdatePlan(8)), Memory()
        guards = Guards(measure, 25)
        logger = [memory] if board is None else [memory, board]
        data = data or points(start=model.iteration)
        options = {"logger": logger, "plugins": [AtomicCheckpointIO()], "ckpt_path": ckpt_path}
        fit(model, data, *others[:1], measure, guards, *others[1:], **options)
        return guards, memory.rows

    return watched


def warned(guards):
    return [(entry["guard"], entry["iteration"], entry["times"], entry["stands"]) for entry in guards.warnings]


def test_a_generator_that_makes_one_point_is_warned_of(make_gan, watch, capsys):
    """Diverse at first; at iteration 160 nothing of the noise is left in its last layer."""

    def collapse(model):
        model.generator.layers[-1].weight.zero_()

    still = {"generator": {**ADAM, "lr": 0.0}, "discriminator": ADAM}
    board = Board()
    model = make_gan(max_iterations=300, optimizers=still, optimizer=ADAM)
    with torch.no_grad():
        model.generator.layers[-1].weight.mul_(20)
    guards, rows = watch(model, At(160, collapse), board=board)
    assert ("mode_collapse", 275, 1, True) in warned(guards)
    line = next(entry["line"] for entry in guards.warnings if entry["guard"] == "mode_collapse")
    assert line.startswith("mode_collapse at iteration 275: samples of fixed noise are 0.0% as far apart as real ones")
    assert "try model.discriminator.minibatch_kernels=32" in line and "\n" not in line
    assert capsys.readouterr().err.count(f"warning: {line}\n") == 1
    assert ("guard/mode_collapse", line, 275) in board.texts
    assert [rows[at]["guard/mode_collapse"] for at in (250, 275, 300)] == [0.0, 1.0, 1.0]


def test_a_discriminator_that_is_trained_alone_is_warned_of(make_gan, watch):
    """The minimax loss of a sure discriminator has no gradient for the generator."""
    alone = {"generator": {**ADAM, "lr": 0.0}, "discriminator": {**ADAM, "lr": 0.05}}
    model = make_gan(max_iterations=450, optimizers=alone, loss="minimax", ema_decay=0.9)
    guards, _ = watch(model)
    warnings = {entry["guard"]: entry for entry in guards.warnings}
    assert warnings["discriminator_saturated"]["iteration"] <= 200
    assert "right on 100.0% of real and 100.0% of generated samples" in warnings["discriminator_saturated"]["line"]


def test_a_generator_without_a_gradient_is_warned_of(make_gan, watch):
    model = make_gan(max_iterations=100)
    term = model.generator_term
    model.generator_term = lambda scores: term(scores) * 1e-12
    guards, rows = watch(model)
    assert warned(guards) == [("generator_gradient_vanished", 75, 1, True)]
    norm = rows[75]["grad_norm/generator"]
    assert f"at iteration 75: the generator's gradient norm is {norm:.2g}; nothing tells" in guards.warnings[0]["line"]


def test_a_critic_whose_clip_is_far_below_its_step_is_warned_of(watch):
    torch.manual_seed(11)
    kind = {"sample_shape": [2], "width": 8}
    model = WGAN(
        name="tiny",
        sample_shape=[2],
        latent_dim=3,
        clip=0.003,
        generator={"_target_": "ganlab.networks.mlp.MLPGenerator", **kind},
        discriminator={"_target_": "ganlab.networks.mlp.MLPDiscriminator", **kind},
    )
    steps = {"generator": {"algorithm": "sgd", "lr": 0.05}, "discriminator": {"algorithm": "sgd", "lr": 1e15}}
    model.prepare_training(optimizers=steps, seed=0, max_iterations=75)
    guards, rows = watch(model)
    assert ("weights_at_clip_bound", 75, 1, True) in warned(guards)
    assert rows[75]["guard/weights_at_clip_share"] > 0.5
    assert f"and the norm of its gradient is {rows[75][SLOPE]:.2g}; the bound is so tight" in str(guards.warnings)


def test_an_average_that_is_not_updated_is_warned_of(make_gan, watch):
    model = make_gan(max_iterations=125, optimizer=ADAM, ema_decay=0.999)
    model.generator_ema.update = lambda *arguments: None
    guards, _ = watch(model)
    assert warned(guards) == [("average_not_moving", 100, 1, True)]  # its first look has nothing to compare with
    healthy, _ = watch(make_gan(max_iterations=125, optimizer=ADAM, ema_decay=0.999))
    assert warned(healthy) == []


# -- what it leaves alone ---------------------------------------------------------------------------------------


def test_training_is_the_same_with_and_without_guards(make_gan, points, fit, watch):
    def model():
        return make_gan(max_iterations=60, optimizer=ADAM, ema_decay=0.9)

    plain, guarded = model(), model()
    fit(plain, points())
    watch(guarded)
    assert all(torch.equal(value, guarded.state_dict()[name]) for name, value in plain.state_dict().items())


def test_a_run_that_goes_on_logs_and_warns_as_one_that_was_never_stopped(make_gan, watch, tmp_path):
    def model(start=0):
        made = make_gan(max_iterations=200, ema_decay=0.9)
        term = made.generator_term
        made.generator_term = lambda scores: term(scores) * (1e-12 if made.iteration < 120 else 1.0)
        made.iteration = start
        return made

    def saving():
        guard = FiniteGuard(25)
        return guard, Checkpoints(tmp_path, every=50, keep=9, max_iterations=200, config={}, guard=guard)

    whole, rows = watch(model(), *saving())
    assert warned(whole) == [("generator_gradient_vanished", 75, 1, False)]
    for at in (50, 100):
        again, later = watch(model(at), *saving(), ckpt_path=tmp_path / f"iteration_{at:06d}.ckpt")
        assert again.warnings == whole.warnings
        assert [guard.state() for guard in again.guards] == [guard.state() for guard in whole.guards]
        speed = "throughput/images_per_second"
        for iteration, row in later.items():
            assert {**row, speed: 0} == {**rows[iteration], speed: 0}


def test_looks_are_at_least_25_iterations_apart_and_where_values_are_logged():
    assert [Guards(Measure(n, 1, UpdatePlan(1)), n).every for n in (1, 2, 10, 25, 40, 100)] == [25, 26, 30, 25, 40, 100]


def test_only_the_first_process_looks():
    guards = Guards(Measure(25, 100, UpdatePlan(1)), 25)
    other = SimpleNamespace(is_global_zero=False)
    guards.on_train_batch_end(other, SimpleNamespace(iteration=25), {}, None, 0)
    assert guards.warnings == []
