"""One job of a sweep as a process of its own: `python -m ganlab` with this job's overrides and nothing of the others'.

In one process jobs leave things to each other: threads, seeds, process groups, rank variables. A job that starts
ranks of its own would even start the sweep again in each of them.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Any

from ganlab.config.words import config_dir_words, quoted
from ganlab.errors import ConfigError, OutputError
from ganlab.files import CLAIMED, claim_folder, remove_refused_run
from ganlab.tasks.sweeps.record import JobRecord, objective_of, overrides_of, record_job
from ganlab.tasks.sweeps.slots import EVERYTHING, Share

PRUNED = 3
"""Exit code of a job that its sweeper has given up."""
STOPPED = {130: signal.SIGINT, 143: signal.SIGTERM}
"""Exit codes of a job that the user has ended."""
OF_OTHER_JOBS = (
    "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "ROLE_RANK", "RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE",
    "ROLE_WORLD_SIZE", "MASTER_", "PL_", "HYDRA_", "TORCHELASTIC_", "SLURM_", "SLURMD_", "PMI_", "PMIX_", "OMPI_",
    "LSB_", "JSM_", "GANLAB_FIRST_RANK", "GANLAB_RUN_FOLDER",
)  # fmt: skip
"""How variables begin that would make a job a rank of something: of another run, or of a cluster's job."""
SCREEN = "screen.log"
_GRACE = 10.0
_GRACE_AFTER_FAILURE = 2.0
"""Seconds that a job's other processes have to end after its first one; after a failure they may hang for good."""
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


@dataclass(frozen=True)
class Job:
    """What the sweep wants to be run.

    `overrides`: of the task, as typed; `sweep`: the sweep's folder; `folder`: the one that the job should have, by
    itself or below `sweep` (another is taken if it holds something); `resumes`: the run that the job goes on with,
    instead; `config_dirs`: the user's, of --config-dir; `start`: the folder in which the job starts; `prepared`: Hydra
    has already made `folder`, and it may be taken over.
    """

    number: int
    overrides: Sequence[str]
    sweep: Path
    folder: Path
    resumes: Path | None = None
    config_dirs: Sequence[str] = ()
    start: Path = field(default_factory=Path.cwd)
    prepared: bool = False


def run_job(
    job: Job, *, share: Share = EVERYTHING, in_background: bool = False, environment: Mapping[str, str] | None = None
) -> JobRecord:
    """Run a job to its end in a fresh process, and record it in the sweep's `sweep.csv`.

    Ctrl-C and SIGTERM are passed on to the job, which saves itself; once that is recorded, `SystemExit` is raised
    with 130 or 143. When the job's first process has ended, none of its processes is left. `in_background`: what it
    prints goes to `screen.log` in its folder, and only its beginning and end to the screen. `environment`: variables
    for this job. Raises `OutputError` where folder or record cannot be written.
    """
    folder = job.resumes or _claimed(job)
    title = f"job {job.number}"
    print(f"{title}: {' '.join(job.overrides)}", flush=True)
    variables = {**clean(os.environ), **(environment or {}), CLAIMED: str(folder)}
    if share.gpus is not None:
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(share.gpus)
    began = time.monotonic()
    with _screen(folder if in_background else None) as screen:
        code, told = run_to_the_end(command(job, folder, _threads(share)), variables, job.start, share.cores, screen)
    seconds = time.monotonic() - began
    if code == ConfigError.exit_code and job.resumes is None:
        remove_refused_run(folder)
    # A job that is told to end before it can save itself dies of the signal.
    record = record_end(job, folder, 128 + told if told and code else code, seconds)
    if in_background:
        print(f"{title}: {record.status} after {seconds:.0f} s, {folder}", flush=True)
    if told:
        raise SystemExit(128 + told)
    return record


def record_end(job: Job, folder: Path, code: int, seconds: float) -> JobRecord:
    """Enter a job that has ended, its results in `folder`, into the sweep's record; raises `OutputError`."""
    status = status_of(code)
    record = JobRecord(
        job.number,
        status,
        code,
        objective_of(folder) if status in ("completed", "pruned") else None,
        seconds,
        os.path.relpath(folder, job.sweep) if folder.is_dir() else "",
        overrides_of(job.overrides),
    )
    record_job(job.sweep, record)
    return record


def command(job: Job, folder: Path, threads: int | None = None) -> list[str]:
    """What one would type to run this job alone in that folder, with so many CPU threads unless it says how many."""
    words = config_dir_words(job.config_dirs)
    words += [word for word in job.overrides if not word.startswith("sweep=")]
    if job.resumes is None:
        words.append(f"hydra.run.dir={quoted(str(folder))}")
    if threads is not None and not any(word.startswith("trainer.threads=") for word in words):
        words.append(f"trainer.threads={threads}")
    return [sys.executable, "-m", "ganlab", *words, "hydra.mode=RUN"]


