"""A Hydra launcher that runs each job of a sweep as a fresh process, one after the other: `sweep=process`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from ganlab.config.callback import check_job
from ganlab.config.resume import find_run
from ganlab.config.words import given_folders
from ganlab.errors import ConfigError, GanlabError
from ganlab.tasks.sweeps.jobs import Job, run_job
from ganlab.tasks.sweeps.record import JobFailed, JobRecord


@dataclass
class ProcessLauncherConfig:
    """`hydra/launcher=process`; it has no settings."""

    _target_: str = "hydra_plugins.ganlab_process_launcher.ProcessLauncher"


ConfigStore.instance().store(group="hydra/launcher", name="process", node=ProcessLauncherConfig, provider="ganlab")


class FailedJob(JobReturn):
    """A job that failed: who asks for its value gets the exception, without Hydra's own line about it."""

    @property
    def return_value(self) -> Any:
        raise self._return_value

    @return_value.setter
    def return_value(self, value: Any) -> None:
        self._return_value = value


class ProcessLauncher(Launcher):
    """Checks all jobs before the first starts. One that fails is told by its return value, and the others go on."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context = hydra_context
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        jobs = [self._job(list(own), initial_job_idx + index) for index, own in enumerate(job_overrides)]
        self._check(jobs)
        records = [self._run(config, own) for config, own in jobs]
        failure = _failure(records, [own for _, own in jobs])
        return [_returned(record, *job, failure) for record, job in zip(records, jobs, strict=True)]

    def _job(self, overrides: list[str], number: int) -> tuple[DictConfig, list[str]]:
        config = self.hydra_context.config_loader.load_sweep_config(self.config, overrides)
        with open_dict(config):
            config.hydra.job.id = f"{config.hydra.job.name}_{number}"
            config.hydra.job.num = number
        return config, overrides

    def _check(self, jobs: list[tuple[DictConfig, list[str]]]) -> None:
        problems = []
        for config, own in jobs:
            try:
                check_job(config.copy(), own)
                _resumed(config)
            except GanlabError as error:
                problems += [f"job {' '.join(own)}: {line}" for line in str(error).splitlines()]
        if problems:
            self._remove_refused_sweep()
            raise ConfigError("\n".join(problems))

    def _remove_refused_sweep(self) -> None:
        """Hydra has made the sweep's folder by now: take it away again, unless it holds runs.

        Of what is above it only an empty outputs/… goes too.
        """
        folder = Path(self.config.hydra.sweep.dir)
        if [entry.name for entry in folder.glob("*")] != ["multirun.yaml"]:
            return
        (folder / "multirun.yaml").unlink()
        folder.rmdir()
        for parent in folder.parents:
            if "outputs" not in parent.parts or any(parent.iterdir()):
                return
            parent.rmdir()

    def _run(self, config: DictConfig, overrides: list[str]) -> JobRecord:
        sweep = Path(self.config.hydra.sweep.dir)
        record = run_job(
            Job(
                config.hydra.job.num,
                overrides,
                sweep,
                sweep / str(config.hydra.sweep.subdir),
                _resumed(config),
                given_folders(self.hydra_context.config_loader.get_sources()),
            )
        )
        if record.status == "stopped":
            raise SystemExit(record.exit_code)
        return record


def _resumed(config: DictConfig) -> Path | None:
    """The run that a job goes on with, if it does; raises `CheckpointError` if there is none."""
    resume = config.get("resume")
    return None if resume is None else find_run(str(resume), "resume")[0]


def _failure(records: Sequence[JobRecord], overrides: Sequence[Sequence[str]]) -> JobFailed:
    """What a sweeper is told that asks a failed job for its score: which jobs failed."""
    pairs = [pair for pair in zip(records, overrides, strict=True) if pair[0].failed]
    lines = [f"  job {record.number}: exit code {record.exit_code}: {' '.join(own)}" for record, own in pairs]
    return JobFailed("\n".join([f"{len(pairs)} of {len(records)} jobs failed:", *lines]))


def _returned(record: JobRecord, config: DictConfig, overrides: list[str], failure: JobFailed) -> JobReturn:
    kind, status = (FailedJob, JobStatus.FAILED) if record.failed else (JobReturn, JobStatus.COMPLETED)
    value = failure if record.failed else record.objective
    return kind(overrides=overrides, cfg=config, working_dir=record.folder, status=status, _return_value=value)
