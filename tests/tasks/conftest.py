"""Helpers for tests that go through the command line."""

import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

import lightning  # noqa: F401  (loaded before the forks)
import pytest

import ganlab.tasks.train
from ganlab.tasks.launch import main

TINY = [
    "model=gan",
    "data=digits",
    "data.image_size=8",
    "data.batch_size=8",
    "model.generator.width=16",
    "model.discriminator.width=16",
    "model.latent_dim=4",
    "trainer.log_every=2",
    "trainer.sample_every=10",
    "trainer.checkpoint_every=4",
    "trainer.max_iterations=12",
    "trainer.threads=1",
    "metrics.scores=[]",
]
"""A GAN that trains in milliseconds and has no batch norm."""

Run = Callable[..., subprocess.CompletedProcess[str]]


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "ganlab", *words]


def environment() -> dict[str, str]:
    """Without what a surrounding distributed run might have left."""
    foreign = ("LOCAL_RANK", "MASTER_", "WORLD_SIZE", "NODE_RANK", "HYDRA_FULL_ERROR")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    return {**kept, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent)}


@pytest.fixture
def ganlab(tmp_path: Path) -> Run:
    """Run the command line with tiny settings in a folder of the test's own.

    One process: a fork of this one, which has the libraries loaded already (they take longer than the
    run). Several: the real command, because it starts its other ranks by its own name.
    """

    def run(*words: str, tiny: bool = True, several: bool = False) -> subprocess.CompletedProcess[str]:
        words = (*(TINY if tiny else ()), *words)
        if several or any(word.startswith("trainer.devices=") for word in words):
            return in_subprocess(tmp_path, *words)
        return in_fork(tmp_path, *words)

    return run


def in_subprocess(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), cwd=folder, env=environment(), capture_output=True, text=True, timeout=240)


def in_fork(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What `python -m ganlab` does, in a child that inherits the loaded libraries."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            _become_command(folder, words, out.fileno(), err.fileno())
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(words, code, out.read().decode(), err.read().decode())


def _become_command(folder: Path, words: tuple[str, ...], out: int, err: int) -> None:
    """Never returns."""
    code: object = 1
    try:
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(folder)
        sys.argv = ["ganlab", *words]
        main()
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)


@pytest.fixture
def commanded(tmp_path: Path, monkeypatch, capfd) -> Callable[..., tuple[int, str, str]]:
    """commanded(main, "run=x"): exit code, output and errors of a command of key=value words in the test's folder."""
    monkeypatch.chdir(tmp_path)

    def run(main: Callable[[], None], *words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [main.__module__, *words])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
        return (code, *capfd.readouterr())

    return run


@pytest.fixture
def refused_by(commanded, tmp_path: Path) -> Callable[..., list[str]]:
    """refused_by(main, "run=x"): the lines on standard error, after verifying that nothing was written."""

    def lines(main: Callable[[], None], *words: str) -> list[str]:
        before = sorted(tmp_path.rglob("*"))
        code, out, err = commanded(main, *words)
        assert (code, out) == (2, "")
        assert sorted(tmp_path.rglob("*")) == before
        return err.splitlines()

    return lines
