import csv
import errno
import math
import random
import struct
import threading
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from lightning.pytorch.utilities import rank_zero_only
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2

from ganlab import files
from ganlab.callbacks import events as event_files
from ganlab.callbacks import records
from ganlab.callbacks.measure import CHARTS, Measure
from ganlab.callbacks.records import CSVRecord, RunTensorBoard
from ganlab.counting import UpdatePlan
from ganlab.errors import OutputError


def rows(folder):
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


# -- metrics.csv --------------------------------------------------------------------------------------------------


def test_one_row_an_iteration_and_one_column_a_tag(tmp_path):
    record = CSVRecord(tmp_path, 0)
    record.log_metrics({"loss/generator": 0.5, "loss/discriminator": 1.5}, step=10)
    record.log_metrics({"loss/generator": 0.25, "loss/discriminator": 1.0}, step=20)
    assert (tmp_path / "metrics.csv").read_text().splitlines() == [
        "iteration,loss/generator,loss/discriminator",
        "10,0.5,1.5",
        "20,0.25,1.0",
    ]


def test_a_new_tag_gets_a_column_and_the_earlier_rows_a_gap(tmp_path):
    record = CSVRecord(tmp_path, 0)
    record.log_metrics({"a": 1.0}, step=1)
    record.log_metrics({"b": 2.0, "a": 3.0}, step=2)
    record.log_metrics({"b": 4.0}, step=3)
    assert rows(tmp_path) == [
        {"iteration": "1", "a": "1.0", "b": ""},
        {"iteration": "2", "a": "3.0", "b": "2.0"},
        {"iteration": "3", "a": "", "b": "4.0"},
    ]


def test_what_is_logged_at_the_same_iteration_shares_a_row(tmp_path):
    record = CSVRecord(tmp_path, 0)
    record.log_metrics({"a": 1.0, "b": 1.0}, step=1)
    record.log_metrics({"a": 1.0}, step=2)
    record.log_metrics({"metric/x": 0.5}, step=2)
    record.log_metrics({"b": 7.0}, step=2)
    assert rows(tmp_path)[1] == {"iteration": "2", "a": "1.0", "b": "7.0", "metric/x": "0.5"}
    assert len(rows(tmp_path)) == 2


def test_a_row_costs_the_same_however_many_came_before(tmp_path, monkeypatch):
    rewritten = []
    write = records.write_atomically
    monkeypatch.setattr(records, "write_atomically", lambda *given: (rewritten.append(1), write(*given)))
    record = CSVRecord(tmp_path, 0)

    def log(steps):
        for step in steps:
            record.log_metrics({"a": step / 3, "b": 1.0}, step=step)
            record.log_metrics({"a_held_out": step / 7}, step=step)

    tracemalloc.start()
    log(range(1, 101))
    held = tracemalloc.get_traced_memory()[0]
    log(range(101, 2001))
    held = tracemalloc.get_traced_memory()[0] - held
    tracemalloc.stop()
    assert len(rewritten) == 2 and held < 20_000
    read = rows(tmp_path)
    assert [row["iteration"] for row in read] == [str(step) for step in range(1, 2001)]
    assert [float(row["a_held_out"]) for row in read] == [step / 7 for step in range(1, 2001)]


def test_a_row_that_becomes_shorter_leaves_nothing_of_the_longer(tmp_path):
    record = CSVRecord(tmp_path, 0)
    record.log_metrics({"a": 1 / 3, "b": 2 / 3}, step=1)
    record.log_metrics({"a": 1.0}, step=1)
    record.log_metrics({"a": 2.0, "b": 4.0}, step=2)
    assert rows(tmp_path) == [
        {"iteration": "1", "a": "1.0", "b": str(2 / 3)},
        {"iteration": "2", "a": "2.0", "b": "4.0"},
    ]


