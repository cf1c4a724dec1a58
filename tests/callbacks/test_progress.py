import io
import re
from types import SimpleNamespace

import pytest
from rich.console import Console

from ganlab.callbacks.group import CallbackGroup
from ganlab.callbacks.progress import ProgressBar
from ganlab.counting import Phase

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


def drive(bar, total, start=0, rank=0, end=True, phases=()):
    trainer = SimpleNamespace(is_global_zero=rank == 0)
    model = SimpleNamespace(iteration=start, name="tiny", phases=phases)
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


PHASES = (Phase("layer_1", 0, 20), Phase("layer_2", 20, 40), Phase("autoencoder", 40, 100))
OF_LAYERS = {
    "loss/reconstruction_layer_1": 1.5,
    "loss/autoencoder_layer_1": 2.5,
    "loss/autoencoder_layer_2": 3.5,
    "loss/autoencoder": 4.5,
    "loss/supervised": 5.5,
}


def test_each_phase_counts_its_own_iterations_and_tells_its_own_loss(capsys):
    drive(bar_for(100, latest=OF_LAYERS), 100, phases=PHASES)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in lines] == ["layer_1"] * 10 + ["layer_2"] * 10 + ["autoencoder"] * 10
    assert lines[9::10] == ["layer_1 20/20  loss 2.500", "layer_2 20/20  loss 3.500", "autoencoder 60/60  loss 4.500"]


@pytest.mark.parametrize(
    ("latest", "told"),
    [
        ({"loss/reconstruction_layer_1": 1.5, "loss/autoencoder_layer_2": 2.0}, "loss 1.500"),
        ({"loss/autoencoder_layer_2": 2.0}, ""),
        ({"loss/supervised": 0.25, "accuracy/labelled": 1.0}, "loss 0.250"),
        ({"loss/supervised": 0.25, **LATEST}, "D 1.235  G 0.500  12,346 img/s"),
    ],
)
def test_what_is_told_is_of_the_phase(capsys, latest, told):
    """Nothing where its first values are yet to come; and a GAN's players are enough."""
    drive(bar_for(100, latest=latest), 1, phases=(Phase("layer_1", 0, 1),))
    assert capsys.readouterr().err.strip() == f"layer_1 1/1  {told}".strip()


def test_a_resumed_run_goes_on_in_its_phase(capsys):
    drive(bar_for(100, latest={}), 100, start=30, phases=PHASES)
    counts = [line.split()[:2] for line in capsys.readouterr().err.splitlines()]
    assert counts[:5] == [
        ["layer_2", "12/20"],
        ["layer_2", "14/20"],
        ["layer_2", "16/20"],
        ["layer_2", "18/20"],
        ["layer_2", "20/20"],
    ]
    assert counts[5] == ["autoencoder", "6/60"]


@pytest.mark.parametrize(("start", "bars"), [(0, 3), (10, 3), (20, 2), (30, 2), (40, 1)])
def test_on_a_terminal_there_is_one_bar_a_phase_that_is_left(start, bars):
    bar, _ = on_a_terminal(100)
    drive(bar, 100, start=start, end=False, phases=PHASES)
    tasks = bar._bar.tasks
    names = ["tiny layer_1", "tiny layer_2", "tiny autoencoder"][-bars:]
    assert [(task.description, task.completed, task.total) for task in tasks] == [
        (name, total, total) for name, total in zip(names, (20, 20, 60)[-bars:], strict=True)
    ]
    bar._stop()


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
