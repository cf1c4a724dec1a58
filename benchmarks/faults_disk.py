"""Disks that are full, read-only or over a quota, whatever the run is about to write.

Wanted: one line that says what could not be written, why and what to do, no traceback, an exit code that is not 0, a
last.ckpt that loads, no temporary file; and once there is room the run goes on to the same end, bit for bit. Pictures
and logs may be missing, if that was told.

Full and read-only disks are real ones: small tmpfs and read-only bind mounts, in a namespace of their own, which
takes Linux and root. Where that cannot be, these rows say that they were not tried.
"""

import ctypes
import errno
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from fault_rows import Row, Run
from faults_kills import WORDS, Lost, differences, temporaries, undisturbed, verify_loadable

PAGE = 4096
CLONE_NEWNS = 0x00020000
SPARED = {"samples": "samples:", "metrics.csv": "metrics.csv", "events.out": "TensorBoard:", "train.log": "train.log"}
"""What a run can do without: how its warning names it, and how a difference in it begins."""


# -- what must hold -----------------------------------------------------------------------------------------------


def verify_told(run: Run) -> None:
    """Raise `Lost` unless the run ended with a line that says what to do, and nothing else but warnings."""
    if run.code is None or run.code <= 0:
        raise Lost(f"exit code {run.code}")
    lines = [line for line in run.err.splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith("warning: ")]
    if len(said) != 1 or "cannot be written (" not in said[0] or said[0].count("(") > 3:
        raise Lost(f"it says {run.err[-600:]!r}")
    if any(word in run.err for word in ("Traceback", "Exception ignored", "Logging error")):
        raise Lost(f"a traceback: {run.err[-600:]!r}")


def verify_same(whole: Path, folder: Path, warned: str) -> None:
    """Raise `Lost` if a finished run is not as the undisturbed one, but for pictures and logs it has `warned` of."""
    spared = [begins for word, begins in SPARED.items() if any(word in line for line in warned.splitlines())]
    found = [path for path in differences(whole, folder) if not path.startswith(tuple(spared))]
    if found:
        raise Lost(f"not as the run that nobody disturbed: {', '.join(found[:5])}; it had said {warned[-300:]!r}")


def end_and_go_on(
    whole: Path,
    place: Path,
    words: Sequence[str],
    mend: Callable[[], object],
    before: Callable[[], object] = lambda: None,
) -> bool:
    """A run on a disk that fails, and on to its end when it is mended; whether it had to stop. Raises `Lost`."""
    folder = place / "run"
    run = Run(place, *words, before=before)
    run.wait()
    if run.code != 0:
        verify_told(run)
    left = temporaries(folder)
    if left:
        raise Lost(f"left behind: {left[0].name}")
    has_one = verify_loadable(folder, False)
    mend()
    if run.code != 0:
        if has_one and "resume=run" not in words and "resume=run" not in run.err:
            raise Lost(f"nothing says how to go on: {run.err[-300:]!r}")
        if not has_one:
            shutil.rmtree(folder, ignore_errors=True)
        again = Run(place, *(["resume=run"] if has_one else [*WORDS, "hydra.run.dir=run"]))
        if again.wait() != 0:
            raise Lost(f"it does not go on: {again.err[-300:]!r}")
    verify_same(whole, folder, run.err)
    return run.code != 0


# -- disks --------------------------------------------------------------------------------------------------------


