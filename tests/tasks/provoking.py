"""Callbacks that make something happen to a run at a chosen iteration; named by `callbacks.extra` in tests."""

import atexit
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from lightning import Callback

from ganlab.errors import DataError


class SignalAt(Callback):
    """Sends this process a signal during iteration `iteration`."""

    def __init__(self, iteration: int, name: str) -> None:
        self.iteration = iteration
        self.number = getattr(signal, name)

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if pl_module.iteration == self.iteration - 1:
            os.kill(os.getpid(), self.number)


class PoisonAt(Callback):
    """Makes a weight of the discriminator NaN before iteration `iteration`."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if pl_module.iteration == self.iteration - 1:
            with torch.no_grad():
                next(pl_module.discriminator.parameters()).fill_(float("nan"))


class DigestAt(Callback):
    """Writes what this process drew and holds at the end, for a comparison of ranks."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.seen: list[torch.Tensor] = []

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.seen.append(batch.samples.clone())

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        weights = {name: weight.clone() for name, weight in pl_module.state_dict().items()}
        pl_module.begin_iteration()
        latents = pl_module.draw_latents(4).clone()
        content = {"weights": weights, "seen": torch.stack(self.seen), "latents": latents}
        torch.save(content, f"{self.folder}/rank{trainer.global_rank}.pt")


class GroupAtExit(Callback):
    """Writes whether this process is part of a process group: while it trains, then, and at the interpreter's end."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.seen: list[bool] = []
        atexit.register(self._tell)  # what is registered first runs last

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self.rank = trainer.global_rank
        self._look()
        atexit.register(self._look)

    def _look(self) -> None:
        self.seen.append(torch.distributed.is_initialized())

    def _tell(self) -> None:
        self._look()
        (Path(self.folder) / f"rank{self.rank}.group").write_text(json.dumps(self.seen))


class SignalGroupAt(SignalAt):
    """Ctrl-C as a terminal sends it to a sweep: to every process of the group that started the job."""

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if pl_module.iteration == self.iteration - 1:
            os.killpg(os.getpgid(os.getppid()), self.number)


class CountHooks(Callback):
    """Counts the hooks of the optimization and writes the counts at the end."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.counts = {"after_backward": 0, "before_step": 0}

    def on_after_backward(self, trainer: Any, pl_module: Any) -> None:
        self.counts["after_backward"] += 1

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        self.counts["before_step"] += 1

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        with open(self.file, "w") as file:
            json.dump({**self.counts, "global_step": trainer.global_step}, file)


class OnRank(Callback):
    """Does something on one rank, at the start of iteration `iteration`."""

    def __init__(self, iteration: int, rank: int) -> None:
        self.iteration = iteration
        self.rank = rank

    def do(self) -> None:
        raise NotImplementedError

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if pl_module.iteration == self.iteration - 1 and trainer.global_rank == self.rank:
            self.do()


class RankSignalAt(OnRank):
    """A rank gets a signal."""

    def __init__(self, iteration: int, rank: int, name: str) -> None:
        super().__init__(iteration, rank)
        self.number = getattr(signal, name)

    def do(self) -> None:
        os.kill(os.getpid(), self.number)


class RankRaiseAt(OnRank):
    """A rank meets a fault of the program, or with `mistake` a mistake that a user is told in a line."""

    def __init__(self, iteration: int, rank: int, mistake: bool = False) -> None:
        super().__init__(iteration, rank)
        self.error = DataError("photo.png: cannot be read") if mistake else ArithmeticError("a fault of the program")

    def do(self) -> None:
        raise self.error


class PoisonBatchAt(Callback):
    """The samples of one rank are no numbers, in iteration `iteration`, the first time that it comes to it."""

    def __init__(self, iteration: int, rank: int) -> None:
        self.iteration: int | None = iteration
        self.rank = rank

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if pl_module.iteration + 1 == self.iteration and trainer.global_rank == self.rank:
            self.iteration = None
            batch.samples.fill_(float("nan"))


class RankBusyAt(OnRank):
    """A rank is busy for so many seconds, as one that evaluates is; the others wait for it."""

    def __init__(self, iteration: int, rank: int, seconds: float) -> None:
        super().__init__(iteration, rank)
        self.seconds = seconds

    def do(self) -> None:
        time.sleep(self.seconds)


class SlowIterations(Callback):
    """Makes each iteration last so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        time.sleep(self.seconds)


class DieSaving(OnRank):
    """A rank is killed while a checkpoint is being made, after iteration `iteration`."""

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        pass

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        if pl_module.iteration == self.iteration and trainer.global_rank == self.rank:
            os.kill(os.getpid(), signal.SIGKILL)


class Witness(Callback):
    """Writes what each process of a job is told and has, as `folder`/<its number>.json.

    `meet`: training begins when so many processes have written; a test of jobs that must run at the same time.
    """

    TELLING = ("SLURM_", "PL_", "MASTER_", "NODE_RANK", "CUDA_VISIBLE_DEVICES")

    def __init__(self, folder: str, meet: int = 1) -> None:
        self.folder = Path(folder)
        self.meet = meet

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        seen = {
            "process": os.getpid(),
            "group": os.getpgid(0),
            "rank": trainer.global_rank,
            "world_size": trainer.world_size,
            "overrides": [word for word in HydraConfig.get().overrides.task],
            "lr": [group["lr"] for optimizer in trainer.optimizers for group in optimizer.param_groups],
            "seed": pl_module.seed,
            "folder": str(Path(trainer.default_root_dir).absolute()),
            "cores": sorted(os.sched_getaffinity(0)),
            "threads": torch.get_num_threads(),
            "environment": {key: value for key, value in os.environ.items() if key.startswith(self.TELLING)},
        }
        file = self.folder / f"{os.getpid()}.json"
        file.with_suffix(".part").write_text(json.dumps(seen))
        file.with_suffix(".part").rename(file)
        patience = time.monotonic() + 120
        while len(list(self.folder.glob("*.json"))) < self.meet:
            assert time.monotonic() < patience, "the others have not come"
            time.sleep(0.05)
