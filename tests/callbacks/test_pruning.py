"""A trial that does badly is ended through the sweep's journal, on all ranks at once; nothing else changes."""

import math
import sys
from types import SimpleNamespace

import optuna
import pytest
import torch
from lightning import Callback

from ganlab.callbacks.checkpoints import LAST, AtomicCheckpointIO, Checkpoints
from ganlab.callbacks.evaluation import Evaluate
from ganlab.callbacks.finite import FiniteGuard
from ganlab.callbacks.group import CallbackGroup
from ganlab.callbacks.pruning import Pruned, Pruning, objective
from ganlab.config.study import JOURNAL, PRUNER, STUDY, open_journal
from ganlab.errors import ConfigError
from ganlab.tasks.building import build_model, build_trainer, members, settle_machine
from ganlab.tasks.sweeps import jobs
from two_processes import on_two_ranks

MEDIAN = {"name": "median", "options": {"n_startup_trials": 2, "n_warmup_steps": 0}}


class Scorer:
    """Says at every iteration what it is told to."""

    protocol_digest = "as ever"

    def __init__(self, value, better="lower", monitored="metric/x"):
        self.value, self.better, self.monitored = value, better, monitored

    def prepare(self, device):
        pass

    def __call__(self, model, ranks, /):
        value = self.value(model.iteration) if callable(self.value) else self.value
        return {"metric/x": {"value": value, "better": self.better}}


@pytest.fixture
def journal(tmp_path):
    """journal(value, …): a study with trials that had these values at iterations 2, 4, …, and one more that runs."""

    def make(*values, direction="minimize", pruner=MEDIAN):
        path = tmp_path / str(len(list(tmp_path.iterdir()))) / JOURNAL
        path.parent.mkdir()
        study = optuna.create_study(study_name=STUDY, storage=open_journal(path), direction=direction)
        study.set_user_attr(PRUNER, pruner)
        for value in values:
            trial = study.ask()
            for step in range(2, 11, 2):
                trial.report(value, step)
            study.tell(trial, value)
        study.ask()
        return path

    return make


def trials(journal):
    return optuna.load_study(study_name=STUDY, storage=open_journal(journal)).trials


class Remember(Callback):
    """The weights after each iteration."""

    def __init__(self):
        self.weights = {}

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.weights[pl_module.iteration] = {name: value.clone() for name, value in pl_module.state_dict().items()}


@pytest.fixture
def run(make_gan, tiny_data, fit, tmp_path):
    """run(scorer, journal): trains ten iterations, scored every two; returns the callback and the weights."""

    def trained(scorer, journal=None, trial=0):
        model = make_gan(max_iterations=10)
        checkpoints = Checkpoints(
            tmp_path / "run", every=None, keep=1, max_iterations=10, config={}, guard=FiniteGuard(100)
        )
        evaluate = Evaluate(scorer, checkpoints, every=2, max_iterations=10)
        members = [checkpoints, evaluate]
        if journal is not None:
            members.append(Pruning(evaluate, checkpoints, journal=journal, trial=trial))
        remember = Remember()
        fit(model, tiny_data(4), CallbackGroup([*members, remember]), plugins=[AtomicCheckpointIO()])
        return members[-1], remember.weights

    return trained


def test_a_trial_worse_than_the_median_is_ended_and_saved(run, journal, tmp_path):
    path = journal(1.0, 2.0, 3.0, pruner={"name": "median", "options": {"n_startup_trials": 2, "n_warmup_steps": 6}})
    pruning, weights = run(Scorer(9.0), path, 3)
    assert pruning.pruned and max(weights) == 6
    assert torch.load(tmp_path / "run" / LAST, weights_only=True)["iteration"] == 6
    assert trials(path)[3].intermediate_values == {2: 9.0, 4: 9.0, 6: 9.0}
    assert pruning.evaluate.latest_at == 6


def test_a_trial_better_than_the_median_goes_on_to_its_end(run, journal):
    path = journal(1.0, 2.0, 3.0)
    pruning, weights = run(Scorer(1.9), path, 3)
    assert not pruning.pruned and max(weights) == 10
    assert trials(path)[3].intermediate_values == dict.fromkeys((2, 4, 6, 8, 10), 1.9)


@pytest.mark.parametrize(("value", "ended"), [(1.5, True), (2.5, False)])
def test_higher_is_better_where_score_and_study_say_so(run, journal, value, ended):
    path = journal(1.0, 2.0, 3.0, direction="maximize")
    assert run(Scorer(value, better="higher"), path, 3)[0].pruned == ended


def test_a_study_that_does_not_know_yet_which_way_is_better_ends_nothing(run, journal):
    path = journal(1.0, 2.0, 3.0)
    assert not run(Scorer(99.0, better="higher"), path, 3)[0].pruned
    assert trials(path)[3].intermediate_values[10] == 99.0


