"""A job of a sweep whose launcher is not ours: joblib, submitit, ray, or Hydra's own in the calling process.

Such a launcher calls the task in a process of its choosing. The job gets a fresh one from there all the same, but
for `sweep=same_process`, where it trains here and what it has changed is put back.
"""

import os
import sys
import time
import traceback
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from ganlab.config.callback import check_job
from ganlab.config.resume import find_run, task_overrides
from ganlab.config.words import given_folders
from ganlab.errors import GanlabError
from ganlab.files import remove_refused_run
from ganlab.tasks.sweeps.jobs import Job, record_end, run_job
from ganlab.tasks.sweeps.record import LOCKS, JobFailed, JobRecord, JobStopped
from ganlab.tasks.sweeps.slots import EVERYTHING, taken, visible_cores, visible_gpus

_BASIC = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
_JOBLIB = "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher"


def run_sweep_job(config: DictConfig) -> float | None:
    """Check, run and record the job that Hydra has just prepared; its monitored score, if it has one.

    Raises `JobFailed` or `JobStopped`; what went wrong has been told by then.
    """
    hydra: Any = HydraConfig.get()
    job = _job_of(config, hydra)
    here = hydra.launcher["_target_"] == _BASIC
    try:
        check_job(config, job.overrides)
    except GanlabError as mistake:
        remove_refused_run(job.folder)
        print(f"job {job.number}: {mistake}", file=sys.stderr, flush=True)
        record = record_end(job, job.folder, mistake.exit_code, 0.0)
    else:
        if here and _one_process(config):
            record = _run_here(config, job)
        else:
            record = _run_apart(config, job, hydra.launcher, in_background=not here)
    if record.status == "stopped":
        raise SystemExit(record.exit_code) if here else JobStopped(record.exit_code)
    if record.failed:
        raise JobFailed(f"job {job.number}: exit code {record.exit_code}: {' '.join(job.overrides)}")
    return record.objective


def _job_of(config: DictConfig, hydra: Any) -> Job:
    start = Path(hydra.runtime.cwd)
    resume = config.get("resume")
    return Job(
        int(hydra.job.num),
        task_overrides(hydra),
        start / hydra.sweep.dir,
        Path(hydra.runtime.output_dir),
        None if resume is None else find_run(str(resume), "resume")[0],
        given_folders(hydra.runtime.config_sources),
        start,
        prepared=True,
    )


def _one_process(config: DictConfig) -> bool:
    return str(config.trainer.devices) == "1" and config.trainer.num_nodes == 1


def _run_apart(config: DictConfig, job: Job, launcher: Any, *, in_background: bool) -> JobRecord:
    with ExitStack() as stack:
        share = EVERYTHING
        if launcher["_target_"] == _JOBLIB:
            cores = visible_cores()
            gpus = visible_gpus(os.environ) if config.trainer.accelerator != "cpu" else []
            at_a_time = jobs_at_a_time(int(launcher["n_jobs"]), len(cores))
            locks = job.sweep / LOCKS
            share = stack.enter_context(taken(locks, at_a_time, cores, gpus, config.trainer.devices))
        return run_job(job, share=share, in_background=in_background)


def jobs_at_a_time(n_jobs: int, cores: int) -> int:
    """joblib's count of workers: -1 is one a core, -2 one less, and so on; never less than one."""
    return n_jobs if n_jobs > 0 else max(1, cores + 1 + n_jobs)


def _run_here(config: DictConfig, job: Job) -> JobRecord:
    print(f"job {job.number}: {' '.join(job.overrides)}", flush=True)
    began = time.monotonic()
    try:
        from ganlab.tasks.sweeps.isolation import put_back
        from ganlab.tasks.train import train

        code = 0
        with put_back():
            train(config)
    except GanlabError as mistake:
        print(mistake, file=sys.stderr, flush=True)
        code = mistake.exit_code
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except Exception:
        traceback.print_exc()
        code = 1
    return record_end(job, job.resumes or job.folder, code, time.monotonic() - began)
