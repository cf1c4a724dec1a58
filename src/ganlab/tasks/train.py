"""Training, from a checked configuration to a run folder with its results."""

import logging
import os
import platform
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from lightning import Trainer
from omegaconf import DictConfig, OmegaConf

from ganlab import __version__
from ganlab.callbacks.evaluation import Evaluate, Scores
from ganlab.callbacks.finite import NotFinite
from ganlab.callbacks.guards import Guards
from ganlab.callbacks.measure import Measure
from ganlab.callbacks.pruning import Pruned, Pruning, objective
from ganlab.callbacks.signals import Interrupted
from ganlab.config.ranks import is_first, is_first_of_node
from ganlab.config.resume import CONFIG_FILE, LAST_CHECKPOINT, task_overrides
from ganlab.config.trust import needs_trust
from ganlab.errors import ConfigError, GanlabError, OutputError, TrainingError
from ganlab.files import remove_refused_run, remove_temporaries, write_atomically
from ganlab.meeting import PREPARING, joined
from ganlab.models.base import GenerativeModel
from ganlab.tasks import acceleration, building, console, memory, provenance
from ganlab.tasks.checkpoints import load_checkpoint, verify_same_model, verify_weights
from ganlab.tasks.devices import choose_threads
from ganlab.tasks.dying_ranks import RankDied
from ganlab.tasks.evaluation_records import read_results, write_results
from ganlab.tasks.scoring import Scorer
from ganlab.tasks.strategy import leave_group, tell_first_rank
from ganlab.tasks.suiting import build_extractor

log = logging.getLogger(__name__)


def train(config: DictConfig) -> float | None:
    """Train in Hydra's run folder; returns the monitored score, if there is one.

    Raises `GanlabError` for a mistake of the user's, and `Pruned` for a trial that its search has ended. A new run's
    folder is removed again if the mistake was found before training began.
    """
    folder = _run_folder()
    settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    _quieten()
    if settings["resume"] is not None and is_first():
        remove_temporaries(folder)
    try:
        with memory.shortage_told():
            model, data, scorer, trainer, checkpoint = _prepare(settings, folder)
        _await_others("prepared")
        if checkpoint is not None and trainer.is_global_zero:
            _record_configuration(folder, settings)
    except GanlabError as error:
        tell_first_rank(error)
        if settings["resume"] is None and is_first():
            _end_log()
            remove_refused_run(folder)
        raise
    # Now, and not at the end: by then the files may be others than those that this process has loaded.
    made_by = _made_by(folder) if trainer.is_global_zero else {}
    started = time.perf_counter()
    # A run that was stopped between its last iteration and its results has only these to make.
    if model.iteration < settings["trainer"]["max_iterations"]:
        _fit(trainer, model, data, checkpoint, folder, settings)
        leave_group()
    if not trainer.is_global_zero:
        return None
    evaluated = building.member(trainer, Evaluate)
    scores = evaluated.latest if evaluated.latest_at == model.iteration else scorer(model)
    try:
        seconds = time.perf_counter() - started
        _write_results(folder, settings, trainer, model, scores, seconds, scorer.monitored, made_by)
    except OutputError as error:
        raise OutputError(f"{error}; then: {console.resuming(folder, needs_trust(settings))}") from None
    use = "sample" if model.generates else "encode"
    console.say_finished(folder, scores, scorer.monitored, scorer.why_nothing, use)
    if _was_pruned(trainer):
        again = console.resuming(folder)
        console.say(f"pruned: after iteration {model.iteration}, worse than other trials; to go on: {again}")
        raise Pruned
    return None if scorer.monitored is None else objective(scores[scorer.monitored])


