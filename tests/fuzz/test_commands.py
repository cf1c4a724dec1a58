"""Anything as an option of the commands that look at a finished run: done, or refused in a line or two."""

import gc
import os
import types
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import strategies as st
from pydantic import BaseModel

from fuzz.calling import CASES, call, explained, fuzz, room
from fuzz.command_lines import HOSTILE, TEXTS, misspelt, of_type
from ganlab.tasks import augment, compare, complete, encode, evaluate, export, probe, sample
from ganlab.tasks.launch import main

pytestmark = pytest.mark.timeout(3600 if CASES else 300, method="thread")
COMMANDS = [sample, evaluate, encode, probe, augment, compare, complete, export]
TINY = ["model=gan", "data=ring", "data.batch_size=4", "data.test_count=8", "metrics.scores=[]", "trainer.threads=1"]
TINY += ["trainer.max_iterations=1", "trainer.progress=false", "trainer.sample_every=null", "logger=none"]
TINY += ["model.generator.width=4", "model.discriminator.width=4", "model.latent_dim=4", "hydra.run.dir=run"]
QUICK = {"count": "4", "batch": "4", "seeds": "1", "reference_count": "8", "bootstrap": "2"}
FILES = [
    "run",
    "run/checkpoints/last.ckpt",
    "nowhere",
    "",
    "/dev/null",
    "/dev/zero",
    ".",
    "run/.hydra",
    "a\nb",
    "\x1b[31m",
    "x" * 300,
]
PATHS = ("run", "runs", "real", "root", "samples", "output", "folder", "images", "out", "mask", "reference")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A working folder with a GAN that was trained for one iteration, in run/."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("commands"))
    gc.collect()
    gc.freeze()
    try:
        ended = call(main, "ganlab", TINY)
        assert ended.code == 0, ended.err + ended.raised
        with room():
            yield Path("run")
    finally:
        os.chdir(before)
        gc.unfreeze()


def schema_of(command: types.ModuleType) -> type[BaseModel]:
    (found,) = [
        value
        for value in vars(command).values()
        if isinstance(value, type) and issubclass(value, BaseModel) and value.__module__ == command.__name__
    ]
    return found


@st.composite
def words(draw, command):
    """run=run with small counts, and after them options with right and wrong values."""
    fields = schema_of(command).model_fields
    given = [f"{key}={value}" for key, value in QUICK.items() if key in fields]
    given += [f"{key}=run" for key in ("run", "runs") if key in fields]
    drawn = []
    for _ in range(draw(st.integers(1, 3))):
        key = draw(st.sampled_from(sorted(fields)))
        right = st.sampled_from(FILES) if key in PATHS else of_type(fields[key].annotation)
        wrong = st.sampled_from(FILES) if key in PATHS else st.one_of(*[st.sampled_from(HOSTILE)] * 9, TEXTS)
        name = draw(st.one_of(*[st.just(key)] * 8, misspelt(key)))
        drawn.append(
            draw(st.one_of(st.just(f"{name}={draw(st.one_of(right, wrong))}"), *[st.just(name)] * (len(drawn) == 2)))
        )
    return [*given, *drawn], len(drawn)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__.rpartition(".")[2])
def test_any_option_is_used_or_refused_in_a_line_or_two(run, command):
    ends = Counter()

    @fuzz(words(command), max(CASES // 10, 20), COMMANDS.index(command))
    def check(line):
        typed, count = line
        before = sorted(Path().rglob("*"))
        ended = call(command.main, command.__name__.replace(".tasks", ""), typed)
        ends[ended.code] += 1
        if ended.code == 0 and not ended.raised:
            if "Traceback" in ended.err:
                ended.fail("a traceback")
            return
        explained(ended, count)
        if sorted(Path().rglob("*")) != before:
            ended.fail(f"left behind: {sorted(set(Path().rglob('*')) - set(before))}")

    check()
    assert ends[2] > 0, ends
