"""A Hydra launcher that runs each job of a sweep as a fresh process, one after the other.

In one process, jobs leave things to each other: threads, seeds, process groups, rank variables. A job that
starts ranks of its own would even start the sweep again in each of them. A process of its own per job, with
exactly that job's overrides, has none of this. `hydra/launcher=basic` brings Hydra's own back.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
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
from ganlab.errors import ConfigError, TrainingError

_LEFT_BY_OTHERS = ("LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "RANK", "WORLD_SIZE", "MASTER_", "PL_", "HYDRA_")
_PR_SET_PDEATHSIG = 1


@dataclass
class ProcessLauncherConfig:
    """`hydra/launcher=process`; it has no settings."""

    _target_: str = "hydra_plugins.ganlab_process_launcher.ProcessLauncher"


ConfigStore.instance().store(group="hydra/launcher", name="process", node=ProcessLauncherConfig, provider="ganlab")


class ProcessLauncher(Launcher):
    """Checks all jobs before the first starts; a job that fails is reported at the end, and the others go on."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context = hydra_context
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        jobs = [self._job(list(own), initial_job_idx + index) for index, own in enumerate(job_overrides)]
        self._check(jobs)
        returns = [self._run(config, own) for config, own in jobs]
        failed = [job for job in returns if job.status is JobStatus.FAILED]
        if failed:
            lines = [f"  {' '.join(job.overrides or [])}: exit code {job._return_value}" for job in failed]
            raise TrainingError("\n".join([f"{len(failed)} of {len(returns)} jobs failed:", *lines]))
        return returns

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
            except ConfigError as error:
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

    def _run(self, config: DictConfig, overrides: list[str]) -> JobReturn:
        folder = Path(self.config.hydra.sweep.dir) / str(config.hydra.sweep.subdir)
        print(f"job {config.hydra.job.num}: {' '.join(overrides)}", flush=True)
        words = [*(word for path in self._config_dirs() for word in ("--config-dir", path)), *overrides]
        words += ["hydra.mode=RUN", f"hydra.run.dir={_quoted(str(folder))}"]
        environment = {key: value for key, value in os.environ.items() if not key.startswith(_LEFT_BY_OTHERS)}
        job = subprocess.Popen([sys.executable, "-m", "ganlab", *words], env=environment, preexec_fn=_die_with_parent)
        try:
            code = job.wait()
        except KeyboardInterrupt:
            # The job has got the same Ctrl-C and is saving itself; a second one ends it.
            job.wait()
            raise SystemExit(130) from None
        status = JobStatus.COMPLETED if code == 0 else JobStatus.FAILED
        value = objective_of(folder) if code == 0 else code
        return JobReturn(overrides=overrides, cfg=config, working_dir=str(folder), status=status, _return_value=value)

    def _config_dirs(self) -> list[str]:
        """The folders that the user gave with --config-dir."""
        sources = self.hydra_context.config_loader.get_sources()
        return [source.path.removeprefix("file://") for source in sources if source.provider == "command-line"]


def objective_of(folder: Path) -> float | None:
    """The monitored score of a finished run, for the sweeper; None if nothing was scored."""
    try:
        results = json.loads((folder / "results.json").read_bytes())
        value = results["objective"]
        return None if value is None else float(value)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _die_with_parent() -> Any:
    """A job does not outlive the sweep that started it (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
