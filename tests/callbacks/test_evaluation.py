"""Scores come at their iterations, from the first process only, and leave the last one to the end."""

from types import SimpleNamespace

import pytest

from ganlab.callbacks.evaluation import EvaluateEvery


class Recorder:
    def __init__(self):
        self.rows = []

    def log_metrics(self, metrics, step):
        self.rows.append((step, metrics))


@pytest.mark.parametrize(("rank_zero", "expected"), [(True, [3, 6]), (False, [])])
def test_every_third_iteration_but_not_the_last(rank_zero, expected):
    recorder = Recorder()
    trainer = SimpleNamespace(is_global_zero=rank_zero, loggers=[recorder], datamodule="data")
    callback = EvaluateEvery(3, max_iterations=9, score=lambda model, data: {"metric/x": model.iteration, "data": data})
    for iteration in range(1, 10):
        callback.on_train_batch_end(trainer, SimpleNamespace(iteration=iteration), {}, None, 0)
    assert recorder.rows == [(step, {"metric/x": step, "data": "data"}) for step in expected]
