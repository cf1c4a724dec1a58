"""One progress bar over the iterations, with the losses, the speed and the time left."""

from typing import Any

from lightning import Callback, Trainer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ganlab.callbacks.measure import Measure

SHOWN = {"loss/discriminator": "D", "loss/generator": "G", "loss/autoencoder": "loss"}


class ProgressBar(Callback):
    """On a terminal a bar that is redrawn a few times a second; elsewhere a line every tenth of the way."""

    def __init__(self, measure: Measure, max_iterations: int, enabled: bool = True) -> None:
        self.measure = measure
        self.max_iterations = max_iterations
        self.enabled = enabled
        self._console = Console(stderr=True)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._redraw_every = max(1, min(20, max_iterations // 100))

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        if not (self.enabled and trainer.is_global_zero and self._console.is_terminal):
            return
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[values]}"),
            TimeRemainingColumn(),
            console=self._console,
            refresh_per_second=4,
        )
        self._bar.start()
        self._task = self._bar.add_task(
            pl_module.name, total=self.max_iterations, completed=pl_module.iteration, values=""
        )

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        iteration = pl_module.iteration
        if self._bar is not None and self._task is not None:
            if iteration % self._redraw_every == 0 or iteration == self.max_iterations:
                self._bar.update(self._task, completed=iteration, values=self._values())
        elif self.enabled and trainer.is_global_zero and self._tenths(iteration) > self._tenths(iteration - 1):
            self._console.print(f"{iteration}/{self.max_iterations}  {self._values()}".rstrip(), highlight=False)

    def _tenths(self, iteration: int) -> int:
        return 10 * iteration // self.max_iterations

    def _values(self) -> str:
        """The newest logged values, as short as they can be."""
        latest = self.measure.latest
        losses = [f"{name} {latest[tag]:.3f}" for tag, name in SHOWN.items() if tag in latest]
        speed = latest.get("throughput/images_per_second")
        return "  ".join([*losses, *([f"{speed:,.0f} img/s"] if speed else [])])

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        """Lightning calls no `teardown` then, and a bar left alone hides the cursor and redraws over the message."""
        self._stop()

    def teardown(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
