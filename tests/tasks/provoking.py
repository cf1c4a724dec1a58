"""Callbacks that make something happen to a run at a chosen iteration; named by `callbacks.extra` in tests."""

import json
import os
import signal
from typing import Any

import torch
from lightning import Callback


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


class SignalGroupAt(SignalAt):
    """Ctrl-C as a terminal sends it: to every process of the group."""

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if pl_module.iteration == self.iteration - 1:
            os.killpg(os.getpgid(0), self.number)


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
