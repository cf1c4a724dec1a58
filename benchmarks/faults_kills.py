"""Runs that are killed at any moment, and told to end at any moment, and go on until they are done.

Each must come to the same weights, optimizer states, scores, pictures and logged values, bit for bit, as one that
nobody disturbed, and leave no temporary file. After every kill last.ckpt must load.
"""

import csv
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from fault_rows import Row, Run

WORDS = [
    "model=gan",
    "data=ring",
    "data.batch_size=32",
    "model.generator.width=16",
    "model.discriminator.width=16",
    "model.latent_dim=4",
    "trainer.max_iterations=60",
    "trainer.checkpoint_every=6",
    "trainer.keep_checkpoints=2",
    "trainer.log_every=5",
    "trainer.sample_every=20",
    "trainer.evaluate_every=15",
    "trainer.threads=1",
    "trainer.accelerator=cpu",
    "trainer.progress=false",
    "callbacks.sample_rows=2",
    "metrics.count=200",
]
SPEED = "throughput/images_per_second"
AGAIN = 0.5
"""Probability that a run which goes on is disturbed once more."""
MOST = 4
"""Disturbances of one run."""


class Lost(Exception):
    """Something was lost; the message says what."""


# -- what must be the same ----------------------------------------------------------------------------------------


def differences(whole: Path, other: Path) -> list[str]:
    """What two finished runs of the same seed differ in, but for times."""
    found = []
    for name in ("last.ckpt", "best.ckpt"):
        first, second = (_checkpoint(run / "checkpoints" / name) for run in (whole, other))
        found += [f"{name}: {path}" for path in unequal(first, second)]
    if _json(whole / "checkpoints/best.json") != _json(other / "checkpoints/best.json"):
        found.append("best.json")
    found += [f"results.json: {key}" for key in unequal(_results(whole), _results(other))]
    if _logged(whole / "metrics.csv") != _logged(other / "metrics.csv"):
        found.append("metrics.csv")
    found += [f"TensorBoard: {tag}" for tag in unequal(_scalars(whole), _scalars(other))]
    pictures = [{path.name: path.read_bytes() for path in (run / "samples").iterdir()} for run in (whole, other)]
    found += [f"samples: {name}" for name in unequal(*pictures)]
    return found + [f"left behind: {path.relative_to(other)}" for path in temporaries(other)]


def unequal(first: Any, second: Any, path: str = "") -> list[str]:
    """Where two structures of tensors and plain values differ."""
    import torch

    if type(first) is not type(second):
        return [path]
    if isinstance(first, dict):
        keys = sorted(first.keys() | second.keys(), key=str)
        return [
            found
            for key in keys
            for found in (
                unequal(first[key], second[key], f"{path}.{key}".lstrip("."))
                if key in first and key in second
                else [f"{path}.{key}".lstrip(".")]
            )
        ]
    if isinstance(first, list | tuple):
        if len(first) != len(second):
            return [path]
        pairs = enumerate(zip(first, second, strict=True))
        return [found for place, (one, other) in pairs for found in unequal(one, other, f"{path}[{place}]")]
    if isinstance(first, torch.Tensor):
        same = first.dtype == second.dtype and torch.equal(first, second)
        return [] if same else [path]
    return [] if first == second else [path]


