"""A progress bar over the iterations, with the losses, the speed and the time left; of a run with phases one each."""

from typing import Any

from lightning import Callback, Trainer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ganlab.callbacks.measure import Measure
from ganlab.counting import Phase

PLAYERS = {"loss/discriminator": "D", "loss/generator": "G"}
ALONE = ("loss/autoencoder", "loss/reconstruction", "loss/supervised")
"""The first that is logged is shown, of a model without players; in a pretraining phase with its name as an ending."""


class ProgressBar(Callback):
    """On a terminal a bar that is redrawn a few times a second; elsewhere a line every tenth of the way.

    Of a run with phases each has a bar of its own, over its own iterations.
    """

    def __init__(self, measure: Measure, max_iterations: int, enabled: bool = True) -> None:
        self.measure = measure
        self.max_iterations = max_iterations
        self.enabled = enabled
        self._console = Console(stderr=True)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._phases: tuple[Phase, ...] = ()
        self._begun: Phase | None = None

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        self._phases = getattr(pl_module, "phases", ()) or (Phase("", 0, self.max_iterations),)
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
        if pl_module.iteration < self.max_iterations:
            self._begin(pl_module, self._phase_at(pl_module.iteration + 1), pl_module.iteration)

    def _begin(self, model: Any, phase: Phase, iteration: int) -> None:
        assert self._bar is not None
        name = f"{model.name} {phase.name}".rstrip()
        done = iteration - phase.first
        self._begun = phase
        self._task = self._bar.add_task(name, total=phase.iterations, completed=done, values="")

    def _phase_at(self, iteration: int) -> Phase:
        """The phase that an iteration, counted from 1, belongs to."""
        return next((phase for phase in self._phases if iteration <= phase.last), self._phases[-1])

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        iteration = pl_module.iteration
        phase = self._phase_at(iteration)
        done, total = iteration - phase.first, phase.iterations
        if self._bar is not None and self._task is not None:
            if phase != self._begun:
                self._begin(pl_module, phase, iteration)
            if done % max(1, min(20, total // 100)) == 0 or done == total:
                self._bar.update(self._task, completed=done, values=self._values(phase))
        elif self.enabled and trainer.is_global_zero and 10 * done // total > 10 * (done - 1) // total:
            line = f"{phase.name} {done}/{total}  {self._values(phase)}".strip()
            self._console.print(line, highlight=False)

    def _values(self, phase: Phase) -> str:
        """The newest logged values of a phase, as short as they can be."""
        latest = self.measure.latest
        losses = [f"{name} {latest[tag]:.3f}" for name, tag in self._losses(phase)]
        speed = latest.get("throughput/images_per_second")
        return "  ".join([*losses, *([f"{speed:,.0f} img/s"] if speed else [])])

    def _losses(self, phase: Phase) -> list[tuple[str, str]]:
        latest = self.measure.latest
        players = [(name, tag) for tag, name in PLAYERS.items() if tag in latest]
        alone = [tag for known in ALONE for tag in (f"{known}_{phase.name}", known) if tag in latest]
        return players or [("loss", tag) for tag in alone[:1]]

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        """Lightning calls no `teardown` then, and a bar left alone hides the cursor and redraws over the message."""
        self._stop()

    def teardown(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