def test_after_a_resume_the_row_of_its_iteration_can_be_filled(tmp_path):
    CSVRecord(tmp_path, 0).log_metrics({"a": 1.0}, step=2)
    record = CSVRecord(tmp_path, 2)
    record.log_metrics({"metric/x": 0.5}, step=2)
    record.log_metrics({"a": 3.0}, step=4)
    assert [tuple(row.values()) for row in rows(tmp_path)] == [("2", "1.0", "0.5"), ("4", "3.0", "")]


def test_a_file_that_was_taken_away_begins_anew(tmp_path):
    record = CSVRecord(tmp_path, 0)
    for step in (1, 2):
        record.log_metrics({"a": float(step)}, step=step)
    (tmp_path / "metrics.csv").unlink()
    record.log_metrics({"a": 5.0}, step=2)
    record.log_metrics({"a": 3.0}, step=3)
    assert [tuple(row.values()) for row in rows(tmp_path)] == [("2", "5.0"), ("3", "3.0")]


def test_only_the_first_process_writes_on_resume(tmp_path, monkeypatch):
    for step in (2, 4):
        CSVRecord(tmp_path, step - 2).log_metrics({"a": 1.0}, step=step)
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    CSVRecord(tmp_path, 2)
    assert len(rows(tmp_path)) == 2


def test_on_resume_the_future_that_did_not_happen_is_dropped(tmp_path):
    record = CSVRecord(tmp_path, 0)
    for step in (2, 4, 6, 8, 10):
        record.log_metrics({"a": step / 3}, step=step)
    record = CSVRecord(tmp_path, 6)
    assert [row["iteration"] for row in rows(tmp_path)] == ["2", "4", "6"]
    record.log_metrics({"a": 5.0}, step=8)
    record.log_metrics({"new": 6.0}, step=10)
    assert [row["iteration"] for row in rows(tmp_path)] == ["2", "4", "6", "8", "10"]
    assert float(rows(tmp_path)[1]["a"]) == 4 / 3
    assert [row["a"] for row in rows(tmp_path)][3:] == ["5.0", ""]


@pytest.mark.parametrize("cut", ["4,0.", "4", "2", "2,1"])
def test_a_row_that_was_cut_off_does_not_hinder_a_resume(tmp_path, cut):
    record = CSVRecord(tmp_path, 0)
    record.log_metrics({"a": 1.0, "b": 2.0}, step=2)
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write(cut)
    CSVRecord(tmp_path, 3).log_metrics({"a": 1.0, "b": 2.0}, step=4)
    assert [row["iteration"] for row in rows(tmp_path)] == ["2", "4"]


def test_values_come_back_as_they_were(tmp_path):
    source = random.Random(0)
    values = [1 / 3, 1e-300, -0.0, 123456789.123456789, math.pi * 1e20]
    values += [struct.unpack("f", struct.pack("f", source.gauss(0, 1)))[0] for _ in range(50)]
    record = CSVRecord(tmp_path, 0)
    for step, value in enumerate(values, start=1):
        record.log_metrics({"a": value}, step=step)
    record.log_metrics({"a": float("nan")}, step=100)
    record.log_metrics({"a": float("-inf")}, step=101)
    read = [float(row["a"]) for row in rows(tmp_path)]
    assert read[: len(values)] == values
    assert math.isnan(read[-2]) and read[-1] == -math.inf


def test_hyperparameters_leave_no_trace(tmp_path):
    record = CSVRecord(tmp_path, 0)
    record.log_hyperparams({"lr": 0.1}, {"score": 1.0})
    assert not (tmp_path / "metrics.csv").exists()
    assert (record.name, record.version) == ("csv", "")


@pytest.fixture
def disk(monkeypatch):
    """disk.full = True: from now on nothing can be written to metrics.csv or the event file."""
    state = SimpleNamespace(full=False)
    whole, atomically = files.write_whole, files.write_atomically

    def refuse(path):
        if state.full:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))

    def write_whole(file, place, content):
        refuse("file")
        whole(file, place, content)

    def write_atomically(path, write):
        if state.full:
            raise OutputError(f"{path}: cannot be written (No space left on device)")
        atomically(path, write)

    for module in (records, event_files):
        monkeypatch.setattr(module, "write_whole", write_whole)
    monkeypatch.setattr(records, "write_atomically", write_atomically)
    return state


