"""The command line of a training run: Hydra composes, the configuration is checked, the task runs.

Nothing heavy is imported before the check has passed: help, `--cfg job` and a mistake answer at once.
"""

import os
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from ganlab.config import resolvers
from ganlab.config.callback import check_job
from ganlab.config.explain import explain
from ganlab.config.paths import conf_folder
from ganlab.config.resume import task_overrides
from ganlab.errors import GanlabError
from ganlab.files import remove_refused_run

DEBUG = "HYDRA_FULL_ERROR"
OWN_DEBUG = "GANLAB_FULL_ERROR"


def run(config: DictConfig) -> float | None:
    """One job: the configuration is composed, and checked unless it is one of a sweep."""
    try:
        check_sweep_job(config)
        from ganlab.tasks.train import train

        return train(config)
    except GanlabError as mistake:
        if debugging():
            raise
        # All processes of a run meet the same mistake; one of them says it.
        if os.environ.get("LOCAL_RANK", "0") == "0":
            print(mistake, file=sys.stderr)
        raise SystemExit(mistake.exit_code) from None


def check_sweep_job(config: DictConfig) -> None:
    """Check a job of a sweep, which `CheckConfig` has not seen; one that is refused leaves no folder."""
    job: Any = HydraConfig.get()
    if job.mode is not RunMode.MULTIRUN:
        return
    try:
        check_job(config, task_overrides(job))
    except GanlabError:
        remove_refused_run(Path(job.runtime.output_dir))
        raise


def debugging() -> bool:
    """Whether the user asked for tracebacks of mistakes too."""
    return os.environ.get(OWN_DEBUG) == "1"


def began(error: Exception) -> bool:
    """Whether the job had begun: its exceptions are faults of the program, and not Hydra's refusals."""
    return any(frame.f_code is run.__code__ for frame, _ in traceback.walk_tb(error.__traceback__))


def main() -> None:
    """Entry point of `python -m ganlab` and of the console script `ganlab`."""
    resolvers.register()
    # Processes that Lightning starts inherit the environment: what the user asked for is settled in the first.
    os.environ.setdefault(OWN_DEBUG, os.environ.get(DEBUG, "0"))
    # With it Hydra hands its exceptions over instead of printing them and ending the process.
    os.environ[DEBUG] = "1"
    warnings.filterwarnings("ignore", message="provider=hydra.searchpath", category=UserWarning)
    application = hydra.main(config_path=str(conf_folder()), config_name="config", version_base="1.3")(run)
    try:
        application()
    except KeyboardInterrupt:
        print("stopped before training began or after it ended", file=sys.stderr)
        raise SystemExit(130) from None
    except GanlabError as mistake:
        if debugging():
            raise
        print(mistake, file=sys.stderr)
        raise SystemExit(mistake.exit_code) from None
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        if debugging() or began(error):
            raise
        options = get_args_parser().parse_args()
        print(explain(options.overrides, options.config_dir, error), file=sys.stderr)
        raise SystemExit(2) from None
