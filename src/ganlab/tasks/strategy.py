"""Several processes for one run: the first starts the others, watches them, and all end together.

A process that waits for a dead one inside a collective waits for long, and what comes out of it at last
says nothing to a user. So each rank is bound to the first one, and the first one looks after the others.
"""

import atexit
import os
import re
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch.distributed
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from torch.distributed import PrefixStore, TCPStore

from ganlab.callbacks.signals import Interrupted
from ganlab.config.words import config_dir_words, given_folders, quoted
from ganlab.errors import GanlabError, innermost
from ganlab.tasks import console
from ganlab.tasks.dying_ranks import PARENT, PEER_LOST, RankDied, Watch, follow_parent, how_it_ended, live_with_parent

LOOPBACK = "127.0.0.1"
COLLECTIVE_TIMEOUT = timedelta(hours=3)
"""The ranks wait for each other while one evaluates or decodes; that one of them died is seen much earlier."""
START_TIMEOUT = 1800.0
"""Seconds in which the other ranks load their libraries and data."""
STORE_TIMEOUT = timedelta(seconds=60)
SOME_PROCESS = "a process of this run has ended"
_LOST = re.compile(r"gloo|NCCL|Connection (closed|reset) by peer|Broken pipe|TCPStore")
OWN_END = 5.0
"""Seconds in which the other ranks may end by themselves after the first one has."""


def choose_strategy(processes: int, accelerator: str, folder: Path) -> Any:
    """Lightning's strategy: `RanksTogether` as soon as there are two processes.

    `folder`: the run's, for the line that says how to go on after a process has died.
    """
    if processes == 1:
        return "auto"
    backend = "nccl" if accelerator == "cuda" else "gloo"
    return RanksTogether(folder, process_group_backend=backend, timeout=COLLECTIVE_TIMEOUT)


class RanksTogether(DDPStrategy):
    """Data-parallel processes that meet, on this machine, at a port that is surely free, and end together.

    The model averages the gradients itself, of the one network that it updates and once an update. Torch's wrapper
    would send both players' at every backward, the frozen one's as zeros, and walk each graph for what is unused.
    """

    def __init__(self, folder: Path, **options: Any) -> None:
        super().__init__(**options)
        self.folder = folder

    def configure_ddp(self) -> None:
        """No wrapper; but as with it, all ranks begin with the state of the first."""
        model: Any = self.model
        model.share_state()

    def _configure_launcher(self) -> None:
        assert self.cluster_environment is not None
        self._launcher: Launcher = Launcher(self.cluster_environment, self.num_processes, self.num_nodes, self.folder)

    def setup_distributed(self) -> None:
        """Meets at the launcher's store; where it has none (several nodes, torchrun, SLURM), as Lightning does."""
        store = self._launcher.store
        if store is not None:
            leave_group()  # an earlier run's of this process, whose other ranks have ended
            self.set_world_ranks()
            self._launcher.await_all(self.global_rank, self.world_size)
            store.set_timeout(COLLECTIVE_TIMEOUT)
            torch.distributed.init_process_group(
                self._get_process_group_backend(),
                store=PrefixStore("ranks", store),
                rank=self.global_rank,
                world_size=self.world_size,
                timeout=self._timeout,
                device_id=self.root_device if self.root_device.type == "cuda" else None,
            )
        super().setup_distributed()
        # After a failure one of NCCL may wait here for ranks that do not come, which a watch alone would end.
        if store is not None or self._process_group_backend == "gloo":
            atexit.unregister(leave_group)
            atexit.register(leave_group)