def test_rows_that_find_no_room_are_written_when_there_is_some(tmp_path, disk, capsys):
    record = CSVRecord(tmp_path, 0)
    record.log_metrics({"a": 1.0}, step=1)
    disk.full = True
    record.log_metrics({"metric/x": 0.5}, step=1)
    record.log_metrics({"a": 2.0}, step=2)
    record.log_metrics({"a": 3.0}, step=3)
    record.log_metrics({"new": 3.5}, step=3)
    assert [tuple(row.values()) for row in rows(tmp_path)] == [("1", "1.0")]
    disk.full = False
    record.log_metrics({"a": 4.0}, step=4)
    assert rows(tmp_path) == [
        {"iteration": "1", "a": "1.0", "metric/x": "0.5", "new": ""},
        {"iteration": "2", "a": "2.0", "metric/x": "", "new": ""},
        {"iteration": "3", "a": "3.0", "metric/x": "", "new": "3.5"},
        {"iteration": "4", "a": "4.0", "metric/x": "", "new": ""},
    ]
    record.finalize("success")
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"warning: {tmp_path / 'metrics.csv'}: cannot be written (No space left on device)")
    assert said.endswith("; training goes on; they are written when there is room")


def test_rows_that_never_find_room_are_counted(tmp_path, disk, capsys):
    disk.full = True
    record = CSVRecord(tmp_path, 0)
    for step in range(1, 4):
        record.log_metrics({"a": 1.0}, step=step)
    for _ in range(2):
        record.finalize("failed")
    assert capsys.readouterr().err.splitlines()[1:] == ["warning: 3 rows of metrics.csv could not be written"]


def test_the_newest_rows_are_kept(tmp_path, disk, monkeypatch):
    monkeypatch.setattr(records, "KEPT", 2)
    disk.full = True
    record = CSVRecord(tmp_path, 0)
    for step in range(1, 6):
        record.log_metrics({"a": 1.0}, step=step)
    disk.full = False
    record.finalize("success")
    assert [row["iteration"] for row in rows(tmp_path)] == ["4", "5"]


# -- TensorBoard --------------------------------------------------------------------------------------------------


def events(folder):
    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    return accumulator.Reload()


def scalars(folder, tag):
    return [(event.step, event.value) for event in events(folder).Scalars(tag)]


def test_tensorboard_reads_what_was_logged_at_its_iterations(tmp_path):
    board = RunTensorBoard(tmp_path, 0)
    for step in (5, 10, 12):
        board.log_metrics({"loss/generator": step / 4, "score/real": -step}, step=step)
    board.save()
    assert [path.name.startswith("events.out.tfevents") for path in tmp_path.iterdir()] == [True]
    assert set(events(tmp_path).Tags()["scalars"]) == {"loss/generator", "score/real"}
    assert scalars(tmp_path, "loss/generator") == [(5, 1.25), (10, 2.5), (12, 3.0)]


def test_on_resume_tensorboard_forgets_what_lies_after(tmp_path):
    board = RunTensorBoard(tmp_path, 0)
    for step in (2, 4, 6, 8):
        board.log_metrics({"a": 1.0}, step=step)
    board.finalize("failed")
    resumed = RunTensorBoard(tmp_path, 5)
    for step in (6, 8):
        resumed.log_metrics({"a": 2.0}, step=step)
    resumed.save()
    assert scalars(tmp_path, "a") == [(2, 1.0), (4, 1.0), (6, 2.0), (8, 2.0)]


def test_a_resume_at_a_logged_iteration_keeps_its_value(tmp_path):
    board = RunTensorBoard(tmp_path, 0)
    for step in (2, 4, 6):
        board.log_metrics({"a": 1.0}, step=step)
    board.finalize("failed")
    resumed = RunTensorBoard(tmp_path, 4)
    resumed.log_metrics({"a": 2.0}, step=6)
    resumed.save()
    assert scalars(tmp_path, "a") == [(2, 1.0), (4, 1.0), (6, 2.0)]


