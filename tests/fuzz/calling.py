"""One case of a fuzz: a command line in this process, and what may come of it."""

import contextlib
import io
import json
import os
import resource
import shlex
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from ganlab.tasks.sweeps.isolation import put_back

CASES = int(os.environ.get("GANLAB_FUZZ", "0"))
"""How many cases `make fuzz` asks for; 0: as many as the tests say."""
SEED = int(os.environ.get("GANLAB_FUZZ_SEED", "0"))
"""From which all cases follow."""
Check = Callable[[Any], None]
SECONDS = 120
"""After which a case hangs. The slowest takes two on a quiet machine."""
LONGEST_LINE = 1000
ROOM = 6 * 2**30
"""Bytes beyond what the process has when the fuzz begins; an allocation bomb meets this end and not the machine's."""
TOLD = ("--help", "-h", "--hydra-help", "--version", "--cfg", "-c", "--info", "-i", "--shell-completion", "-sc")
"""Flags that ask Hydra for something else than a run."""


class Hang(BaseException):
    """A case is not done in time. No `Exception`, so that nothing on the way takes it for its own."""


@dataclass
class Ended:
    """How a command ended: `code` as a shell would see it, or an exception that came out of it."""

    words: Sequence[str]
    code: int
    out: str
    err: str
    raised: str

    def fail(self, why: str) -> None:
        """Say what is wrong, and the command line to paste."""
        typed = " ".join(shlex.quote(word) for word in self.words)
        raise AssertionError(
            f"{why}\n  {typed}\nexit code {self.code}\n{self.out[-500:]}{self.err[-3000:]}{self.raised}"
        )


def fuzz(strategy: SearchStrategy[Any], cases: int, part: int = 0) -> Callable[[Check], Callable[[], None]]:
    """A decorator: a check is called with so many examples, which are others in each `part`."""

    def decorated(check: Check) -> Callable[[], None]:
        options = settings(
            max_examples=cases,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=False,
            # A case costs half a second: what fails is told as it was found, and not made smaller for minutes.
            phases=[Phase.generate],
        )
        return seed(SEED * 64 + part)(options(given(strategy)(check)))

    return decorated


@contextlib.contextmanager
def room() -> Iterator[None]:
    """Within it the process may take `ROOM` bytes more."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    held = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData"))
    resource.setrlimit(resource.RLIMIT_DATA, (int(held.split()[1]) * 1024 + ROOM, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


@contextlib.contextmanager
def deadline(seconds: float = SECONDS) -> Iterator[None]:
    """Raises `Hang` in what is not done in time, also where it waits for a file."""

    def ring(*_: Any) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def call(main: Callable[[], None], name: str, words: Sequence[str]) -> Ended:
    """The command in this process, which is as before afterwards."""
    out, err, code, raised = io.StringIO(), io.StringIO(), 0, ""
    argv, sys.argv = sys.argv, [name, *words]
    try:
        with put_back(), deadline(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except Hang:
        code, raised = -1, f"not done after {SECONDS} s: {traceback.format_exc()}"
    except BaseException:
        code, raised = 1, traceback.format_exc()
    finally:
        sys.argv = argv
    return Ended(["python", "-m", name, *words], code, out.getvalue(), err.getvalue(), raised)


def explained(ended: Ended, problems: int) -> None:
    """The command was refused in one or two lines a problem, which a terminal can show."""
    if ended.raised or "Traceback" in ended.out + ended.err:
        ended.fail("a traceback")
    lines = ended.err.splitlines()
    if not lines or not all(line.strip() for line in lines):
        ended.fail("nothing is said")
    if ended.code not in (1, 2) or (ended.code == 1 and not lines[-1].startswith("training stopped: ")):
        ended.fail("neither trained nor refused")
    # A group or a class that is chosen brings keys along, each of which may not fit.
    problems += sum(5 for word in ended.words[-problems:] if "." not in word.partition("=")[0] or "_target_" in word)
    if len(lines) > 2 * max(1, problems):
        ended.fail(f"{len(lines)} lines for at most {problems} problems")
    if max(map(len, lines)) > LONGEST_LINE:
        ended.fail("a line is too long to be read")
    if not all(line.isprintable() for line in lines):
        ended.fail("what was typed is shown as it is, control characters included")


def judge_training(ended: Ended, folder: Path, problems: int) -> str:
    """What came of a training command in `folder`, which was empty: trained, refused, stopped or told."""
    asked = any(word.partition("=")[0] in TOLD for word in ended.words)
    if ended.code == 0 and not ended.raised and asked:
        return "told"
    left = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    if ended.code == 0 and not ended.raised:
        results = [path for path in folder.rglob("results.json")]
        if len(results) != 1 or not 1 <= json.loads(results[0].read_text())["iterations"] <= 2:
            ended.fail(f"it did not train two iterations: {left}")
        if "Traceback" in ended.err:
            ended.fail("a traceback")
        return "trained"
    explained(ended, problems)
    if ended.code == 2 and left:
        ended.fail(f"left behind: {left}")
    return "refused" if ended.code == 2 else "stopped"


@contextlib.contextmanager
def empty_folder(parent: Path) -> Iterator[Path]:
    """A working folder for one case, two levels below `parent`, where nothing may be left beside it."""
    around = parent / "case"
    folder = around / "here"
    folder.mkdir(parents=True)
    try:
        with contextlib.chdir(folder) if hasattr(contextlib, "chdir") else _chdir(folder):
            yield folder
        beside = [path for path in around.iterdir() if path != folder]
        assert not beside, f"written beside the working folder: {beside}"
    finally:
        shutil.rmtree(around)


@contextlib.contextmanager
def _chdir(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
