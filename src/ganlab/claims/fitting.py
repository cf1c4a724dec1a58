"""Runs of an experiment that are trained by this process and copies of it: a start costs nothing, and there is no
folder."""

import logging
import multiprocessing
import pickle
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from lightning import Callback, Trainer
from torch import Tensor

from ganlab.claims.composing import settings_of
from ganlab.claims.lab import Lab
from ganlab.claims.reading import ALL
from ganlab.data.module import LabDataModule
from ganlab.tasks.building import build_data, build_model
from ganlab.tasks.console import say
from ganlab.tasks.dying_ranks import live_with_parent


@dataclass(frozen=True)
class Fitted:
    """A trained model (on the CPU, in eval mode), its data, and the configuration of both.

    `arm` and `seed` say which one it is of an experiment's.
    """

    arm: str
    seed: int
    settings: dict[str, Any]
    model: Any
    data: LabDataModule

    def samples(self, split: Literal["train", "test"]) -> Tensor:
        """All samples of a split, [n, *sample_shape]."""
        return self.data.examples(ALL, split).samples


class Watch(Protocol):
    """Is called before the first iteration of a run and after each one, while its model is being trained.

    It can be pickled, draws no random number of torch's default generator and leaves the model as it is.
    """

    def __call__(self, run: Fitted) -> None: ...

    def join(self, other: Any) -> None:
        """Take over what a copy of this one has seen of one run."""
        ...


Wanted = tuple[Sequence[str], str, int, Watch | None]
"""A command line's words, the arm and the seed that they are of, and who watches."""


def fit(lab: Lab, arms: Mapping[str, Sequence[str]], watch: Watch | None = None) -> dict[str, list[Fitted]]:
    """Train each arm with each seed, as `Lab.train` does and to the same weights, but unscored and kept nowhere.

    Returns the trained models of each arm, in the order of the seeds.
    """
    wanted = [(lab.words(overrides, seed), arm, seed, watch) for arm, overrides in arms.items() for seed in lab.seeds]
    return fit_all(wanted, lab.jobs)


def fit_all(wanted: Sequence[Wanted], jobs: int) -> dict[str, list[Fitted]]:
    """Train what is wanted, by arm: `jobs` at a time, where the system can divide this process (else one by one)."""
    fitted: dict[str, list[Fitted]] = {}
    with _in_turn(wanted, min(jobs, len(wanted))) as runs:
        for done, run in enumerate(runs, start=1):
            fitted.setdefault(run.arm, []).append(run)
            say(f"trained {done} of {len(wanted)}: {run.arm}, seed {run.seed}")
    return fitted


@contextmanager
def _in_turn(wanted: Sequence[Wanted], jobs: int) -> Iterator[Iterator[Fitted]]:
    if jobs < 2 or "fork" not in multiprocessing.get_all_start_methods() or sys.platform == "darwin":
        yield (fit_one(*one) for one in wanted)
        return
    # What leaves this block early ends the others: a pool is terminated at its end.
    with multiprocessing.get_context("fork").Pool(jobs, _begin_worker, (live_with_parent(),)) as pool:
        yield (_joined(one, told) for one, told in zip(wanted, pool.imap(_work, wanted), strict=True))


def _begin_worker(live: Callable[[], None]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    live()


def _work(wanted: Wanted) -> bytes:
    """A run in a process of its own, as bytes: what a queue of processes makes of tensors are open files."""
    torch.set_num_threads(1)
    run = fit_one(*wanted)
    return pickle.dumps((run.model.state_dict(), run.model.iteration, wanted[-1]))


def _joined(wanted: Wanted, told: bytes) -> Fitted:
    words, arm, seed, watch = wanted
    weights, iteration, seen = pickle.loads(told)
    if watch is not None:
        watch.join(seen)
    run = _prepared(words, arm, seed)
    run.model.load_state_dict(weights)
    run.model.iteration = iteration
    run.model.eval().requires_grad_(False)
    return run


def _prepared(words: Sequence[str], arm: str, seed: int) -> Fitted:
    """The model and its data before training."""
    settings = settings_of(words)
    options = settings["trainer"]
    model = build_model(settings)
    model.prepare_training(
        optimizers=settings["optimizer"],
        seed=settings["seed"],
        max_iterations=options["max_iterations"],
        accumulate=options["accumulate"],
        channels_last=options["channels_last"],
    )
    model.measuring = False
    data = build_data(settings, model)
    data.prepare_data()
    data.setup()
    return Fitted(arm, seed, settings, model, data)


def fit_one(words: Sequence[str], arm: str = "", seed: int = 0, watch: Watch | None = None) -> Fitted:
    """What `python -m ganlab` trains by these words and trainer.threads=1, on the CPU.

    Raises `ConfigError` for words that cannot be.
    """
    # From the beginning: in a copy of a process that has used several threads these others do not exist.
    with _quiet(), _one_thread():
        fitted = _prepared(words, arm, seed)
        trainer = Trainer(
            accelerator="cpu",
            devices=1,
            max_epochs=-1,
            logger=False,
            callbacks=[] if watch is None else [_Watching(watch, fitted)],
            use_distributed_sampler=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(fitted.model, datamodule=fitted.data)
    fitted.model.eval().requires_grad_(False)
    return fitted


def held_out_error(fitted: Fitted) -> float:
    """The mean squared error a value on the test split; pixels are from 0 to 1."""
    return float(fitted.model.examine(fitted.samples("test"))["reconstruction/mse"].mean())


class _Watching(Callback):
    def __init__(self, watch: Watch, fitted: Fitted) -> None:
        self.watch, self.fitted = watch, fitted

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        self.watch(self.fitted)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.watch(self.fitted)


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning's remarks are about what a user of it would set; here nothing is theirs to set."""
    library = logging.getLogger("lightning.pytorch")
    before = library.level
    library.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        library.setLevel(before)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