def test_a_run_leaves_scalars_and_the_layout_of_the_charts(make_gan, tiny_data, fit, tmp_path):
    board = RunTensorBoard(tmp_path, 0)
    record = CSVRecord(tmp_path, 0)
    measure = Measure(2, 5, UpdatePlan(8))
    fit(make_gan(max_iterations=5), tiny_data(), measure, logger=[board, record])
    board.save()
    assert [step for step, _ in scalars(tmp_path, "grad_norm/generator")] == [2, 4, 5]
    for row, (step, value) in zip(rows(tmp_path), scalars(tmp_path, "loss/generator"), strict=True):
        assert int(row["iteration"]) == step
        assert float(row["loss/generator"]) == pytest.approx(value, rel=1e-6)
    layout = layout_pb2.Layout()
    layout.ParseFromString(events(tmp_path).Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0])
    found = {page.title: {chart.title: list(chart.multiline.tag) for chart in page.chart} for page in layout.category}
    assert found == CHARTS
    # Lightning's own count of steps would add a curve that means nothing.
    assert set(events(tmp_path).Tags()["scalars"]) == set(measure.latest)


def test_final_scores_stand_beside_the_hyperparameters(tmp_path):
    board = RunTensorBoard(tmp_path, 0)
    board.log_hyperparams({"seed": 3, "model.name": "gan"}, {"final/generator": 0.75}, step=12)
    board.save()
    assert scalars(tmp_path, "final/generator") == [(12, 0.75)]
    assert any(tag.startswith("_hparams_/") for tag in events(tmp_path).summary_metadata)
    assert not (tmp_path / "hparams.yaml").exists()


def test_an_event_is_in_the_file_at_once(tmp_path):
    """A run that is killed loses none, and no thread is needed for it."""
    threads = threading.active_count()
    board = RunTensorBoard(tmp_path, 0)
    board.log_metrics({"a": 1.0}, step=1)
    assert scalars(tmp_path, "a") == [(1, 1.0)]
    assert threading.active_count() == threads


def test_events_that_find_no_room_are_written_when_there_is_some(tmp_path, disk, capsys):
    board = RunTensorBoard(tmp_path, 0)
    board.log_metrics({"a": 1.0}, step=1)
    disk.full = True
    for step in (2, 3):
        board.log_metrics({"a": float(step)}, step=step)
    board.save()
    disk.full = False
    board.log_metrics({"a": 4.0}, step=4)
    assert scalars(tmp_path, "a") == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0)]
    board.finalize("success")
    (said,) = capsys.readouterr().err.splitlines()
    assert "events.out.tfevents" in said and "cannot be written (No space left on device)" in said


def test_a_board_on_a_full_disk_neither_raises_nor_hangs(tmp_path, disk, capsys):
    disk.full = True
    board = RunTensorBoard(tmp_path, 0)
    for step in range(30):  # more than the queue of TensorBoard's own writer holds
        board.log_metrics({"a": 1.0}, step=step)
    board.experiment.add_image("picture", np.zeros((2, 2, 3), np.uint8), 1, dataformats="HWC")
    board.finalize("failed")
    assert capsys.readouterr().err.splitlines()[1:] == ["warning: 32 of TensorBoard's events could not be written"]


def test_of_events_that_find_no_room_the_newest_are_kept(tmp_path, disk, monkeypatch):
    monkeypatch.setattr(event_files, "KEPT", 1000)
    board = RunTensorBoard(tmp_path, 0)
    disk.full = True
    for step in range(200):
        board.log_metrics({"a": 1.0}, step=step)
    disk.full = False
    board.log_metrics({"a": 1.0}, step=200)
    kept = [step for step, _ in scalars(tmp_path, "a")]
    assert kept == list(range(kept[0], 201)) and 150 < kept[0] < 200
