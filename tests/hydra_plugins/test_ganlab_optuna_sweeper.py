"""Searches: which trials are chosen, run, judged and told; jobs are a function of their overrides here."""

import csv
import importlib.util
import json
import math
import os
import statistics
import subprocess
import sys
from types import SimpleNamespace

import optuna
import pytest
from hydra.errors import HydraException
from omegaconf import OmegaConf
from optuna.trial import TrialState

from ganlab.config.study import JOURNAL, PRUNER, STUDY, open_journal
from ganlab.errors import ConfigError, TrainingError
from ganlab.tasks.sweeps.record import JobRecord, record_job
from hydra_plugins import ganlab_optuna_sweeper
from hydra_plugins.ganlab_optuna_sweeper import RESULTS, OptunaSweeper, OptunaSweeperConfig


def quadratic(job):
    """Least, 0, at lr = 1e-3 and k = 3."""
    return (math.log10(float(job["lr"])) + 3) ** 2 + (int(job["k"]) - 3) ** 2 / 10


LR = "lr=tag(log, interval(1e-6, 1.0))"
SPACE = (LR, "k=range(0, 10)")


def overrides_of(words):
    return dict(word.split("=", 1) for word in words)


class Launcher:
    """Runs jobs by a function from overrides to a score, or to whole results, or to None: the job fails."""

    def __init__(self, folder, job, better="lower"):
        self.folder, self.job, self.better = folder, job, better
        self.batches = []

    def launch(self, job_overrides, initial_job_idx):
        self.batches.append((initial_job_idx, job_overrides))
        for index, words in enumerate(job_overrides):
            number = initial_job_idx + index
            own = overrides_of(words)
            told = self.job(own)
            results = {"monitored": "metric/x", "scores": {"metric/x": {"better": self.better}}, "iterations": 7}
            results |= told if isinstance(told, dict) else {"objective": told}
            run = self.folder / str(number)
            run.mkdir()
            if told is not None:
                (run / "results.json").write_text(json.dumps(results))
            status = "failed" if told is None else "pruned" if results.get("pruned") else "completed"
            record_job(self.folder, JobRecord(number, status, int(told is None), None, 1.0, str(number), own))
        return []

    @property
    def jobs(self):
        return [words for _, batch in self.batches for words in batch]


@pytest.fixture
def search(tmp_path, monkeypatch):
    """search(job, *words, n_trials=…): runs a search in a folder, and returns its study and its launcher."""
    monkeypatch.setattr(ganlab_optuna_sweeper, "check_job", lambda config, overrides: None)

    def run(job, *words, folder="sweep", better="lower", metrics=None, trainer=None, **settings):
        sweep = tmp_path / "outputs" / folder
        master = {
            "metrics": {"scores": "auto", "monitor": "auto", **(metrics or {})},
            "trainer": {"evaluate_every": None, "max_iterations": 100, **(trainer or {})},
            "hydra": {"sweep": {"dir": str(sweep)}},
        }
        given = {key: value for key, value in vars(OptunaSweeperConfig()).items() if key != "_target_"}
        sweeper = OptunaSweeper(**given | settings)
        loader = SimpleNamespace(load_sweep_config=lambda config, overrides: config, get_sources=lambda: [])
        sweeper._context = SimpleNamespace(config_loader=loader)
        sweeper._config = OmegaConf.create(master)
        sweeper._launcher = Launcher(sweep, job, better)
        sweeper.sweep(list(words or SPACE))
        return study_in(sweep), sweeper._launcher

    return run


def study_in(folder):
    return optuna.load_study(study_name=STUDY, storage=open_journal(folder / JOURNAL))


def values(study):
    return [trial.params for trial in study.trials]


def states(study):
    return [trial.state.name for trial in study.trials]


def test_the_scores_of_earlier_trials_lead_to_better_ones(search):
    """The first ten trials are drawn at random; random values stay as good as they were, about 3."""
    later = {}
    for sampler in ("tpe", "random"):
        study, _ = search(quadratic, folder=sampler, sampler=sampler, seed=1, n_trials=25)
        later[sampler] = statistics.median(trial.value for trial in study.trials[13:])
    assert later["tpe"] < 1 < later["random"]