def _prepare(settings: dict[str, Any], folder: Path) -> tuple[GenerativeModel, Any, Scorer, Trainer, str | None]:
    """Everything that a user's mistake can still stop; nothing of value is written yet."""
    machine = building.settle_machine(settings["trainer"])
    options = settings["trainer"]
    acceleration.settle_arithmetic(machine, options["tf32"], options["deterministic"])
    acceleration.keep_memory(machine)
    memory.verify_room(settings)
    model = building.build_model(settings)
    model.prepare_training(
        optimizers=settings["optimizer"],
        seed=settings["seed"],
        max_iterations=options["max_iterations"],
        accumulate=options["accumulate"],
        gradient_scaling=machine.precision == "16-mixed",
        foreign_callbacks=bool(settings["callbacks"]["extra"]),
        channels_last=options["channels_last"],
    )
    checkpoint = settings["resume"]
    if checkpoint is not None:
        saved = load_checkpoint(Path(checkpoint))
        verify_same_model(saved, settings, Path(checkpoint))
        verify_weights(model, saved, Path(checkpoint))
        model.iteration = int(saved["iteration"])
        finished = model.iteration >= options["max_iterations"]
        if finished and _has_results(folder, model.iteration):
            raise ConfigError(
                f"resume={console.relative(folder)}: this run has finished its {model.iteration} iterations; "
                f"go on with trainer.max_iterations={2 * model.iteration}"
            )
        if finished:
            model.load_state_dict(saved["state_dict"])
    torch.set_num_threads(choose_threads(options["threads"], model, machine.processes_per_node))
    data = building.build_data(settings, model)
    _load(data, machine.processes)
    # Built before training: a file of weights that is missing is told at once.
    scorer = Scorer(settings["metrics"], data, model, build_extractor(settings["metrics"]["extractor"], data))
    if is_first():
        scorer.verify()
    trainer = building.build_trainer(settings, machine, folder, model, scorer)
    if checkpoint is not None:
        building.member(trainer, Measure).restore(saved)
        for guards in _guards(trainer):
            guards.restore(saved)
    acceleration.compile_training(model, options, machine, console.warn)
    return model, data, scorer, trainer, checkpoint


def _has_results(folder: Path, iteration: int) -> bool:
    """Whether results.json is of that iteration: a run that has gone on has those of its earlier end."""
    try:
        return read_results(folder / "results.json").get("iterations") == iteration
    except OutputError:
        return False


def _run_folder() -> Path:
    """Hydra's; in a process that a launcher started the one that the first process has told it."""
    meeting = joined()
    return (meeting and meeting.folder) or Path(HydraConfig.get().runtime.output_dir)


def _await_others(stage: str) -> None:
    """Wait for the other processes of a launcher; raises `Refused` if one of them has met a mistake."""
    meeting = joined()
    if meeting is not None:
        meeting.gather(stage, PREPARING)
        meeting.over = stage == "prepared"


def _load(data: Any, processes: int) -> None:
    """Decode or download: the first process, then that of each other machine, which finds it done if they share disks.

    All others of a machine are given it by Lightning.
    """
    for turn, own in (("data", is_first()), ("other nodes' data", is_first_of_node() and not is_first())):
        if own:
            data.prepare_data()
            data.setup()
            data.verify_batch_size(processes)
        _await_others(turn)