def temporaries(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*") if path.name.endswith(".tmp")]


def _checkpoint(path: Path) -> dict[str, Any]:
    import torch

    content = torch.load(path, map_location="cpu", weights_only=True)
    # Lightning's counters of hooks, which begin anew in each part of a run; nothing of them is used.
    content.pop("loops", None)
    return content


def _json(path: Path) -> Any:
    return json.loads(path.read_bytes())


def _results(run: Path) -> dict[str, Any]:
    results = _json(run / "results.json")
    results.pop("wall_seconds")
    results.pop("git", None)  # the program may be committed to while its runs are tried
    results["last_values"].pop(SPEED, None)
    return results


def _logged(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return [{tag: cell for tag, cell in row.items() if tag != SPEED} for row in csv.DictReader(file)]


def _scalars(run: Path) -> dict[str, Any]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    # It warns of what a run that went on has purged.
    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    events = EventAccumulator(str(run), size_guidance={"scalars": 0}).Reload()
    tags = [tag for tag in events.Tags()["scalars"] if tag != SPEED]
    # The final scores are logged twice, at the end of training and beside the hyper-parameters.
    return {tag: sorted({(event.step, event.value) for event in events.Scalars(tag)}) for tag in tags}


def verify_loadable(run: Path, before: bool) -> bool:
    """Whether the run has a last.ckpt; raises `Lost` if it does not load, or had one `before` and has none."""
    last = run / "checkpoints" / "last.ckpt"
    if not last.is_file():
        if before:
            raise Lost("last.ckpt is gone")
        return False
    try:
        _checkpoint(last)
    except Exception as error:
        raise Lost(f"last.ckpt does not load: {error}") from None
    return True


# -- disturbing ---------------------------------------------------------------------------------------------------

Disturb = Callable[[Run, Path], None]
"""Waits for its moment and disturbs the run in the folder; nothing if the run ends before."""


def at_a_time(number: int, seconds: float) -> Disturb:
    def disturb(run: Run, folder: Path) -> None:
        while run.poll() is None and time.monotonic() - run.began < seconds:
            time.sleep(0.001)
        run.signal(number)

    return disturb


def at_a_half_written_file(number: int, sightings: int) -> Disturb:
    """As soon as so many temporary files were seen beside the checkpoints."""

    def disturb(run: Run, folder: Path) -> None:
        seen: set[str] = set()
        while run.poll() is None and len(seen) < sightings:
            try:
                seen |= {name for name in os.listdir(folder / "checkpoints") if name.endswith(".tmp")}
            except OSError:
                time.sleep(0.001)
        run.signal(number)

    return disturb


def killed_at_step(step: int, after: bool) -> Callable[[], None]:
    """In the run's own process: it dies before or after its `step`-th call that makes, flushes or renames a file."""

    def arm() -> None:
        left = [step]

        def counted(call: Callable[..., Any]) -> Callable[..., Any]:
            def calling(*given: Any, **named: Any) -> Any:
                left[0] -= 1
                if left[0] == 0 and not after:
                    os.kill(os.getpid(), signal.SIGKILL)
                result = call(*given, **named)
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return result

            return calling

        for name in ("replace", "link", "fsync", "unlink", "mkdir"):
            setattr(os, name, counted(getattr(os, name)))
        tempfile.mkstemp = counted(tempfile.mkstemp)

    return arm


# -- the whole story of one run -----------------------------------------------------------------------------------


class Story:
    """One run in a folder of its own, begun, disturbed, gone on with, until it is done."""

    def __init__(self, place: Path, whole: Path, seconds: float, dice: random.Random) -> None:
        """`whole`: the run that nobody disturbed, which took so many `seconds`."""
        self.place = place
        self.whole = whole
        self.seconds = seconds
        self.dice = dice
        self.disturbed = 0
        self.restarted = 0

    @property
    def folder(self) -> Path:
        return self.place / "run"

    def begin(self, **options: Any) -> Run:
        return Run(self.place, *WORDS, "hydra.run.dir=run", **options)

    def go_on(self, **options: Any) -> Run:
        return Run(self.place, "resume=run", **options)

    def kill_until_done(self) -> None:
        """Raises `Lost`."""
        has_one = False
        while True:
            run = self._killed(self.go_on if has_one else self.begin)
            if run.poll() == 0:
                break
            if run.code != -signal.SIGKILL:
                raise Lost(f"exit code {run.code}: {run.err.strip()[-300:]}")
            self.disturbed += 1
            has_one = verify_loadable(self.folder, has_one)
            if not has_one:
                self._start_again()
        self._verify()

    def _killed(self, start: Callable[..., Run]) -> Run:
        if self.disturbed >= MOST or (self.disturbed and self.dice.random() > AGAIN):
            run = start()
        elif self.dice.random() < 1 / 3:
            run = start(before=killed_at_step(self.dice.randint(1, 60), self.dice.random() < 0.5))
        else:
            run = start()
            sightings = self.dice.randint(1, 8)
            aimed = self.dice.random() < 0.5
            when = self.dice.uniform(0, 1.05 * self.seconds)
            disturb = at_a_half_written_file(signal.SIGKILL, sightings) if aimed else at_a_time(signal.SIGKILL, when)
            disturb(run, self.folder)
        run.wait()
        return run

    def _start_again(self) -> None:
        """What a user does whose run has no checkpoint yet, after reading what `resume` says."""
        self.restarted += 1
        if (self.folder / ".hydra" / "config.yaml").exists():
            refused = self.go_on()
            lines = refused.wait() == 2 and refused.err.strip().splitlines()
            if not lines or len(lines) != 1 or "start it again" not in lines[0]:
                raise Lost(f"resume= of a run without a checkpoint says: {refused.err.strip()[-300:]}")
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop_and_go_on(self, number: int, code: int) -> None:
        """One signal at a random time, then on to the end; raises `Lost`."""
        run = self.begin()
        at_a_time(number, self.dice.uniform(0, 1.05 * self.seconds))(run, self.folder)
        ended = run.wait()
        if ended == 0:
            return self._verify()
        self.disturbed += 1
        if ended not in (code, -number):
            raise Lost(f"exit code {ended}: {run.err.strip()[-300:]}")
        if "Traceback" in run.err:
            raise Lost(f"a traceback: {run.err.strip()[-300:]}")
        if not verify_loadable(self.folder, False):
            if self.folder.exists():
                raise Lost(f"a folder without a checkpoint: {sorted(path.name for path in self.folder.iterdir())}")
            self.restarted += 1
            run = self.begin()
        else:
            if "resume=run" not in run.err:
                raise Lost(f"nothing says how to go on: {run.err.strip()[-300:]}")
            run = self.go_on()
        if run.wait() != 0:
            raise Lost(f"exit code {run.code}: {run.err.strip()[-300:]}")
        self._verify()

    def _verify(self) -> None:
        found = differences(self.whole, self.folder)
        if found:
            raise Lost(f"not as the run that nobody disturbed: {', '.join(found[:5])}")


def undisturbed(place: Path) -> tuple[Path, float]:
    """The run that the others are compared with, and its seconds."""
    times = []
    for name in ("first", "whole"):
        run = Run(place, *WORDS, f"hydra.run.dir={name}")
        if run.wait() != 0:
            raise RuntimeError(f"the run that nobody disturbs fails: {run.err}")
        times.append(time.monotonic() - run.began)
    found = differences(place / "first", place / "whole")
    if found:
        raise RuntimeError(f"two runs of the same seed differ: {found}")
    return place / "whole", min(times)


def stories(what: str, count: int, tell: Callable[[Story], None], place: Path, note: str, seed: int = 0) -> Row:
    """`count` runs, each disturbed by `tell`; a run of which anything is lost keeps its folder."""
    whole, seconds = undisturbed(place)
    lost, disturbed, restarted = [], 0, 0
    for number in range(count):
        own = place / f"{seed}_{number}"
        own.mkdir()
        story = Story(own, whole, seconds, random.Random(1000 * seed + number))
        try:
            tell(story)
            shutil.rmtree(own)
        except Lost as error:
            lost.append(f"{own}: {error}")
        disturbed += story.disturbed
        restarted += story.restarted
    for line in lost:
        print(f"  {line}", file=sys.stderr, flush=True)
    shutil.rmtree(whole)
    shutil.rmtree(place / "first")
    counted = f"{disturbed} {note}, {restarted} of them before the first checkpoint"
    return Row(what, count, count - len(lost), len(lost), counted)


# -- signals while libraries load ---------------------------------------------------------------------------------


def while_starting(number: int, code: int, delays: Iterable[float], place: Path) -> Row:
    """The true command, loading its libraries: it ends with that code, and leaves nothing that looks like a run."""
    lost, tried = [], 0
    for delay in delays:
        tried += 1
        folder = Path(tempfile.mkdtemp(dir=place))
        command = [sys.executable, "-m", "ganlab", *WORDS, "trainer.max_iterations=100000", "hydra.run.dir=run"]
        process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        try:
            time.sleep(delay)
            process.send_signal(number)
            err = process.communicate(timeout=240)[1]
        finally:
            process.kill()
        saved = (folder / "run/checkpoints/last.ckpt").exists()
        if process.returncode not in (code, -number):
            lost.append(f"exit code {process.returncode}: {err[-300:]}")
        elif process.returncode == code and "Traceback" in err:
            lost.append(f"a traceback: {err[-300:]}")
        elif not saved and (folder / "run").exists():
            lost.append(f"after {delay} s: a folder is left")
    for line in lost:
        print(f"  {line}", file=sys.stderr, flush=True)
    name = signal.Signals(number).name
    return Row(f"{name} while it loads", tried, tried - len(lost), len(lost), "no folder is left")


def rows(kills: int = 50) -> Iterable[Row]:
    """So many runs killed, and a fifth as many told to end by each signal."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        same = "kills in all; the same to the last bit"
        yield stories("SIGKILL at any moment, until done", kills, Story.kill_until_done, place, same, seed=1)
        few = max(1, kills // 5)
        for seed, (name, code) in enumerate((("SIGTERM", 143), ("SIGINT", 130)), start=2):
            number = getattr(signal, name)

            def tell(story: Story, number: int = number, code: int = code) -> None:
                story.stop_and_go_on(number, code)

            stops = f"stopped, exit code {code}"
            yield stories(f"{name} at any moment, then resumed", few, tell, place, stops, seed=seed)
        delays = (0.3, 1.0, 2.0, 4.0, 6.0, 8.0)[: max(1, kills // 8)]
        yield while_starting(signal.SIGTERM, 143, delays, place)
        yield while_starting(signal.SIGINT, 130, delays[1::2], place)
