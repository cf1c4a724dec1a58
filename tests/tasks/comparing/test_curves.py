"""The plot shows means over seeds with their deviation, and is read by its data and not by its looks."""

import numpy as np
import pytest
from run_folders import TAG, write_history, write_run

from ganlab.tasks.comparing.curves import COLOURS, curve_of, curves_figure, png, read_history
from ganlab.tasks.comparing.groups import tables_of
from ganlab.tasks.comparing.runs import read_runs

RANDOM = np.random.default_rng(0).uniform(1, 2, (3, 40))


def history(seed, shift=0.0):
    losses = {10 * (place + 1): float(value) + shift for place, value in enumerate(RANDOM[seed])}
    return {
        "loss/generator": losses,
        "loss/discriminator": losses,
        "loss/discriminator_real": losses,
        "lr/generator": losses,
        TAG: {200: 3.0 + seed + shift, 400: 1.0 + seed + shift},
    }


@pytest.fixture
def table(tmp_path):
    for model, shift in (("gan", 0.0), ("lsgan", 5.0)):
        for seed in range(3):
            folder = tmp_path / f"{model}{seed}"
            write_run(folder, f"model={model}", seed=seed, value=seed + shift, history=history(seed, shift))
    return tables_of(read_runs([str(tmp_path)]).runs)[0][0]


def test_lines_are_means_and_bands_are_deviations(table):
    figure = curves_figure(table)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["fd_digits", "loss/generator", "loss/discriminator"], "parts and rates have no panel"
    score, loss, _ = figure.axes
    for place, shift in enumerate((0.0, 5.0)):
        assert score.lines[place].get_xydata() == pytest.approx(np.array([[200, 4 + shift], [400, 2 + shift]]))
        x, y = loss.lines[place].get_xydata().T
        assert x.tolist() == list(range(10, 401, 10))
        assert y == pytest.approx(RANDOM.mean(axis=0) + shift)
        band = loss.collections[place].get_paths()[0].vertices
        low = {x: y for x, y in band[1:41]}
        expected = RANDOM.mean(axis=0) + shift - RANDOM.std(axis=0, ddof=1)
        assert [low[x] for x in range(10, 401, 10)] == pytest.approx(expected)
    told = [text.get_text() for text in figure.legends[0].get_texts()]
    assert told == ["model=gan  (3 seeds)", "model=lsgan  (3 seeds)"]
    assert png(figure)[:8] == b"\x89PNG\r\n\x1a\n"


def test_what_was_asked_for_has_a_panel(table):
    titles = [axes.get_title(loc="left") for axes in curves_figure(table, ["lr/generator"]).axes]
    assert titles[:2] == ["fd_digits", "lr/generator"]


def test_seeds_that_logged_at_other_iterations_are_averaged_where_all_have_a_value():
    one, other = {"a": {1: 1.0, 2: 2.0, 4: 4.0}}, {"a": {2: 4.0, 3: 3.0, 4: 8.0}}
    curve = curve_of([one, other, {}], "a")
    assert (curve.iterations.tolist(), curve.mean.tolist()) == ([2, 4], [3, 6])
    assert curve.sd.tolist() == pytest.approx([2**0.5, 8**0.5])
    apart = curve_of([{"a": {1: 1.0}}, {"a": {2: 2.0}}], "a")
    assert (apart.iterations.tolist(), apart.mean.tolist(), apart.sd) == ([1, 2], [1, 2], None)
    assert curve_of([one], "a").sd is None and curve_of([one], "b") is None


def test_ten_groups_are_told_apart_and_more_are_not_drawn(tmp_path):
    for place in range(12):
        folder = tmp_path / f"{place:02d}"
        write_run(folder, f"model.latent_dim={place + 1}", value=place, history=history(0, place))
    figure = curves_figure(tables_of(read_runs([str(tmp_path)]).runs)[0][0])
    lines = figure.axes[0].lines
    assert len(lines) == len({(line.get_color(), line.get_linestyle()) for line in lines}) == 10
    assert {line.get_color() for line in lines} == set(COLOURS)
    assert figure.legends[0].get_texts()[0].get_text() == "latent_dim=1  (1 seed)"


def test_labels_are_text_and_no_formulae(tmp_path):
    for place, loss in enumerate(("'$\\frac$'", "_hidden")):
        write_run(tmp_path / str(place), f"model.loss={loss}", value=place, history=history(0))
    figure = curves_figure(tables_of(read_runs([str(tmp_path)]).runs)[0][0])
    assert png(figure) and "$" in figure.legends[0].get_texts()[0].get_text()


def test_damaged_histories_are_none(tmp_path):
    run = read_runs([str(write_run(tmp_path / "a"))]).runs[0]
    assert read_history(run) == {}
    for text in ("", "iteration,a\n1,x\n", "a,b\n1,2\n", "iteration,a\n1,2,3,4\n", "\x00"):
        (run.folder / "metrics.csv").write_text(text)
        assert set(read_history(run)) <= {"a"}
    write_history(run.folder, {"a": {1: float("nan"), 2: float("inf"), 3: 1.0}})
    assert list(read_history(run)["a"]) == [1, 2, 3]
    assert png(curves_figure(tables_of([run])[0][0], ["a"]))
