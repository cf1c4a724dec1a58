"""From plain settings to data, model, callbacks and trainer. No family is named here: Hydra's `_target_` does."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning import Callback, Trainer
from lightning.pytorch.loggers import Logger

from ganlab.callbacks.checkpoints import AtomicCheckpointIO, Checkpoints
from ganlab.callbacks.evaluation import Evaluate
from ganlab.callbacks.finite import FiniteGuard
from ganlab.callbacks.group import CallbackGroup
from ganlab.callbacks.guards import Guards
from ganlab.callbacks.held_out import HeldOut
from ganlab.callbacks.measure import Measure
from ganlab.callbacks.pictures import SamplePictures
from ganlab.callbacks.progress import ProgressBar
from ganlab.callbacks.pruning import Pruning
from ganlab.callbacks.records import CSVRecord, RunTensorBoard
from ganlab.callbacks.rollback import RollingBackGuard
from ganlab.callbacks.signals import EndOnSignal
from ganlab.callbacks.skipping import SkippingGuard
from ganlab.config.check import METADATA
from ganlab.data.module import LabDataModule
from ganlab.errors import ConfigError, GanlabError, innermost, reason_of
from ganlab.models.base import GenerativeModel
from ganlab.tasks import devices
from ganlab.tasks.cluster import cluster_environment
from ganlab.tasks.scoring import Scorer
from ganlab.tasks.strategy import choose_strategy

Watcher = TypeVar("Watcher", bound=Callback)

log = logging.getLogger(__name__)


@dataclass
class Machine:
    """What the run computes on, settled before anything is built."""

    accelerator: str
    processes_per_node: int
    nodes: int
    precision: str

    @property
    def processes(self) -> int:
        return self.processes_per_node * self.nodes


def settle_machine(trainer: dict[str, Any]) -> Machine:
    """Accelerator, process count and precision of the settings; raises `DeviceError`."""
    accelerator = devices.resolve_accelerator(trainer)
    return Machine(
        accelerator,
        devices.resolve_devices(trainer, accelerator),
        trainer["num_nodes"],
        devices.resolve_precision(trainer, accelerator),
    )


def build_model(settings: dict[str, Any]) -> GenerativeModel:
    """The model of a checked configuration, its weights drawn from the run's seed.

    Raises `GanlabError` for values that its constructor refuses together.
    """
    node = {key: value for key, value in settings["model"].items() if key == "_target_" or key not in METADATA}
    torch.manual_seed(settings["seed"])
    return _made(node)


def _made(node: dict[str, Any]) -> Any:
    try:
        return instantiate(node, _convert_="all", _recursive_=False)
    except InstantiationException as error:
        cause = innermost(error)
        if isinstance(cause, GanlabError):
            raise cause from None
        raise


def with_weights(model: GenerativeModel, checkpoint: dict[str, Any]) -> GenerativeModel:
    """The model as a checkpoint of the same settings holds it."""
    model.load_state_dict(checkpoint["state_dict"])
    model.iteration = int(checkpoint["iteration"])
    return model


def build_data(settings: dict[str, Any], model: GenerativeModel) -> LabDataModule:
    """The data module of a checked configuration, told what batches the model takes.

    Raises `GanlabError` for values that its constructor refuses.
    """
    data = _made(settings["data"])
    data.seed = settings["seed"]
    data.start_iteration = model.iteration
    data.update_plan = model.update_plan.times(model.accumulate)
    data.wants_labelled = model.learns_labels
    return data


def build_trainer(
    settings: dict[str, Any], machine: Machine, folder: Path, model: GenerativeModel, scorer: Scorer
) -> Trainer:
    """A Lightning trainer whose only clock is the iteration."""
    options = settings["trainer"]
    return Trainer(
        accelerator=machine.accelerator,
        devices=machine.processes_per_node,
        num_nodes=machine.nodes,
        precision=machine.precision,  # type: ignore[arg-type]
        strategy=choose_strategy(machine.processes, machine.accelerator, folder),
        sync_batchnorm=machine.processes > 1 and machine.accelerator == "cuda",
        max_epochs=-1,
        logger=_loggers(settings["logger"], folder, model.iteration),
        callbacks=_callbacks(settings, machine, folder, model, scorer),
        plugins=[AtomicCheckpointIO(), cluster_environment()],
        default_root_dir=str(folder),
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=options["log_every"],
    )


def _loggers(wanted: dict[str, bool], folder: Path, iteration: int) -> list[Logger]:
    loggers: list[Logger] = []
    if wanted["tensorboard"]:
        loggers.append(RunTensorBoard(folder, iteration))
    if wanted["csv"]:
        loggers.append(CSVRecord(folder, iteration))
    return loggers


def _callbacks(
    settings: dict[str, Any], machine: Machine, folder: Path, model: GenerativeModel, scorer: Scorer
) -> list[Callback]:
    """In the order in which they see the end of an iteration: judge, measure, draw, score, save, prune, then end."""
    options, watching = settings["trainer"], settings["callbacks"]
    last = options["max_iterations"]
    plan = model.update_plan.times(settings["data"]["batch_size"] * options["accumulate"] * machine.processes)
    guard = _finite_guard(watching, options["log_every"])
    measure = Measure(options["log_every"], last, plan)
    checkpoints = Checkpoints(
        folder / "checkpoints",
        every=options["checkpoint_every"],
        keep=options["keep_checkpoints"],
        max_iterations=last,
        config={**settings, "resume": None},
        guard=guard,
    )
    callbacks: list[Callback] = [guard, measure, HeldOut(options["log_every"], last)]
    if watching["guards"]:
        callbacks.append(Guards(measure, options["log_every"]))
    if options["sample_every"] is not None:
        callbacks.append(
            SamplePictures(folder / "samples", every=options["sample_every"], rows=watching["sample_rows"])
        )
    evaluate = Evaluate(scorer, checkpoints, every=options["evaluate_every"], max_iterations=last)
    callbacks += [evaluate, checkpoints]
    study = watching["pruning"]
    # A run that is resumed was asked for: it is no trial any more.
    if study["journal"] is not None and study["trial"] is not None and settings["resume"] is None:
        callbacks.append(Pruning(evaluate, checkpoints, journal=Path(study["journal"]), trial=study["trial"]))
    callbacks.append(ProgressBar(measure, last, options["progress"]))
    callbacks += [EndOnSignal(checkpoints, options["log_every"])]
    return [*map(_extra_callback, watching["extra"]), CallbackGroup(callbacks)]


def _finite_guard(watching: dict[str, Any], every: int) -> FiniteGuard:
    """What judges losses, gradients and weights, as `callbacks.not_finite` says."""
    if watching["not_finite"] == "skip":
        return SkippingGuard(every, watching["most_skipped"])
    if watching["not_finite"] == "roll_back":
        factor, most = watching["roll_back_factor"], watching["most_roll_backs"]
        return RollingBackGuard(every, factor=factor, most=most)
    return FiniteGuard(every)


def _extra_callback(node: dict[str, Any]) -> Callback:
    """A callback of the user's own; raises `ConfigError` if it cannot be made."""
    try:
        made = instantiate(node, _convert_="all")
    except InstantiationException as error:
        raise ConfigError(
            f"callbacks.extra: {node['_target_']} cannot be made: {reason_of(innermost(error))}"
        ) from None
    if not isinstance(made, Callback):
        raise ConfigError(f"callbacks.extra: {node['_target_']} makes no lightning.Callback, but {type(made).__name__}")
    return made


def member(trainer: Trainer, kind: type[Watcher]) -> Watcher:
    """The callback of a kind in a trainer that `build_trainer` has made; raises `StopIteration` if there is none."""
    return next(callback for callback in members(trainer) if isinstance(callback, kind))


def members(trainer: Trainer) -> list[Callback]:
    """ganlab's own callbacks in a trainer that `build_trainer` has made."""
    groups = [callback for callback in trainer.callbacks if isinstance(callback, CallbackGroup)]  # type: ignore[attr-defined]
    return [callback for group in groups for callback in group.members]
