"""What the settings come to: the callbacks in their order, the weights from the seed, the trainer's one clock."""

from pathlib import Path

import pytest
import torch

from ganlab.callbacks.checkpoints import AtomicCheckpointIO, Checkpoints
from ganlab.callbacks.evaluation import Evaluate
from ganlab.callbacks.finite import FiniteGuard
from ganlab.callbacks.guards import Guards
from ganlab.callbacks.held_out import HeldOut
from ganlab.callbacks.measure import Measure
from ganlab.callbacks.pictures import SamplePictures
from ganlab.callbacks.progress import ProgressBar
from ganlab.callbacks.rollback import RollingBackGuard
from ganlab.callbacks.signals import EndOnSignal
from ganlab.callbacks.skipping import SkippingGuard
from ganlab.tasks.building import build_data, build_model, build_trainer, member, settle_machine
from ganlab.tasks.scoring import Scorer
from ganlab.tasks.suiting import build_extractor

SMALL = ["model.generator.width=4", "model.discriminator.width=4"]


def built(settings, folder: Path, *words: str):
    config = settings(*SMALL, *words)
    model = build_model(config)
    data = build_data(config, model)
    scorer = Scorer(config["metrics"], data, model, build_extractor(config["metrics"]["extractor"], data))
    return config, model, build_trainer(config, settle_machine(config["trainer"]), folder, model, scorer)


def test_the_guard_judges_first_and_the_best_is_chosen_among_what_was_saved(settings, tmp_path):
    _, _, trainer = built(settings, tmp_path, "trainer.evaluate_every=5")
    kinds = [type(callback) for callback in trainer.callbacks[0].members]
    watching = [FiniteGuard, Measure, HeldOut, Guards, SamplePictures]
    assert kinds == [*watching, Evaluate, Checkpoints, ProgressBar, EndOnSignal]


@pytest.mark.parametrize(
    ("choice", "kind"), [("stop", FiniteGuard), ("skip", SkippingGuard), ("roll_back", RollingBackGuard)]
)
def test_what_judges_numbers_is_chosen(settings, tmp_path, choice, kind):
    _, _, trainer = built(settings, tmp_path, f"callbacks.not_finite={choice}", "callbacks.guards=false")
    first = trainer.callbacks[0].members[0]
    assert type(first) is kind
    assert member(trainer, Checkpoints).guard is first
    assert Guards not in {type(callback) for callback in trainer.callbacks[0].members}


def test_images_are_counted_over_updates_accumulation_and_processes(settings, tmp_path):
    words = ["model.discriminator_updates=5", "trainer.accumulate=2", "data.batch_size=8"]
    config, model, trainer = built(settings, tmp_path, *words)
    assert member(trainer, Measure).images.before(3) == 3 * 8 * 5 * 2
    assert model.update_plan.at(0) == 5
    model.prepare_training(optimizers=config["optimizer"], seed=0, max_iterations=1, accumulate=2)
    assert build_data(config, model).update_plan.at(0) == 10


def test_the_trainer_has_no_clock_and_no_checkpoints_of_its_own(settings, tmp_path):
    _, _, trainer = built(settings, tmp_path, "logger=none", "trainer.sample_every=null")
    assert trainer.max_epochs == -1 and trainer.max_steps == -1
    assert trainer.checkpoint_callback is None and trainer.loggers == []
    assert isinstance(trainer.strategy.checkpoint_io, AtomicCheckpointIO)
    assert SamplePictures not in {type(callback) for callback in trainer.callbacks[0].members}


def test_the_seed_and_nothing_else_decides_the_first_weights(settings):
    first, again, other = (build_model(settings(*SMALL, f"seed={seed}")).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["generator.project.weight"], other["generator.project.weight"])
