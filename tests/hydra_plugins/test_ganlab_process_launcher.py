"""Sweeps through the command line: a process a job, one folder, failures told and survived."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from hydra_plugins.ganlab_process_launcher import objective_of

TINY = [
    "model=gan",
    "data=ring",
    "model.generator.width=4",
    "model.discriminator.width=4",
    "trainer.max_iterations=2",
    "trainer.sample_every=null",
    "trainer.progress=false",
    "logger=csv",
]


def sweep(folder, *words, **variables):
    environment = {**os.environ, **variables, "OMP_NUM_THREADS": "1", "MASTER_PORT": "1", "PL_GLOBAL_SEED": "7"}
    return subprocess.run(
        [sys.executable, "-m", "ganlab", "-m", *TINY, *words],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=240,
        start_new_session=True,
        # A shell lets what it starts in the background ignore Ctrl-C; this is about one in the foreground.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def test_a_failing_job_is_reported_and_the_others_go_on(tmp_path):
    # devices=99 passes the check of the configuration and is refused by the machine.
    done = sweep(tmp_path, "trainer.devices=99,1", "trainer.accelerator=cpu")
    assert done.returncode == 1, done.stderr
    assert "1 of 2 jobs failed" in done.stderr and "trainer.devices=99" in done.stderr
    assert "Traceback" not in done.stderr
    (folder,) = (tmp_path / "outputs" / "sweeps" / "sweep").iterdir()
    results = list(folder.glob("*/results.json"))
    assert len(results) == 1 and results[0].parent.name.startswith("1_")
    assert json.loads(results[0].read_text())["seed"] == 0


def test_all_jobs_are_checked_before_the_first_begins(tmp_path):
    refused = sweep(tmp_path, "seed=0,1", "trainer.log_every=5,0")
    assert refused.returncode == 2
    lines = refused.stderr.strip().splitlines()
    assert len(lines) == 2 and all("trainer.log_every=0: must be greater than 0" in line for line in lines)
    assert not list(tmp_path.iterdir())


def test_ctrl_c_lets_the_job_save_itself_and_starts_no_other(tmp_path):
    helpers = Path(__file__).parents[1] / "tasks"
    stop = "callbacks.extra=[{_target_: provoking.SignalGroupAt, iteration: 1, name: SIGINT}]"
    stopped = sweep(tmp_path, "seed=0,1", stop, PYTHONPATH=str(helpers))
    assert stopped.returncode == 130, stopped.stderr
    assert "Traceback" not in stopped.stderr
    (folder,) = (tmp_path / "outputs" / "sweeps" / "sweep").iterdir()
    (job,) = (path for path in folder.iterdir() if path.is_dir())
    assert (job / "checkpoints" / "iteration_000001.ckpt").is_file()


SWEEP = """
import sys
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from ganlab.config import resolvers
from ganlab.config.paths import conf_folder

resolvers.register()
application = Hydra.create_main_hydra2("ganlab", create_config_search_path(str(conf_folder())))
(jobs,) = application.multirun(config_name="config", task_function=None, overrides=sys.argv[1:])
print("OBJECTIVES", *(job.return_value for job in jobs))
"""


def test_the_sweeper_is_given_the_monitored_score_of_each_job(tmp_path):
    words = [*TINY, "seed=0,1", "metrics.count=50", "metrics.monitor=w2", "data.test_count=100"]
    done = subprocess.run(
        [sys.executable, "-c", SWEEP, *words], cwd=tmp_path, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    told = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("OBJECTIVES")]
    results = sorted(tmp_path.glob("outputs/sweeps/*/*/*/results.json"))
    scored = [json.loads(path.read_text())["scores"]["metric/w2"]["value"] for path in results]
    assert [[float(value) for value in line] for line in told] == [scored] and len(set(scored)) == 2


def test_a_job_that_scores_nothing_has_no_objective(tmp_path):
    assert objective_of(tmp_path) is None
    for content, value in (('{"objective": null}', None), ('{"objective": 2.5}', 2.5), ("{", None), ("[]", None)):
        (tmp_path / "results.json").write_text(content)
        assert objective_of(tmp_path) == value
