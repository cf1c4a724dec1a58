"""Anything on the command line of a training run: it trains, or it is refused in a line or two."""

import gc
from collections import Counter

import pytest

from fuzz.calling import CASES, call, empty_folder, fuzz, judge_training, room
from fuzz.command_lines import command_lines, groups, keys, schema_of
from fuzz.quick_hydra import quick_hydra
from ganlab.tasks.launch import main

pytestmark = pytest.mark.timeout(3600 if CASES else 600, method="thread")


@pytest.fixture(autouse=True, scope="module")
def prepared():
    """What torch has made is not looked through for garbage after each case, and no case may fill the memory."""
    gc.collect()
    gc.freeze()
    with room(), quick_hydra():
        yield
    gc.unfreeze()


def outcome(parent, words, problems):
    with empty_folder(parent) as folder:
        return judge_training(call(main, "ganlab", words), folder, problems)


QUICK, PARTS = 12, 4
"""Cases of the quick part; the slow ones share those of `make fuzz`, or 500."""


@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, PARTS + 1))])
def test_any_command_line_trains_or_is_refused_in_a_line_or_two(tmp_path_factory, part):
    parent, seen = tmp_path_factory.mktemp("fuzz"), Counter()

    @fuzz(command_lines(), max(CASES, 500) // PARTS if part else QUICK, part)
    def check(line):
        small, drawn = line
        seen[outcome(parent, [*small, *drawn], len(drawn))] += 1

    check()
    assert seen["trained"] >= 0.03 * seen.total() and seen["refused"] >= 0.3 * seen.total(), seen


REGRESSIONS = [
    ("seed=1\x1b[31m\n",),
    ("+metrics/extractor=[nan]",),
    ("model.trains=1",),
    ("model.trains=generator",),
    ("name=a\nb", "seed=x"),
    ("model.balanced=" + "1" * 5000,),
    ("metrics.reference=\x7f",),
    ("seed=\udcff",),
    ("--foo",),
    ("optimizer.generator.algorithm=sgd",),
    ("experiment=${recommended:adam,lr,x}",),
    ("hydra.job_logging.handlers.file.class=x",),
    ("data=ring", "data.batch_size=1000000000000"),
    ("data=ring", "data.num_modes=1000000000000"),
    ("data=grid", "data.side=100000000"),
    ("data.image_size=1048576",),
    ("model=gan", "model.generator.width=1000000000"),
    ("model=gan", "model.generator.depth=1000000000"),
    ("model=dcgan", "model.discriminator.width=100000000", "model.discriminator.norm=spectral"),
    ("model.latent_dim=1000000000",),
    ("trainer.accumulate=1000000000",),
    ("trainer.max_iterations=1" + "0" * 30,),
    ("callbacks.sample_rows=1000000000",),
    ("resume=" + "x" * 5000,),
    ("data=mnist", "model=vae", "data.root=" + "x" * 300),
    ("data=image_folder", "model=vae", "data.cache_dir=" + "x" * 300),
]
"""What the fuzz has found: each ended in a traceback, unreadable lines, a folder left behind or without end."""


@pytest.mark.parametrize("words", REGRESSIONS, ids=lambda words: ascii(" ".join(words))[1:40])
def test_what_was_found_once_is_refused_in_a_line(tmp_path, words):
    assert outcome(tmp_path, ["trainer.progress=false", *words], len(words)) == "refused"


def test_all_groups_and_keys_are_drawn():
    """The vocabulary has every group of conf/, and every key of a composed configuration with a right value."""
    assert {"data", "model", "model/networks", "optimizer", "metrics/extractor", "experiment", "sweep"} <= set(groups())
    known = keys("gan", "digits")
    assert {"seed", "trainer.tf32", "model.generator.width", "optimizer.generator.lr", "data.margin"} <= set(known)
    typed = [key for key in known if schema_of(key, "gan", "digits") is not None]
    assert len(typed) > 0.8 * len(known), set(known) - set(typed)