def test_higher_is_better_where_the_score_says_so(search, tmp_path):
    study, _ = search(lambda job: -quadratic(job), better="higher", n_trials=25, seed=1)
    assert study.direction.name == "MAXIMIZE" and len(study.trials) == 25
    scored = [trial.value for trial in study.trials]
    assert study.best_value == max(scored) and scored[0] == -quadratic(study.trials[0].params)
    assert statistics.median(scored[13:]) > -3, "the search went the right way: the other leads to -9 and less"
    assert len({trial.params["lr"] for trial in study.trials}) == 25, "and drew no trial twice"
    told = OmegaConf.load(tmp_path / "outputs" / "sweep" / RESULTS)
    assert told.better == "higher" and told.best_value == max(scored)


def test_a_score_that_is_named_gives_the_direction_before_the_first_trial(search, tmp_path):
    directions = []

    def job(own):
        directions.append(study_in(tmp_path / "outputs" / "sweep").direction.name)
        return 1.0

    search(job, n_trials=1, better="higher", metrics={"monitor": "precision"})
    assert directions == ["MAXIMIZE"]


def test_failed_trials_are_told_and_the_search_goes_on(search, tmp_path, capsys):
    study, _ = search(lambda job: None if int(job["k"]) < 5 else quadratic(job), n_trials=20)
    failed = [trial for trial in study.trials if trial.state is TrialState.FAIL]
    assert 0 < len(failed) < 20 and all(trial.params["k"] < 5 for trial in failed)
    assert study.best_trial.params["k"] >= 5
    assert f"trial {failed[0].number}: failed" in capsys.readouterr().out


def test_a_search_in_which_all_fails_has_failed(search, tmp_path):
    with pytest.raises(TrainingError, match="none of 3 trials has finished"):
        search(lambda job: None, n_trials=3)
    assert not (tmp_path / "outputs" / "sweep" / RESULTS).exists()


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_the_same_seed_makes_the_same_trials(search, sampler):
    first, again, other = (
        values(search(quadratic, folder=name, sampler=sampler, seed=seed, n_trials=12)[0])
        for name, seed in (("a", 3), ("b", 3), ("c", 4))
    )
    assert first == again and first != other


def test_a_search_goes_on_in_its_folder_and_repeats_nothing(search):
    search(quadratic, n_trials=4)
    study, launcher = search(quadratic, n_trials=10)
    assert len(study.trials) == 10 and [first for first, _ in launcher.batches] == [4, 5, 6, 7, 8, 9]
    assert len({trial.params["lr"] for trial in study.trials}) == 10
    with pytest.raises(ConfigError, match="the study that is there has searched otherwise"):
        search(quadratic, "lr=a,b", n_trials=11)


def test_a_trial_that_was_left_unfinished_has_failed(search, tmp_path):
    with pytest.raises(SystemExit):
        search(lambda job: sys.exit(130), n_trials=4)
    assert states(study_in(tmp_path / "outputs" / "sweep")) == ["FAIL"]


def test_what_was_found_before_a_ctrl_c_is_told(search, tmp_path, capsys):
    scores = iter([2.0, 1.0])
    with pytest.raises(SystemExit):
        search(lambda job: next(scores, None) or sys.exit(130), n_trials=4)
    assert OmegaConf.load(tmp_path / "outputs" / "sweep" / RESULTS).best_value == 1.0
    assert "best:   trial 1 of 3 (2 complete, 1 fail)" in capsys.readouterr().out


def test_batches_are_launched_together(search):
    study, launcher = search(quadratic, n_trials=10, n_jobs=4)
    assert [(first, len(jobs)) for first, jobs in launcher.batches] == [(0, 4), (4, 4), (8, 2)]
    assert states(study) == ["COMPLETE"] * 10
    for trial, words in zip(study.trials, launcher.jobs, strict=True):
        assert overrides_of(words) == {key: str(value) for key, value in trial.params.items()}
        assert trial.value == quadratic(overrides_of(words)), "each trial has the score of its own job"


def test_a_trial_over_seeds_has_their_mean(search, tmp_path):
    study, launcher = search(lambda job: float(job["seed"]) + quadratic(job), n_trials=3, seeds=[0, 4])
    assert [first for first, _ in launcher.batches] == [0, 2, 4]
    assert [overrides_of(words)["seed"] for words in launcher.jobs] == ["0", "4"] * 3
    assert study.trials[1].value == pytest.approx(2 + quadratic(study.trials[1].params))
    told = OmegaConf.load(tmp_path / "outputs" / "sweep" / RESULTS)
    assert len(told.folders) == 2 and told.command.startswith("python -m ganlab -m ") and "seed=0,4" in told.command


