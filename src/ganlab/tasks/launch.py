"""The command line of a training run: Hydra composes, the configuration is checked, the task runs.

Nothing heavy is imported before the check has passed: help, `--cfg job` and a mistake answer at once.
"""

import os
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from ganlab.config import resolvers
from ganlab.config.explain import REFUSALS, explain
from ganlab.config.paths import conf_folder
from ganlab.config.processes import dismiss, end
from ganlab.errors import ConfigError, GanlabError
from ganlab.files import disk_fault, remove_unbegun_run
from ganlab.tasks.stopping import Terminated, ending_on_sigterm, tell_stopped
from ganlab.tasks.sweeps.record import JobFailed, JobStopped, SweepSummary

DEBUG = "HYDRA_FULL_ERROR"
OWN_DEBUG = "GANLAB_FULL_ERROR"


# A launcher's worker process imports this module for `run`, and composes the job before it calls it.
resolvers.register()


def run(config: DictConfig) -> float | None:
    """One job: the configuration is composed, and checked unless it is one of a sweep."""
    if HydraConfig.get().mode is RunMode.MULTIRUN:
        from ganlab.tasks.sweeps.foreign import run_sweep_job

        return run_sweep_job(config)
    try:
        with ending_on_sigterm() as termination:
            from ganlab.tasks.train import train

            termination.verify()
            return train(config)
    except (KeyboardInterrupt, Terminated) as stop:
        tell_stopped(config, Path(HydraConfig.get().runtime.output_dir))
        raise SystemExit(130 if isinstance(stop, KeyboardInterrupt) else stop.code) from None
    except GanlabError as mistake:
        if debugging():
            raise
        end(mistake)
    except Exception as error:
        full = disk_fault(error)
        if full is not None and not debugging():
            end(full)
        from ganlab.tasks.memory import shortage

        short = shortage(error)
        if short is not None and not debugging():
            end(short)
        dismiss("it has failed; its traceback says why", 1)
        raise


def debugging() -> bool:
    """Whether the user asked for tracebacks of mistakes too."""
    return os.environ.get(OWN_DEBUG) == "1"


def began(error: Exception) -> bool:
    """Whether the job had begun: its exceptions are faults of the program, and not Hydra's refusals."""
    return any(frame.f_code is run.__code__ for frame, _ in traceback.walk_tb(error.__traceback__))


def main() -> None:
    """Entry point of `python -m ganlab` and of the console script `ganlab`."""
    # Processes that Lightning starts inherit the environment: what the user asked for is settled in the first.
    os.environ.setdefault(OWN_DEBUG, os.environ.get(DEBUG, "0"))
    # With it Hydra hands its exceptions over instead of printing them and ending the process.
    os.environ[DEBUG] = "1"
    warnings.filterwarnings("ignore", message="provider=hydra.searchpath", category=UserWarning)
    application = hydra.main(config_path=str(conf_folder()), config_name="config", version_base="1.3")(run)
    failed = False
    try:
        _run(application)
    finally:
        failed = tell_sweep()
    if failed:
        raise SystemExit(JobFailed.exit_code)


def _run(application: Callable[[], Any]) -> None:
    """Hydra's application; what it raises becomes the lines and the exit code that the user sees."""
    try:
        _verify_flags()
        application()
    except KeyboardInterrupt:
        remove_unbegun_run()
        print("stopped", file=sys.stderr)
        raise SystemExit(130) from None
    except GanlabError as mistake:
        if debugging():
            raise
        # Of jobs that failed the sweep's table tells, and each has told its mistake itself.
        if not isinstance(mistake, JobFailed | JobStopped):
            print(mistake, file=sys.stderr)
        raise SystemExit(mistake.exit_code) from None
    # Before OSError: one of Hydra's, of a group that has no such choice, is both.
    except REFUSALS as error:
        if debugging() or began(error):
            raise
        remove_unbegun_run()
        options = get_args_parser().parse_args()
        end(ConfigError(explain(options.overrides, options.config_dir, error, options.multirun)))
    except OSError as error:
        full = disk_fault(error)
        if full is None or debugging():
            raise
        remove_unbegun_run()
        end(full)


def _verify_flags() -> None:
    """Raise `ConfigError` for flags that Hydra does not have; Hydra itself would list all that it has."""
    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        raise ConfigError(f"{message}; flags: --help, --cfg job, -m; all of them: --hydra-help")

    parser.error = refuse  # type: ignore[method-assign]
    parser.parse_args()


def tell_sweep() -> bool:
    """The table of a sweep's jobs on the screen, if this was one; whether any of them failed."""
    told = SweepSummary.told()
    if told is None:
        return False
    table, failed, jobs = told
    print(f"\n{table}", flush=True)
    if failed:
        numbers = ", ".join(str(one.number) for one in failed)
        print(f"{len(failed)} of {jobs} jobs failed: {numbers}", file=sys.stderr, flush=True)
    return bool(failed)
