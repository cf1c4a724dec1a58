"""sweep.csv and the table at a sweep's end."""

import csv
import json
import os

import pytest
from omegaconf import OmegaConf

from ganlab.errors import OutputError
from ganlab.tasks.sweeps.record import (
    JobFailed,
    JobRecord,
    JobStopped,
    SweepSummary,
    objective_of,
    overrides_of,
    read_records,
    record_job,
    sweep_table,
)

DONE = JobRecord(1, "completed", 0, 0.25, 12.34, "1_seed=1", {"model": "gan", "seed": "1"})
FAILED = JobRecord(0, "failed", -9, None, 3.0, "", {"model": "gan", "optimizer.generator.lr": "1e-3"})


def test_a_row_a_job_by_number_and_a_column_a_key(tmp_path):
    record_job(tmp_path, DONE)
    record_job(tmp_path, FAILED)
    with open(tmp_path / "sweep.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["job", "status", "exit_code", "objective", "seconds", "folder", "model", "optimizer.generator.lr", "seed"],
        ["0", "failed", "-9", "", "3.0", "", "gan", "1e-3", ""],
        ["1", "completed", "0", "0.25", "12.3", "1_seed=1", "gan", "", "1"],
    ]
    assert [one.number for one in read_records(tmp_path)] == [0, 1]
    assert read_records(tmp_path)[0] == FAILED


def test_values_come_back_as_they_were_typed(tmp_path):
    words = ["model.codes=[10,uniform]", "+model.note='a, \"b\"'", "~logger", "sweep=joblib", "resume=a=b"]
    kept = overrides_of(words)
    assert kept == {"model.codes": "[10,uniform]", "model.note": "'a, \"b\"'", "logger": "", "resume": "a=b"}
    record_job(tmp_path, JobRecord(0, "completed", 0, 1 / 3, 1.0, "0", kept))
    (again,) = read_records(tmp_path)
    assert again.objective == 1 / 3
    assert again.overrides == {key: value for key, value in kept.items() if value}


def test_jobs_that_end_at_the_same_time_are_all_recorded(tmp_path):
    children = []
    for worker in range(4):
        child = os.fork()
        if child == 0:
            for index in range(10):
                record_job(tmp_path, JobRecord(10 * worker + index, "completed", 0, None, 0.0, ""))
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    assert [one.number for one in read_records(tmp_path)] == list(range(40))


def test_a_record_that_cannot_be_written_is_a_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"sweep\.csv: cannot be written"):
        record_job(tmp_path / "file", DONE)


def test_the_table_names_the_score_and_shows_what_differs(tmp_path):
    (tmp_path / "1_seed=1").mkdir()
    (tmp_path / "1_seed=1" / "results.json").write_text(json.dumps({"monitored": "metric/fd_digits"}))
    record_job(tmp_path, DONE)
    record_job(tmp_path, FAILED)
    lines = sweep_table(tmp_path, read_records(tmp_path)).splitlines()
    assert lines[0].split() == ["job", "overrides", "status", "fd_digits", "seconds"]
    assert lines[2].split() == ["0", "optimizer.generator.lr=1e-3", "failed", "(-9)", "3"]
    assert lines[3].split() == ["1", "seed=1", "completed", "0.250", "12"]
    assert lines[4] == f"sweep: {tmp_path / 'sweep.csv'}" and len(lines) == 5
    assert "model=gan seed=1" in sweep_table(tmp_path, [DONE])


def test_a_sweep_that_goes_on_counts_only_its_own_failures(tmp_path, monkeypatch):
    monkeypatch.setattr(SweepSummary, "sweep", None)
    monkeypatch.setattr(SweepSummary, "before", ())
    assert SweepSummary.told() is None
    record_job(tmp_path, FAILED)
    SweepSummary().on_multirun_start(OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path)}}}))
    assert SweepSummary.told() is None
    record_job(tmp_path, DONE)
    table, failed, jobs = SweepSummary.told()
    assert "failed" in table and failed == [] and jobs == 1


def test_a_job_that_scores_nothing_has_no_objective(tmp_path):
    assert objective_of(tmp_path) is None
    for content, value in (('{"objective": null}', None), ('{"objective": 2.5}', 2.5), ("{", None), ("[]", None)):
        (tmp_path / "results.json").write_text(content)
        assert objective_of(tmp_path) == value


def test_the_ends_of_jobs_travel_between_processes():
    import pickle

    stopped, failed = pickle.loads(pickle.dumps((JobStopped(143), JobFailed("job 3"))))
    assert (stopped.exit_code, str(stopped)) == (143, "stopped")
    assert (failed.exit_code, str(failed)) == (1, "job 3")