def test_one_failed_run_of_several_is_a_failed_trial(search):
    study, _ = search(
        lambda job: None if (job["seed"], job["k"]) == ("1", "2") else 1.0, "k=1,2", seeds=[0, 1], n_trials=9
    )
    for trial in study.trials:
        assert (trial.state is TrialState.FAIL) == (trial.params["k"] == "2")


def refuse(config, overrides):
    if int(overrides_of(overrides)["k"]) < 5:
        raise ConfigError("k: too small")


def test_a_configuration_that_cannot_be_is_not_launched(search, monkeypatch, capsys):
    monkeypatch.setattr(ganlab_optuna_sweeper, "check_job", refuse)
    study, launcher = search(quadratic, n_trials=12, n_jobs=3)
    refused = [trial for trial in study.trials if trial.params["k"] < 5]
    assert 0 < len(refused) < 12 and {trial.state for trial in refused} == {TrialState.FAIL}
    assert len(launcher.jobs) == 12 - len(refused) == states(study).count("COMPLETE")
    numbers = [first + index for first, batch in launcher.batches for index in range(len(batch))]
    assert numbers == list(range(len(numbers))), "no job's number is left out"
    for trial in study.trials:
        if trial.state is TrialState.COMPLETE:
            assert trial.value == quadratic(trial.params)
    assert f"trial {refused[0].number}: refused: k: too small" in capsys.readouterr().out


@pytest.mark.parametrize("kind", [ConfigError, HydraException])
def test_where_every_configuration_is_refused_nothing_is_left(search, monkeypatch, tmp_path, kind):
    def never(config, overrides):
        raise kind("model.x: cannot be")

    monkeypatch.setattr(ganlab_optuna_sweeper, "check_job", never)
    with pytest.raises(ConfigError, match="all of 10 trials were refused, the last one: model"):
        search(quadratic, n_trials=500)
    assert not list(tmp_path.iterdir())


def test_a_grid_is_walked_once(search):
    study, _ = search(lambda job: float(job["k"]), "k=range(0,4)", "m=a,b", sampler="grid", n_trials=100)
    assert [(trial.params["k"], trial.params["m"]) for trial in study.trials] == [
        (k, m) for k in range(4) for m in "ab"
    ]


def test_the_best_trial_is_told_with_what_to_type(search, tmp_path, capsys):
    study, _ = search(quadratic, "sweep=optuna", "model='a b'", *SPACE, n_trials=5)
    best = study.best_trial
    told = OmegaConf.load(tmp_path / "outputs" / "sweep" / RESULTS)
    assert told.name == "optuna" and told.best_params == best.params and told.best_value == best.value
    assert told.folders == [str(tmp_path / "outputs" / "sweep" / str(best.number))]
    words = f"lr={best.params['lr']} k={best.params['k']}"
    assert told.command == f"""python -m ganlab 'model='"'"'a b'"'"'' {words}"""
    said = capsys.readouterr().out
    assert f"again:  {told.command}" in said and f"best:   trial {best.number} of 5 (5 complete)" in said