def own_mounts() -> str | None:
    """From now on mounts are seen by this process and its children alone; None, or why that cannot be."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a mount takes Linux and root"
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(CLONE_NEWNS) != 0:
        return f"no mounts of one's own ({os.strerror(ctypes.get_errno())})"
    try:
        _mount("--make-rprivate", "/")
        with tempfile.TemporaryDirectory() as folder, disk(Path(folder), PAGE):
            return None
    except (OSError, subprocess.CalledProcessError) as error:
        return f"nothing can be mounted ({error})"


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True, capture_output=True)


@contextmanager
def disk(place: Path, size: int) -> Iterator[Path]:
    """A disk of so many bytes at an empty folder."""
    _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place))
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True, capture_output=True)


@contextmanager
def read_only(place: Path) -> Iterator[Path]:
    """The folder as it is, and nothing can be written in it."""
    _mount("--bind", str(place), str(place))
    try:
        _mount("-o", "remount,bind,ro", str(place))
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True, capture_output=True)


def fill(place: Path, leaving: int) -> Path:
    """A file that takes what is free on a disk but for so many bytes."""
    status = os.statvfs(place)
    ballast = place / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        os.posix_fallocate(file.fileno(), 0, max(PAGE, status.f_bavail * status.f_frsize - leaving))
    return ballast


# -- faults -------------------------------------------------------------------------------------------------------

Fault = Callable[[Path, Path, random.Random], bool]
"""fault(whole, place, dice): one run in an empty folder; whether it had to stop. Raises `Lost`."""
BEGIN = (*WORDS, "hydra.run.dir=run")


def full_at_any_moment(whole: Path, place: Path, dice: random.Random) -> bool:
    """There is room for a part of the run, from nothing to nearly all of it."""
    used = sum(path.stat().st_size + PAGE for path in whole.rglob("*"))
    with disk(place, 4 * used):
        few = dice.random() < 1 / 3
        ballast = fill(place, leaving=dice.randrange(0, 10 * PAGE if few else used))
        return end_and_go_on(whole, place, BEGIN, ballast.unlink)


def full_for(name: str) -> Fault:
    """A folder of a run that goes on is on a disk of its own, which has hardly any room."""

    def fault(whole: Path, place: Path, dice: random.Random) -> bool:
        begin_and_kill(place)
        folder, kept = place / "run" / name, place / "kept"
        shutil.copytree(folder, kept)
        with disk(folder, 2**24):
            shutil.copytree(kept, folder, dirs_exist_ok=True)
            ballast = fill(folder, leaving=dice.randrange(0, 8 * PAGE))
            return end_and_go_on(whole, place, ["resume=run"], ballast.unlink)

    return fault


def read_only_for(name: str) -> Fault:
    """A folder of a run that goes on, or all of it, cannot be written."""

    def fault(whole: Path, place: Path, dice: random.Random) -> bool:
        begin_and_kill(place)
        with ExitStack() as stack:
            stack.enter_context(read_only(place / "run" / name))
            return end_and_go_on(whole, place, ["resume=run"], stack.close)

    return fault


def read_only_from_the_start(whole: Path, place: Path, dice: random.Random) -> bool:
    with ExitStack() as stack:
        stack.enter_context(read_only(place))
        return end_and_go_on(whole, place, BEGIN, stack.close)


def begin_and_kill(place: Path, checkpoints: int = 5) -> None:
    """The run `run` in place, killed when it had saved itself so many times."""

    def arm() -> None:
        replace, left = os.replace, [checkpoints]

        def counted(source: Any, target: Any) -> None:
            replace(source, target)
            left[0] -= Path(target).name == "last.ckpt"
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

        os.replace = counted  # type: ignore[assignment]

    run = Run(place, *BEGIN, before=arm)
    if run.wait() != -signal.SIGKILL:
        raise RuntimeError(f"exit code {run.code}: {run.err}")


def over_quota(whole: Path, place: Path, dice: random.Random) -> bool:
    """As a disk on a network says it: when what was written is flushed. From then on every time."""
    left = [dice.randint(1, 20)]

    def arm() -> None:
        flush = os.fsync

        def refused(descriptor: int) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
            flush(descriptor)

        os.fsync = refused

    return end_and_go_on(whole, place, BEGIN, lambda: None, before=arm)


def files_too_large(whole: Path, place: Path, dice: random.Random) -> bool:
    """The system's limit on a file's size, which a checkpoint or a picture meets first."""
    largest = dice.randrange(200, (whole / "checkpoints/last.ckpt").stat().st_size)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]

    def arm() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, hard))

    return end_and_go_on(whole, place, BEGIN, lambda: None, before=arm)


def full_cache(whole: Path, place: Path, dice: random.Random) -> bool:
    """Decoded images find no room."""
    write_images(place / "images")
    words = "model=gan data=image_folder data.root=images data.cache_dir=cache data.image_size=16 data.batch_size=4 "
    words += "trainer.max_iterations=2 trainer.accelerator=cpu trainer.progress=false metrics.scores=[] "
    command = [*words.split(), "hydra.run.dir=run"]
    cache = place / "cache"
    cache.mkdir()
    with disk(cache, 2**20):
        ballast = fill(cache, leaving=dice.randrange(0, 5 * PAGE))
        run = Run(place, *command)
        run.wait()
        verify_told(run)
        if (place / "run").exists() or list(cache.rglob("*.tmp")):
            raise Lost("something is left behind")
        ballast.unlink()
        again = Run(place, *command)
        if again.wait() != 0:
            raise Lost(f"it does not run: {again.err[-300:]!r}")
    return True


def write_images(folder: Path, count: int = 40) -> None:
    from PIL import Image

    folder.mkdir()
    for number in range(count):
        Image.new("RGB", (20, 20), (number, 2 * number, 3 * number)).save(folder / f"{number}.png")


# -- the table ----------------------------------------------------------------------------------------------------


def tried(what: str, fault: Fault, count: int, whole: Path, place: Path) -> Row:
    lost, stopped = [], 0
    for number in range(count):
        own = Path(tempfile.mkdtemp(dir=place))
        try:
            stopped += fault(whole, own, random.Random(f"{what} {number}"))
            shutil.rmtree(own, ignore_errors=True)
        except Lost as error:
            lost.append(f"{what} {number}, {own}: {error}")
    for line in lost:
        print(f"  {line}", file=sys.stderr, flush=True)
    return Row(what, count, count - len(lost), len(lost), f"{stopped} had to stop, and went on to the same end")


MOUNTED: dict[str, Fault] = {
    "disk full at any moment": full_at_any_moment,
    "disk full for checkpoints": full_for("checkpoints"),
    "disk full for pictures": full_for("samples"),
    "disk full for decoded images": full_cache,
    "read-only from the start": read_only_from_the_start,
    "read-only when it goes on": read_only_for("."),
    "read-only for checkpoints": read_only_for("checkpoints"),
    "read-only for pictures": read_only_for("samples"),
}
UNMOUNTED: dict[str, Fault] = {
    "over quota, told at a flush (EDQUOT by a patched call)": over_quota,
    "files too large (ulimit -f)": files_too_large,
}


def rows(count: int = 20) -> Iterable[Row]:
    """The faults that come at a random moment so many times, the others a fifth as often."""
    few = max(1, count // 5)
    missing = own_mounts()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        whole, _ = undisturbed(place)
        for what, fault in MOUNTED.items():
            if missing is not None:
                yield Row(what, 0, 0, 0, missing)
            else:
                yield tried(what, fault, count if fault is full_at_any_moment else few, whole, place)
        for what, fault in UNMOUNTED.items():
            yield tried(what, fault, max(1, count // 2), whole, place)
