"""Where an experiment works: its folder, its seeds, and the runs that it wants to be trained."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ganlab.config.resume import LAST_CHECKPOINT
from ganlab.config.words import quoted
from ganlab.errors import OutputError, TrainingError
from ganlab.files import remove_refused_run
from ganlab.tasks.comparing.runs import OVERRIDES, RESULTS
from ganlab.tasks.console import relative, say
from ganlab.tasks.dying_ranks import live_with_parent
from ganlab.tasks.sweeps.jobs import SCREEN, clean

POLL = 0.1
"""Seconds between two looks at the runs that train."""
PATIENCE = 60.0
"""Seconds that a run has to save itself when the experiment is stopped."""
PROGRAM = (sys.executable, "-m", "ganlab")
PROGRESS = "trainer.progress=false"
ALWAYS = (PROGRESS, "trainer.threads=1")


@dataclass(frozen=True)
class Lab:
    """What an experiment is given.

    `budget`: the share of the full iterations that is trained, for a quick look; the bounds are for 1. `jobs`: how many
    runs train at a time, with a CPU thread each.
    """

    claim: str
    folder: Path
    seeds: tuple[int, ...] = (0, 1, 2)
    budget: float = 1.0
    jobs: int = 1

    def steps(self, full: int) -> int:
        """The budget's share of so many steps; two at least."""
        return max(2, round(full * self.budget))

    def train(self, arms: Mapping[str, Sequence[str]]) -> dict[str, list[Path]]:
        """Train each arm with each seed, as `python -m ganlab experiment=claims/<claim>` and the arm's overrides would.

        Returns the run folders of each arm, in the order of the seeds. A run that is finished in the experiment's
        folder is not trained again, one that was stopped goes on. Raises `TrainingError` for a run that fails, and
        `OutputError` where the folder holds runs of something else.
        """
        wanted = {
            self.folder / "runs" / f"{arm}_seed{seed}": [*self.words(overrides, seed), *ALWAYS]
            for arm, overrides in arms.items()
            for seed in self.seeds
        }
        ways = [(folder, _way(folder, words)) for folder, words in wanted.items()]
        self._run([(folder, words) for folder, words in ways if words is not None])
        folders = iter(wanted)
        return {arm: [next(folders) for _ in self.seeds] for arm in arms}

    def words(self, overrides: Sequence[str], seed: int) -> list[str]:
        """What one would type for an arm's run of a seed, with the budget's share of its iterations."""
        own = [f"experiment=claims/{self.claim}", *overrides, f"seed={seed}"]
        if self.budget != 1:
            from ganlab.claims.composing import composed

            own.append(f"trainer.max_iterations={self.steps(int(composed(own).trainer.max_iterations))}")
        return own

    def _run(self, waiting: list[tuple[Path, list[str]]]) -> None:
        """At most `jobs` at a time. Whatever ends this, no run is left behind; a stopped one has saved itself."""
        total, done, waiting = len(waiting), 0, list(waiting)
        running: list[tuple[Path, subprocess.Popen[bytes]]] = []
        try:
            while waiting or running:
                while waiting and len(running) < self.jobs:
                    folder, words = waiting.pop(0)
                    running.append((folder, _begin(folder, words)))
                time.sleep(POLL)
                for folder, process in [pair for pair in running if pair[1].poll() is not None]:
                    running.remove((folder, process))
                    if process.returncode:
                        raise TrainingError(_failure(folder, process.returncode))
                    done += 1
                    say(f"trained {done} of {total}: {folder.name}")
        finally:
            _end([process for _, process in running])


def _way(folder: Path, words: list[str]) -> list[str] | None:
    """What to type so that there is a finished run of these words in the folder; None if there is one."""
    if not folder.exists():
        return words
    try:
        begun = yaml.safe_load((folder / OVERRIDES).read_text())
    except (OSError, ValueError, yaml.YAMLError):
        begun = None
        remove_refused_run(folder)
        if not folder.exists():
            return words
    if begun != words:
        raise OutputError(
            f"{relative(folder)}: holds {'no run' if begun is None else f'a run of {_typed(begun)}'}, "
            f"and not one of {_typed(words)}; choose another output"
        )
    if (folder / RESULTS).exists():
        return None
    if (folder / LAST_CHECKPOINT).exists():
        return [f"resume={quoted(str(folder))}", PROGRESS]
    shutil.rmtree(folder)
    return words


def _typed(words: Any) -> str:
    return " ".join(map(str, words)) if isinstance(words, list) else "something else"


def _begin(folder: Path, words: Sequence[str]) -> "subprocess.Popen[bytes]":
    folder.parent.mkdir(parents=True, exist_ok=True)
    own = list(words)
    if not words[0].startswith("resume="):
        own.append(f"hydra.run.dir={quoted(str(folder))}")
    with open(folder.parent / f"{folder.name}.{SCREEN}", "ab") as screen:
        return subprocess.Popen(
            [*PROGRAM, *own],
            env=clean(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=screen,
            stderr=subprocess.STDOUT,
            preexec_fn=live_with_parent() if os.name == "posix" else None,
        )


def _failure(folder: Path, code: int) -> str:
    screen = folder.parent / f"{folder.name}.{SCREEN}"
    lines = [line for line in screen.read_text(errors="replace").splitlines() if line.strip()]
    last = lines[-1] if lines else "it said nothing"
    return f"run {folder.name} ended with exit code {code}: {last} (all of it: {relative(screen)})"


def _end(processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    for process in processes:
        process.send_signal(signal.SIGTERM)
    until = time.monotonic() + PATIENCE
    for process in processes:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