def test_a_search_that_prunes_tells_each_job_its_place_and_each_job_how(search, tmp_path):
    pruned = {"pruned": True, "objective": 9.0}
    study, launcher = search(
        lambda job: pruned if job["callbacks.pruning.trial"] == "1" else 1.0,
        "k=range(0,9)", n_trials=3,
        trainer={"evaluate_every": 10}, pruner="hyperband", pruner_options={"reduction_factor": 2},
    )  # fmt: skip
    assert states(study) == ["COMPLETE", "PRUNED", "COMPLETE"]
    journal = tmp_path / "outputs" / "sweep" / JOURNAL
    for number, words in enumerate(launcher.jobs):
        assert words[-2:] == [f"callbacks.pruning.journal='{journal}'", f"callbacks.pruning.trial={number}"]
    options = {"min_resource": 10, "max_resource": 100, "reduction_factor": 2}
    assert study.user_attrs[PRUNER] == {"name": "hyperband", "options": options}
    assert "pruning" not in OmegaConf.load(journal.with_name(RESULTS)).command


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"n_trials": 0}, "hydra.sweeper.n_trials=0: must be greater than 0"),
        ({"sampler": "tpee"}, "hydra.sweeper.sampler=tpee: must be 'tpe', 'random', 'grid' or 'cmaes'"),
        ({"pruner": "best"}, "hydra.sweeper.pruner=best: must be 'none', 'median', "),
        ({"sampler": "grid"}, "lr: an interval has no grid; give a range or a list, or another sampler"),
        ({"pruner": "median"}, "hydra.sweeper.pruner=median: it judges scores while training; say how often"),
        ({"pruner": "median", "seeds": [0, 1]}, "hydra.sweeper.pruner=median: it judges single runs"),
        ({"metrics": {"scores": []}}, "metrics.scores=[]: a search compares scores"),
        ({"sampler_options": {"n_startup": 3}}, "hydra.sweeper.sampler_options={'seed': 0, 'n_startup': 3}: "),
        (
            {"pruner": "median", "trainer": {"evaluate_every": 5}, "pruner_options": {"warmup": 3}},
            "hydra.sweeper.pruner_options={'warmup': 3}: MedianPruner got an unexpected keyword argument 'warmup'",
        ),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_a_line_and_leave_nothing(search, tmp_path, settings, line):
    with pytest.raises(ConfigError) as refused:
        search(quadratic, **settings)
    assert str(refused.value).startswith(line) and len(str(refused.value).splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_seeds_and_a_seed_do_not_go_together(search):
    with pytest.raises(ConfigError, match="leave seed= out"):
        search(quadratic, *SPACE, "seed=3", seeds=[0, 1])


@pytest.mark.parametrize(
    ("job", "settings", "reason"),
    [
        (lambda job: {"monitored": None, "objective": None}, {}, "nothing to compare: a trial has no monitored score"),
        (lambda job: 1.0, {"direction": "maximize"}, "direction=maximize: metric/x is better lower; leave this out"),
        (
            lambda job: (
                1.0 if job["k"] == "1" else {"monitored": "y", "scores": {"y": {"better": "lower"}}, "objective": 1.0}
            ),
            {"sampler": "grid"},
            "name one score that all have: metrics.monitor=",
        ),
    ],
)
def test_scores_that_cannot_be_compared_are_a_line(search, job, settings, reason):
    with pytest.raises(ConfigError, match=reason):
        search(job, "k=1,2", **settings)


def test_without_optuna_a_line_says_what_to_install(search, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr("ganlab.config.study.find_spec", lambda name: None if name == "optuna" else find(name))
    with pytest.raises(ConfigError) as refused:
        search(quadratic)
    assert (
        str(refused.value) == "a search (sweep=optuna, random) needs the package optuna: pip install 'ganlab[sweeps]'"
    )


def test_the_plugin_does_not_load_optuna():
    """Hydra loads all plugins at each start."""
    words = (
        "import sys, hydra_plugins.ganlab_optuna_sweeper; sys.exit('optuna' in sys.modules or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", words], timeout=240).returncode == 0


TINY = [
    "model=gan", "data=ring", "data.test_count=100", "model.generator.width=4", "model.discriminator.width=4",
    "trainer.max_iterations=4", "trainer.evaluate_every=2", "trainer.sample_every=null", "trainer.progress=false",
    "logger=csv", "metrics.count=50", "metrics.monitor=w2",
]  # fmt: skip


@pytest.mark.slow
def test_a_search_on_the_command_line(tmp_path):
    words = ["sweep=optuna", *TINY, "optimizer.generator.lr=1e-9,1,10", "optimizer.discriminator.lr=1e-9"]
    words += ["hydra.sweeper.sampler=grid", "hydra.sweeper.pruner=median", "hydra.sweeper.n_trials=9"]
    words += ["hydra.sweeper.pruner_options={n_startup_trials: 1}"]
    done = subprocess.run(
        [sys.executable, "-m", "ganlab", "-m", *words],
        cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (sweep,) = (tmp_path / "outputs" / "sweeps" / "sweep").iterdir()
    study = study_in(sweep)
    assert states(study) == ["COMPLETE", "PRUNED", "PRUNED"]
    for trial in study.trials:
        results = json.loads((sweep / str(trial.number) / "results.json").read_text())
        assert results["pruned"] == (trial.state is TrialState.PRUNED)
        assert results["iterations"] == (2 if results["pruned"] else 4)
        assert trial.value == results["objective"] == results["scores"]["metric/w2"]["value"]
        assert set(trial.intermediate_values) == ({2} if results["pruned"] else {2, 4})
    assert study.best_value == min(trial.value for trial in study.trials if trial.state is TrialState.COMPLETE)
    with open(sweep / "sweep.csv") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["objective"]) for row in rows] == [trial.value for trial in study.trials]
    assert [row["status"] for row in rows] == ["completed", "pruned", "pruned"]
    assert OmegaConf.load(sweep / RESULTS).monitored == "metric/w2"
