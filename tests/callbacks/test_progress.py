import io
import re
from types import SimpleNamespace

import pytest
from rich.console import Console

from ganlab.callbacks.group import CallbackGroup
from ganlab.callbacks.progress import ProgressBar

LATEST = {
    "loss/discriminator": 1.23456,
    "loss/generator": 0.5,
    "score/real": 3.0,
    "throughput/images_per_second": 12345.6,
}


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


def drive(bar, total, start=0, rank=0, end=True):
    trainer = SimpleNamespace(is_global_zero=rank == 0)
    model = SimpleNamespace(iteration=start, name="tiny")
    bar.on_train_start(trainer, model)
    while model.iteration < total:
        model.iteration += 1
        bar.on_train_batch_end(trainer, model, {}, None, 0)
    if end:
        bar.teardown(trainer, model, "fit")
    return trainer, model


def bar_for(total, latest=LATEST, **options):
    return ProgressBar(SimpleNamespace(latest=latest), total, **options)


@pytest.mark.parametrize("total", [10, 12, 19, 20, 25, 99, 1200])
def test_without_a_terminal_it_prints_ten_lines_the_last_at_the_end(capsys, total):
    drive(bar_for(total), total)
    output, lines = capsys.readouterr()
    assert output == ""
    counts = [int(line.split("/")[0]) for line in lines.splitlines()]
    assert len(counts) == 10
    assert counts[-1] == total
    assert all(abs(count - total * tenth / 10) < 1 for tenth, count in enumerate(counts, start=1))
    assert lines.splitlines()[0].endswith(f"/{total}  D 1.235  G 0.500  12,346 img/s")


def test_a_run_of_few_iterations_prints_each(capsys):
    drive(bar_for(3, latest={}), 3)
    assert [line.strip() for line in capsys.readouterr().err.splitlines()] == ["1/3", "2/3", "3/3"]


def test_a_resumed_run_prints_what_is_left(capsys):
    drive(bar_for(100), 100, start=50)
    counts = [line.split("/")[0] for line in capsys.readouterr().err.splitlines()]
    assert counts == ["60", "70", "80", "90", "100"]


def test_off_and_on_other_processes_it_is_silent(capsys):
    drive(bar_for(20, enabled=False), 20)
    drive(bar_for(20), 20, rank=1)
    assert capsys.readouterr() == ("", "")


def on_a_terminal(total):
    bar, screen = bar_for(total), io.StringIO()
    bar._console = Console(file=screen, force_terminal=True, width=120)
    return bar, screen


def test_on_a_terminal_a_bar_comes_to_its_end():
    bar, screen = on_a_terminal(50)
    drive(bar, 50)
    last = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue()).strip().splitlines()[-1]
    assert "tiny" in last and "50/50" in last and "D 1.235  G 0.500  12,346 img/s" in last


HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


def test_a_run_that_breaks_gives_the_cursor_back():
    bar, screen = on_a_terminal(50)
    trainer, model = drive(bar, 20, end=False)
    assert screen.getvalue().rfind(HIDE) > screen.getvalue().rfind(SHOW)
    CallbackGroup([bar]).on_exception(trainer, model, RuntimeError())
    assert screen.getvalue().rfind(SHOW) > screen.getvalue().rfind(HIDE)
