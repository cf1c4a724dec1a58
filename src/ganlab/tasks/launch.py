"""The command line of a training run: Hydra composes, the configuration is checked, the task runs.

Nothing heavy is imported before the check has passed: help, `--cfg job` and a mistake answer at once.
"""

import os
import sys

import hydra
from hydra._internal.utils import get_args_parser
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from ganlab.config import resolvers
from ganlab.config.explain import explain
from ganlab.config.paths import conf_folder
from ganlab.errors import GanlabError

DEBUG = "HYDRA_FULL_ERROR"


def run(config: DictConfig) -> float | None:
    """One job: the configuration is composed and checked by now."""
    from ganlab.tasks.train import train

    try:
        return train(config)
    except GanlabError as mistake:
        if debugging():
            raise
        print(f"ganlab: {mistake}", file=sys.stderr)
        raise SystemExit(mistake.exit_code) from None


def debugging() -> bool:
    """Whether the user asked for tracebacks of mistakes too."""
    return os.environ.get("GANLAB_FULL_ERROR") == "1"


def main() -> None:
    """Entry point of `python -m ganlab` and of the console script `ganlab`."""
    resolvers.register()
    if os.environ.get(DEBUG) == "1":
        os.environ["GANLAB_FULL_ERROR"] = "1"
    # With it Hydra hands its exceptions over instead of printing them and ending the process.
    os.environ[DEBUG] = "1"
    application = hydra.main(config_path=str(conf_folder()), config_name="config", version_base="1.3")(run)
    try:
        application()
    except (HydraException, OmegaConfBaseException) as error:
        if debugging():
            raise
        options = get_args_parser().parse_args()
        print(explain(options.overrides, options.config_dir, error), file=sys.stderr)
        raise SystemExit(2) from None