def _threads(share: Share) -> int | None:
    """As many threads as cores where the system cannot keep a process on some; elsewhere it is for the run to say."""
    return None if share.cores is None or hasattr(os, "sched_setaffinity") else len(share.cores)


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what would make a job a rank of something else."""
    return {key: value for key, value in environment.items() if not key.startswith(OF_OTHER_JOBS)}


def status_of(code: int) -> str:
    """What a job's exit code means: completed, failed, pruned or stopped."""
    return "completed" if code == 0 else "pruned" if code == PRUNED else "stopped" if code in STOPPED else "failed"


def _claimed(job: Job) -> Path:
    """A folder for this job alone."""
    try:
        job.sweep.mkdir(parents=True, exist_ok=True)
        if job.prepared:
            remove_refused_run(job.folder)
        return claim_folder(job.folder).absolute()
    except OSError as error:
        raise OutputError(
            f"{job.folder}: cannot be written ({error.strerror}); choose another hydra.sweep.dir"
        ) from None


@contextmanager
def _screen(folder: Path | None) -> Iterator[IO[bytes] | None]:
    if folder is None:
        yield None
        return
    with open(folder / SCREEN, "ab") as file:
        yield file


def run_to_the_end(
    words: Sequence[str],
    environment: Mapping[str, str],
    start: Path,
    cores: Sequence[int] | None = None,
    screen: IO[bytes] | None = None,
) -> tuple[int, int | None]:
    """Run a command in a session of its own, of which nothing is left afterwards.

    Returns its exit code, and the last signal that this process got meanwhile and passed on, if there was one.
    """
    _adopt_orphans()
    with _Forwarding() as signals:
        process = subprocess.Popen(
            list(words),
            env=dict(environment),
            cwd=start,
            stdin=subprocess.DEVNULL,
            stdout=screen,
            stderr=screen and subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_Begin(cores),
        )
        signals.to(process.pid)
        try:
            code = process.wait()
        except BaseException:  # a signal handler of who called this: the job shall not stay behind
            process.terminate()
            _end_group(process.pid, _GRACE)
            raise
    _end_group(process.pid, _GRACE if code == 0 else _GRACE_AFTER_FAILURE)
    return code, signals.last


class _Forwarding:
    """Passes Ctrl-C and SIGTERM on to a process group; after the second time it is killed."""

    def __init__(self) -> None:
        self.group: int | None = None
        self.waiting: list[int] = []
        self.received = 0
        self.last: int | None = None
        self.previous: dict[int, Any] = {}

    def __enter__(self) -> "_Forwarding":
        for number in STOPPED.values():
            # What is ignored here (nohup, a shell's background) is ignored by the job too.
            if signal.getsignal(number) is not signal.SIG_IGN:
                with suppress(ValueError):  # not in the main thread
                    self.previous[number] = signal.signal(number, self._pass_on)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    def to(self, group: int) -> None:
        self.group = group
        for number in self.waiting:
            self._pass_on(number, None)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self.last = number
        if self.group is None:
            self.waiting.append(number)
            return
        self.received += 1
        with suppress(ProcessLookupError):
            os.killpg(self.group, number if self.received <= 2 else signal.SIGKILL)


class _Begin:
    """What the new process does before it becomes the job: it stays on its cores and ends with who started it (Linux).

    All that could be wrong or slow is done before, for little is safe between fork and exec.
    """

    def __init__(self, cores: Sequence[int] | None) -> None:
        self.cores = cores if hasattr(os, "sched_setaffinity") else None
        self.parent = os.getpid()
        self.prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def __call__(self) -> None:
        if self.cores:
            os.sched_setaffinity(0, self.cores)
        if self.prctl:
            self.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != self.parent:
                os._exit(143)


def _adopt_orphans() -> None:
    """Processes whose parent has ended become children of this one, which can then see their end (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _end_group(group: int, grace: float) -> None:
    """Wait for the group's processes to end, and kill those that do not within `grace` seconds."""
    killed = False
    patience = time.monotonic() + grace
    while _alive(group):
        if time.monotonic() > patience:
            if killed:  # what even a kill does not end is in the system's hands
                return
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
            killed, patience = True, time.monotonic() + _GRACE
        time.sleep(0.02)


def _alive(group: int) -> bool:
    with suppress(ChildProcessError):
        while os.waitpid(-group, os.WNOHANG)[0]:
            pass
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