def test_training_is_the_same_up_to_there(run, journal):
    _, free = run(Scorer(9.0))
    _, pruned = run(Scorer(9.0), journal(1.0, 2.0, 3.0), 3)
    _, judged = run(Scorer(0.5), journal(1.0, 2.0, 3.0), 3)
    assert max(pruned) == 2 and max(free) == max(judged) == 10
    for some in (pruned, judged):
        for iteration, weights in some.items():
            assert all(torch.equal(value, free[iteration][name]) for name, value in weights.items())


def test_at_the_last_iteration_nothing_is_left_to_end(run, journal):
    path = journal(1.0, 2.0, 3.0, pruner={"name": "median", "options": {"n_startup_trials": 2, "n_warmup_steps": 10}})
    pruning, weights = run(Scorer(9.0), path, 3)
    assert not pruning.pruned and max(weights) == 10
    assert trials(path)[3].intermediate_values[10] == 9.0


def test_what_is_no_number_is_the_worst(run, journal):
    assert run(Scorer(math.nan), journal(1.0, 2.0, 3.0), 3)[0].pruned
    assert objective({"value": math.nan, "better": "lower"}) == sys.float_info.max
    assert objective({"value": math.nan, "better": "higher"}) == -sys.float_info.max


def test_without_a_pruner_or_a_score_nothing_is_ended(run, journal):
    path = journal(1.0, 2.0, 3.0, pruner={"name": "none", "options": {}})
    assert not run(Scorer(99.0), path, 3)[0].pruned
    assert not run(Scorer(99.0, monitored=None), path, 3)[0].pruned


@pytest.mark.parametrize("content", ["{", ""])
def test_a_journal_that_cannot_be_used_lets_the_run_go_on(run, tmp_path, content, caplog):
    path = tmp_path / JOURNAL
    path.write_text(content)
    pruning, weights = run(Scorer(99.0), path)
    assert not pruning.pruned and max(weights) == 10
    assert f"{path} cannot be used any more" in caplog.text and caplog.text.count("cannot be used") == 1


def test_a_trial_that_has_ended_is_let_be(run, journal):
    path = journal(1.0, 2.0, 3.0)
    pruning, _ = run(Scorer(99.0), path, 0)
    assert not pruning.pruned and trials(path)[0].intermediate_values[2] == 1.0


def test_sweeps_know_a_pruned_run_by_its_exit_code():
    assert Pruned().code == jobs.PRUNED


def test_a_journal_that_is_not_there_is_a_line(tmp_path):
    with pytest.raises(ConfigError, match="there is no such file; a search makes one"):
        Pruning(None, None, journal=tmp_path / JOURNAL, trial=0)
    assert not list(tmp_path.iterdir())


def test_all_ranks_end_together_and_one_speaks_with_the_journal(journal):
    path = journal(1.0, 2.0, 3.0)

    def on_rank(rank):
        def any_rank(decision, all):
            told = torch.tensor([decision], dtype=torch.int32)
            torch.distributed.all_reduce(told)
            return bool(told) and not all

        saved = []
        strategy = SimpleNamespace(reduce_boolean_decision=any_rank)
        trainer = SimpleNamespace(is_global_zero=rank == 0, strategy=strategy, should_stop=False)
        checkpoints = SimpleNamespace(save=lambda trainer, model: saved.append(model.iteration))
        scores = {"metric/x": {"value": 9.0, "better": "lower"}} if rank == 0 else {}
        evaluate = SimpleNamespace(scorer=Scorer(9.0), latest=scores, latest_at=None, max_iterations=10)
        pruning = Pruning(evaluate, checkpoints, journal=path, trial=3)
        model = SimpleNamespace(iteration=0)
        pruning.on_train_start(trainer, model)
        for model.iteration in (1, 2):
            evaluate.latest_at = 2 if model.iteration == 2 else None
            pruning.on_train_batch_end(trainer, model, None, None, 0)
            if model.iteration == 1:
                assert not trainer.should_stop
        return pruning.pruned, trainer.should_stop, saved, pruning._running is not None

    assert on_two_ranks(on_rank) == [(True, True, [2], True), (True, True, [2], False)]
    assert trials(path)[3].intermediate_values == {2: 9.0}


def test_a_run_that_is_resumed_is_no_trial_any_more(settings, journal, tmp_path):
    path = journal(1.0)
    words = ["model=gan", "data=ring", "logger=none"]
    config = settings(*words, f"callbacks.pruning.journal={path}", "callbacks.pruning.trial=1")
    model = build_model(config)
    scorer = SimpleNamespace(monitored=None)
    for resume, kinds in ((None, [Evaluate, Checkpoints, Pruning]), (str(tmp_path), [Evaluate, Checkpoints])):
        trainer = build_trainer(
            {**config, "resume": resume}, settle_machine(config["trainer"]), tmp_path, model, scorer
        )
        assert [type(one) for one in members(trainer) if type(one) in (Checkpoints, Evaluate, Pruning)] == kinds
