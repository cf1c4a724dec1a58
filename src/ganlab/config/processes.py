"""Processes that a launcher has started begin one run together, or end together before it begins."""

import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from omegaconf import DictConfig, open_dict

from ganlab.config.ranks import World, is_first, is_first_of_node, launched
from ganlab.errors import ConfigError, GanlabError
from ganlab.meeting import Meeting, MeetingError, join, joined

NO_LOG = {
    "version": 1,
    "handlers": {"nothing": {"class": "logging.NullHandler"}},
    "root": {"level": "ERROR", "handlers": ["nothing"]},
    "disable_existing_loggers": False,
}
KEYS = ("devices", "num_nodes")


def settle_processes(config: DictConfig, overrides: Iterable[str]) -> None:
    """Take the number of processes from the launcher, in place; raises `ConfigError` where another was asked for."""
    world, trainer = launched(), config.trainer
    if world is None:
        if trainer.num_nodes > 1:
            alone = "; to go on on this one: trainer.num_nodes=1 trainer.devices=…" if config.resume is not None else ""
            raise ConfigError(
                f"trainer.num_nodes={trainer.num_nodes}: start the command by torchrun or srun on each machine{alone}"
            )
        return
    if not world.even:
        total = f"{world.processes} processes on {world.nodes} nodes"
        raise ConfigError(f"{world.launcher} has started {total}: start as many on each")
    typed = {word.lstrip("+").partition("=")[0] for word in overrides}
    asked = [key for key in KEYS if f"trainer.{key}" in typed]
    if config.resume is None:
        # 1 is what the configuration has if nobody asks for anything.
        asked += [key for key in KEYS if trainer[key] != 1]
    elif not asked:
        _verify_as_before(config, world)
    started = dict(zip(KEYS, (world.per_node, world.nodes), strict=True))
    for key in asked:
        if trainer[key] not in ("auto", started[key]):
            raise ConfigError(
                f"trainer.{key}={trainer[key]}: {world}; leave trainer.{key} out, or start {trainer[key]}"
            )
    trainer.devices, trainer.num_nodes = world.per_node, world.nodes


def _verify_as_before(config: DictConfig, world: World) -> None:
    """Refuse to go on with a run on another number of processes, unless it is asked for: its batches would differ."""
    if config.trainer.devices == "auto":
        return
    before = config.trainer.devices * config.trainer.num_nodes
    if before != world.processes:
        raise ConfigError(
            f"resume={config.resume}: trained on {before} process{'es' * (before > 1)}, and {world}; start as many, "
            f"or ask for the larger batch: trainer.devices={world.per_node} trainer.num_nodes={world.nodes}"
        )


def meet() -> Meeting:
    """The meeting with the other processes of the launcher; raises `MeetingError` if they do not find each other."""
    world = launched()
    assert world is not None
    # A restart of the same processes may find what the last attempt left there.
    name = f"ganlab/{world.attempt}/{world.processes}"
    return join(world.rank, world.processes, world.address, world.port, serves=world.serves, name=name)


def share_folder(config: DictConfig, meeting: Meeting, claim: Callable[[DictConfig], None]) -> None:
    """Agree with the other processes on the folder that the first one claims; the others have none to write to.

    Raises `Refused` if another process has met a mistake.
    """
    meeting.gather("checked")
    if is_first():
        if config.get("resume") is None:
            claim(config)
        meeting.tell("folder", str(Path(config.hydra.run.dir).absolute()))
        return
    meeting.folder = Path(meeting.told("folder"))
    with open_dict(config):
        # Hydra makes its folder on every machine, also on one that does not see the first one's.
        config.hydra.run.dir = "."
        config.hydra.output_subdir = None
        config.hydra.job_logging = NO_LOG


def end(mistake: GanlabError) -> NoReturn:
    """Say a mistake, once however many processes have met it, and end all of them with its exit code."""
    lost = isinstance(mistake, MeetingError)
    if is_first() or (lost and is_first_of_node()):
        print(mistake, file=sys.stderr, flush=True)
    dismiss(str(mistake), mistake.exit_code, meets=not lost)
    raise SystemExit(mistake.exit_code) from None


def dismiss(mistake: str, exit_code: int, *, meets: bool = False) -> None:
    """End the other processes of a launcher too, unless training has begun; `meets`: if need be, find them first."""
    world, meeting = launched(), joined()
    if world is None or world.processes == 1:
        return
    if meeting is None and meets:
        with suppress(MeetingError):
            meeting = meet()
    if meeting is not None:
        meeting.leave(mistake, exit_code)