class Launcher(_SubprocessScriptLauncher):
    """Starts the other ranks of this node, unless something else has (torchrun, SLURM), and sees to their end.

    Unlike Lightning's it leaves nothing in this process's environment, so that a next run in the same process
    is not taken for a rank of this one, and it lets the threads be that the configuration has chosen.
    """

    def __init__(self, cluster_environment: Any, num_processes: int, num_nodes: int, folder: Path) -> None:
        super().__init__(cluster_environment, num_processes, num_nodes)
        self.folder = folder
        self.store: TCPStore | None = None
        self.watch: Watch | None = None

    def launch(self, function: Callable[..., Any], *args: Any, trainer: Any = None, **kwargs: Any) -> Any:
        """Run `function` on every rank; raises `RankDied` on this one if another has ended before its time."""
        self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        if PARENT in os.environ:
            first = os.environ[PARENT].partition(":")
            follow_parent(int(first[0]))
            self.store = _client(int(first[2])) if first[2] else None
        elif not self.cluster_environment.creates_processes_externally:
            self._call_children_scripts()
            self.watch = Watch(self.procs, self._line_of)
            self.watch.start()
        if trainer is not None:
            # Lightning's SIGTERM handler waits for all ranks inside the handler: with one of them alone that is a
            # hang. Before training a signal ends a process as usual; while it lasts `EndOnSignal` has its own.
            trainer._signal_connector.register_signal_handlers = lambda: None
        try:
            value = function(*args, **kwargs)
        except BaseException as error:
            meaning = self._ended_by(error)
            if meaning is error:
                raise
            raise meaning from None
        if self.watch is not None:
            self.watch.stop()
        return value

    def await_all(self, rank: int, world_size: int) -> None:
        """Until all ranks are there: in short steps, so that a death or Ctrl-C meanwhile is noticed."""
        assert self.store is not None
        arrived, deadline = self.store.add("arrived", 1), time.monotonic() + START_TIMEOUT
        while rank == 0 and arrived < world_size:
            time.sleep(0.1)
            if self.watch is not None and self.watch.died is not None:
                raise RankDied(self._line_of(*self.watch.died))
            if time.monotonic() > deadline:
                raise RankDied(self._line(f"only {arrived} of {world_size} processes came in {START_TIMEOUT:.0f} s"))
            arrived = self.store.add("arrived", 0)

    def _ended_by(self, error: BaseException) -> BaseException:
        """What to raise here for an exception out of the run, after the other ranks of this node have ended."""
        if self.watch is None:
            return self._ended_beside(error)
        if _of_lost_peer(error):
            died = self.watch.await_death()
            error = RankDied(self._line_of(*died) if died else self._line(SOME_PROCESS))
        agreed = isinstance(error, (GanlabError, Interrupted)) and not isinstance(error, RankDied)
        self.watch.end_all(OWN_END if agreed else 0, _exit_code(error))
        return error

    def _ended_beside(self, error: BaseException) -> BaseException:
        """The same in a rank that watches no other."""
        if isinstance(error, GanlabError):
            tell_first_rank(error)
        if not _of_lost_peer(error):
            return error
        return SystemExit(PEER_LOST) if PARENT in os.environ else RankDied(self._line(SOME_PROCESS))

    def _line_of(self, rank: int, code: int) -> str:
        told = ""
        with suppress(RuntimeError):
            # Through a connection of its own: a collective may be waiting in the store's.
            store = None if self.store is None else _client(self.store.port)
            told = store.get(f"error/{rank}").decode() if store and store.check([f"error/{rank}"]) else ""
        return self._line(f"rank {rank} stopped: {told}" if told else f"rank {rank} {how_it_ended(code)}")

    def _line(self, what: str) -> str:
        last = self.folder / "checkpoints" / "last.ckpt"
        if not last.exists():
            return f"training stopped: {what}; no checkpoint had been saved yet"
        kept = console.relative(last)
        return (
            f"training stopped: {what}; the last good checkpoint is {kept}; go on with: {console.resuming(self.folder)}"
        )

    def _call_children_scripts(self) -> None:
        self._check_can_spawn_children()
        self.procs = []
        address, port = self.cluster_environment.main_address, None
        if self.num_nodes == 1:
            self.store = _own_store()
            address, port = LOOPBACK, self.store.port
            if sys.platform == "linux":
                # Else gloo looks up the machine's name, which may be unknown, and listens for other machines.
                os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        variables = {
            "MASTER_ADDR": address,
            "MASTER_PORT": str(port or self.cluster_environment.main_port),
            "NODE_RANK": str(self.cluster_environment.node_rank()),
            "WORLD_SIZE": str(self.num_processes * self.num_nodes),
            PARENT: f"{os.getpid()}:{port or ''}",
        }
        for rank in range(1, self.num_processes):
            command, folder = child_command(rank)
            environment = {**os.environ, **variables, "LOCAL_RANK": str(rank)}
            with warnings.catch_warnings():
                # Python 3.12 warns of a fork beside threads; this one only sets two properties of the new process.
                warnings.simplefilter("ignore", DeprecationWarning)
                self.procs.append(subprocess.Popen(command, env=environment, cwd=folder, preexec_fn=live_with_parent()))


def child_command(rank: int) -> tuple[list[str], str]:
    """The command of another rank of this job, and the folder to run it in: never that of a whole sweep."""
    job: Any = HydraConfig.get()
    words = sys.argv[1:]
    if job.mode is RunMode.MULTIRUN:
        given = config_dir_words(given_folders(job.runtime.config_sources))
        words = [*given, *job.overrides.task, "hydra.mode=RUN"]
    own = [f"hydra.run.dir={quoted(job.runtime.output_dir)}", f"hydra.job.name=rank_{rank}", "hydra.output_subdir=null"]
    return [sys.executable, "-m", "ganlab", *words, *own], job.runtime.cwd


def tell_first_rank(error: GanlabError) -> None:
    """In a rank that another started: what it met, for the one that speaks to the user."""
    port = os.environ.get(PARENT, "").rpartition(":")[2]
    if port:
        with suppress(RuntimeError):
            _client(int(port)).set(f"error/{os.environ['LOCAL_RANK']}", str(error))


def _of_lost_peer(error: BaseException) -> bool:
    """Whether this is how a collective fails because another rank is gone: gloo raises plain RuntimeErrors."""
    first = innermost(error)
    if isinstance(first, torch.distributed.DistError):
        return True
    return isinstance(first, RuntimeError) and bool(_LOST.search(str(first)))


def _own_store() -> TCPStore:
    """On a port that the system chose and that is held from that moment on; for this machine alone."""
    listening = socket.socket()
    listening.bind((LOOPBACK, 0))
    listening.listen(128)
    port = listening.getsockname()[1]
    return TCPStore(
        LOOPBACK, port, None, True, STORE_TIMEOUT, wait_for_workers=False, master_listen_fd=listening.detach()
    )


def _client(port: int) -> TCPStore:
    return TCPStore(LOOPBACK, port, None, False, STORE_TIMEOUT, wait_for_workers=False)


def _exit_code(error: BaseException) -> int:
    """What the command ends with, if this is what ends it."""
    code = error.code if isinstance(error, SystemExit) else getattr(error, "exit_code", 1)
    return 130 if isinstance(error, KeyboardInterrupt) else code if isinstance(code, int) else 1


def leave_group() -> None:
    """End this process's part in the collectives, and the threads that serve them.

    Left to the interpreter's end these may wait for it, and it for them (pytorch/pytorch#190489).
    """
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
