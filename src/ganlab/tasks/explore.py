"""`python -m ganlab.explore`: what it can be asked, before anything is loaded."""

from importlib.util import find_spec
from socket import socket
from typing import Annotated

from pydantic import Field

from ganlab.config.schema import Strict
from ganlab.errors import ConfigError
from ganlab.tasks import command
from ganlab.tasks.encode import Device
from ganlab.tasks.exploring.serving import listening

USAGE = """
ganlab.explore: a page on this machine to play with a trained model.

  python -m ganlab.explore run=outputs/cgan-digits/2026-01-01_12-00-00
  python -m ganlab.explore run=… port=0                    any free port

Sliders move the latent, along the directions that change the sample most or along its own dimensions, and the codes;
classes and attributes are chosen; two latents are stored and walked between; the training samples nearest to what is
shown stand beside it. An autoencoder starts from a test sample. Ctrl-C ends it.

keys:
  run          a run folder, or a checkpoint in it
  checkpoint   last | best | the number of an iteration (last)
  port         where the page is served; 0: any that is free (7860)
  host         the address to listen on; with another than 127.0.0.1 others can use the page (127.0.0.1)
  root         where the run's data set lies now, if it was moved
  device       auto | cpu | cuda | mps (auto)
  trust        true: the run may name classes that are not ganlab's, and their code runs (false)
"""

LOCAL = "127.0.0.1"
PACKAGES = ("gradio", "uvicorn")
INTERRUPTED = 130


class ExploreOptions(Strict):
    """The keys of `ganlab.explore`."""

    run: str
    checkpoint: str | int = "last"
    port: Annotated[int, Field(ge=0, le=65535)] = 7860
    host: str = LOCAL
    root: str | None = None
    device: Device = "auto"
    trust: bool = False


def explore(options: ExploreOptions) -> None:
    """Serve the page until Ctrl-C, which ends the process with exit code 130."""
    verify_packages()
    # Before anything is loaded: a port that is taken is told at once.
    with listening(options.host, options.port) as listener:
        try:
            _explored(options, listener)
        except KeyboardInterrupt:
            raise SystemExit(INTERRUPTED) from None


def _explored(options: ExploreOptions, listener: socket) -> None:
    from ganlab.tasks.exploring.command import explore_run

    explore_run(options, listener)


def verify_packages() -> None:
    """Raise `ConfigError` if what makes the page is not installed."""
    missing = [package for package in PACKAGES if find_spec(package) is None]
    if missing:
        raise ConfigError(f"ganlab.explore needs the package {missing[0]}: pip install 'ganlab[explore]'")


def main() -> None:
    """Entry point of `python -m ganlab.explore` and of the console script `ganlab-explore`."""
    command.run(USAGE, ExploreOptions, explore)
