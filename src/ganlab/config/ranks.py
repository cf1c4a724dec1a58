"""Which of how many processes this one is, as the environment tells.

Processes are started by Lightning (`trainer.devices=2` on one machine: the others have a LOCAL_RANK), or by a launcher
on one or several machines: torchrun, or srun with more than one task.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class World:
    """The processes that a launcher has started, and this one's place among them, all counted from 0."""

    launcher: str
    rank: int
    local_rank: int
    node: int
    processes: int
    nodes: int
    per_node: int
    """Processes on this node."""
    address: str
    """Where the first process is reached by the others."""
    port: int
    attempt: str = ""
    """Differs between the restarts of the same processes by their launcher."""
    serves: bool = True
    """Whether the first process listens at the port; torchrun may do that itself."""
    even: bool = True
    """Whether each node has as many."""

    def __str__(self) -> str:
        processes = f"{self.per_node} process" + ("es" if self.per_node > 1 else "")
        if self.nodes == 1:
            return f"{self.launcher} has started {processes}"
        return f"{self.launcher} has started {processes} on each of {self.nodes} nodes"


def launched() -> World | None:
    """The processes of the launcher that started this one; None for a command that was started by hand."""
    return _of_torchrun(os.environ) or _of_srun(os.environ)


def is_first() -> bool:
    """Whether this is the first of all processes: the one that prints and writes."""
    world = launched()
    return world.rank == 0 if world else os.environ.get("LOCAL_RANK", "0") == "0"


def is_first_of_node() -> bool:
    """Whether this is the first process of its machine: the one that prepares data there."""
    world = launched()
    return world.local_rank == 0 if world else os.environ.get("LOCAL_RANK", "0") == "0"


def _of_torchrun(variables: Mapping[str, str]) -> World | None:
    numbers = _numbers(variables, "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_PORT")
    if "TORCHELASTIC_RUN_ID" not in variables or "MASTER_ADDR" not in variables or numbers is None:
        return None
    rank, local_rank, processes, per_node, port = numbers
    nodes = (_numbers(variables, "GROUP_WORLD_SIZE") or [max(1, processes // max(1, per_node))])[0]
    return World(
        launcher="torchrun",
        rank=rank,
        local_rank=local_rank,
        node=(_numbers(variables, "GROUP_RANK") or [0])[0],
        processes=processes,
        nodes=nodes,
        per_node=per_node,
        address=variables["MASTER_ADDR"],
        port=port,
        attempt=variables.get("TORCHELASTIC_RESTART_COUNT", ""),
        serves=variables.get("TORCHELASTIC_USE_AGENT_STORE") != str(True),
        even=nodes * per_node == processes,
    )


def _of_srun(variables: Mapping[str, str]) -> World | None:
    """Of SLURM_STEP_… and not SLURM_NTASKS: an allocation of several tasks is no sign that this is one of several."""
    numbers = _numbers(variables, "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID", "SLURM_STEP_NUM_TASKS")
    if numbers is None or numbers[3] == 1:
        return None
    rank, local_rank, node, processes = numbers
    nodes = (_numbers(variables, "SLURM_STEP_NUM_NODES") or _numbers(variables, "SLURM_NNODES") or [1])[0]
    shares = variables.get("SLURM_STEP_TASKS_PER_NODE", "")
    even = processes % nodes == 0 and not re.search(r"\d\D*,", shares)
    listed = variables.get("SLURM_STEP_NODELIST") or variables.get("SLURM_NODELIST") or "127.0.0.1"
    job = (_numbers(variables, "SLURM_JOB_ID") or [0])[0]
    return World(
        launcher="srun",
        rank=rank,
        local_rank=local_rank,
        node=node,
        processes=processes,
        nodes=nodes,
        per_node=processes // nodes,
        address=variables.get("MASTER_ADDR") or first_host(listed),
        # Jobs that share a node should not meet at the same port.
        port=(_numbers(variables, "MASTER_PORT") or [15_000 + job % 10_000])[0],
        attempt=variables.get("SLURM_RESTART_COUNT", ""),
        even=even,
    )


def first_host(listed: str) -> str:
    """The first machine of a list as SLURM writes it: node[07-09,12],other to node07."""
    found = re.match(r"([^,\[\s]*)(?:\[([^\],-]+)[^\]]*\]([^,\s]*))?", listed)
    assert found is not None
    return "".join(part or "" for part in found.groups())


def _numbers(variables: Mapping[str, str], *names: str) -> list[int] | None:
    """The values of all these variables; None if one is missing or no number."""
    values = [variables.get(name, "") for name in names]
    return [int(value) for value in values] if all(value.isdecimal() for value in values) else None