def _fit(
    trainer: Trainer, model: GenerativeModel, data: Any, checkpoint: str | None, folder: Path, settings: dict[str, Any]
) -> None:
    """Fit, and turn the ways in which training may end early into what the user should know."""
    try:
        trainer.fit(model, datamodule=data, ckpt_path=checkpoint)
    except Interrupted:
        if trainer.is_global_zero:
            console.say_interrupted(folder, model.iteration, needs_trust(settings))
        raise
    except SystemExit as end:
        # A Ctrl-C before the first iteration: Lightning makes of it a wordless end with code 1.
        if isinstance(end.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    except RankDied:
        raise
    except OutputError as error:
        again = console.resuming(folder, needs_trust(settings))
        saved = (folder / LAST_CHECKPOINT).exists()
        then = f"then go on with: {again}" if saved else "then start it again: it has no checkpoint yet"
        raise OutputError(f"training stopped: {error}; {then}") from None
    except NotFinite as error:
        kept = folder / "checkpoints" / "last.ckpt"
        saved = kept.exists()
        hint = f"the last good checkpoint is {console.relative(kept)}" if saved else "no checkpoint had been saved yet"
        raise TrainingError(f"training stopped: {error}; {hint}; {error.remedy}") from None


def _guards(trainer: Trainer) -> list[Guards]:
    return [callback for callback in building.members(trainer) if isinstance(callback, Guards)]


def _was_pruned(trainer: Trainer) -> bool:
    return any(isinstance(callback, Pruning) and callback.pruned for callback in building.members(trainer))


def _write_results(
    folder: Path,
    settings: dict[str, Any],
    trainer: Trainer,
    model: GenerativeModel,
    scores: Scores,
    seconds: float,
    monitored: str | None,
    made_by: dict[str, Any],
) -> None:
    """results.json, and the same scores beside the hyper-parameters in TensorBoard."""
    measure = building.member(trainer, Measure)
    results = {
        "version": __version__,
        "model": settings["model"]["name"],
        "data": settings["data"]["name"],
        "seed": settings["seed"],
        "iterations": model.iteration,
        "monitored": monitored,
        "objective": None if monitored is None else objective(scores[monitored]),
        "pruned": _was_pruned(trainer),
        "warnings": [warning for guards in _guards(trainer) for warning in guards.warnings],
        "scores": scores,
        "last_values": measure.latest,
        "wall_seconds": round(seconds, 2),
        "machine": {
            "accelerator": trainer.accelerator.__class__.__name__.removesuffix("Accelerator").lower(),
            "processes": trainer.world_size,
            "precision": str(trainer.precision),
            "system": platform.system(),
        },
    } | made_by
    path = folder / "results.json"
    evaluations = _evaluations_before(path)
    write_results(path, results | ({"evaluations": evaluations} if evaluations else {}))
    final = {tag: score["value"] for tag, score in scores.items()}
    losses = {tag: value for tag, value in measure.latest.items() if tag.startswith("loss/")}
    for logger in trainer.loggers:
        logger.log_metrics(final, step=model.iteration)
        logger.log_hyperparams(_telling(settings), final | losses, step=model.iteration)  # type: ignore[call-arg]
        logger.save()
        logger.finalize("success")


def _made_by(folder: Path) -> dict[str, Any]:
    typed = task_overrides(HydraConfig.get())  # type: ignore[arg-type]
    return {
        "versions": provenance.versions(),
        "git": provenance.repositories(Path.cwd()),
        "overrides": provenance.overrides(folder, typed),
    }


def _evaluations_before(path: Path) -> list[Any]:
    """Evaluations of an earlier part of this run; a file that cannot be read is put aside and not overwritten."""
    try:
        return read_results(path).get("evaluations", [])
    except OutputError as error:
        aside = path.with_suffix(".damaged.json")
        log.warning("%s; it is now %s", error, aside.name)
        os.replace(path, aside)
        return []


def _telling(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings in which runs differ, by dotted name, for a table of hyper-parameters."""
    data = {key: settings["data"].get(key) for key in ("name", "batch_size", "image_size", "channels")}
    run = {key: settings["trainer"][key] for key in ("max_iterations", "precision", "accumulate", "devices")}
    groups = {"model": settings["model"], "optimizer": settings["optimizer"], "data": data, "trainer": run}
    hidden = ("_target_", "sample_shape", "recommended", "trains")
    flat: dict[str, Any] = {"seed": settings["seed"]}
    stack: list[tuple[str, Any]] = list(groups.items())
    while stack:
        name, node = stack.pop()
        if isinstance(node, dict):
            stack += [(f"{name}.{key}", child) for key, child in node.items() if key not in hidden]
        elif node is not None:
            flat[name] = node if isinstance(node, (int, float, str, bool)) else str(node)
    return flat


def _record_configuration(folder: Path, settings: dict[str, Any]) -> None:
    """A resumed run's configuration replaces the earlier one, so that the folder tells what it holds."""
    text = OmegaConf.to_yaml(OmegaConf.create({**settings, "resume": None}))
    write_atomically(folder / CONFIG_FILE, lambda file: file.write(text.encode()))


def _end_log() -> None:
    """Close train.log for good: a late warning would find its folder gone."""
    root = logging.getLogger()
    for handler in root.handlers[:]:
        handler.close()
        root.removeHandler(handler)
    root.addHandler(logging.NullHandler())


def _quieten() -> None:
    """Libraries' remarks go to train.log; the screen is for the run's own words."""
    logging.captureWarnings(True)
    if not is_first():
        logging.getLogger().setLevel(logging.ERROR)
    warnings.simplefilter("default")
    for name in ("lightning", "lightning.pytorch", "lightning.fabric", "pytorch_lightning"):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
