"""Anything on the command line of a training run: it trains, or it is refused in a line or two."""

import gc
import os
from collections import Counter

import pytest
from hydra._internal.hydra import Hydra
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.calling import call, empty_folder, judge_training, room
from fuzz.command_lines import command_lines
from ganlab.tasks.launch import main

CASES = int(os.environ.get("GANLAB_FUZZ", "0"))
"""How many cases `make fuzz` asks for, drawn from a new seed; 0: those of the tests, always the same."""
pytestmark = pytest.mark.timeout(3600 if CASES else 600, method="thread")


@pytest.fixture(autouse=True, scope="module")
def prepared():
    """Hydra composes once a case and not twice, and what torch has made is not looked through for garbage."""
    patch = pytest.MonkeyPatch()
    whole = Hydra.get_mode
    patch.setattr(
        Hydra,
        "get_mode",
        lambda self, config_name, overrides: (
            whole(self, config_name, overrides) if any("hydra" in word for word in overrides) else None
        ),
    )
    gc.collect()
    gc.freeze()
    with room():
        yield
    gc.unfreeze()
    patch.undo()


def outcome(parent, words, problems):
    with empty_folder(parent) as folder:
        return judge_training(call(main, "ganlab", words), folder, problems)


@pytest.mark.parametrize("part", range(4))
def test_any_command_line_trains_or_is_refused_in_a_line_or_two(tmp_path_factory, part):
    parent, seen = tmp_path_factory.mktemp("fuzz"), Counter()

    @settings(
        max_examples=max(CASES, 520) // 4,
        derandomize=not CASES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.just(part), command_lines())
    def check(_, line):
        small, drawn = line
        seen[outcome(parent, [*small, *drawn], len(drawn))] += 1

    check()
    assert seen["trained"] >= 0.03 * seen.total() and seen["refused"] >= 0.3 * seen.total(), seen
