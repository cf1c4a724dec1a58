"""Several nodes on this machine: real agents of torchrun, and processes as srun starts them, one process a node."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from launchers import FOREIGN, SRUN
from living import with_descendants

NODES = 2
OF_AGENTS = re.compile(r"^[EWI]\d{4} .* torch/distributed/elastic/.*\n?", re.MULTILINE)
"""What torchrun's own agents log: now and then the second one, that the first has gone before it; both end with 0."""
SHORT = [
    "model=gan",
    "data=digits",
    "data.image_size=8",
    "data.batch_size=4",
    "model.generator.width=16",
    "model.discriminator.width=16",
    "model.latent_dim=4",
    "trainer.log_every=2",
    "trainer.sample_every=null",
    "trainer.max_iterations=6",
    "trainer.threads=1",
    "metrics.scores=[]",
]


def torchrun(node: int, port: int) -> list[str]:
    words = ["--nnodes", NODES, "--node-rank", node, "--nproc-per-node", 1, "--master-addr", "127.0.0.1"]
    return [str(word) for word in ("-m", "torch.distributed.run", *words, "--master-port", port, "-m", "ganlab")]


def srun(node: int, port: int) -> dict[str, str]:
    own = {"SLURM_PROCID": node, "SLURM_LOCALID": 0, "SLURM_NODEID": node, "SLURM_STEP_NUM_TASKS": NODES}
    own |= {"SLURM_NTASKS": NODES, "SLURM_STEP_TASKS_PER_NODE": f"1(x{NODES})"}
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return SRUN | {key: str(value) for key, value in (own | where).items()}


@pytest.fixture
def nodes(tmp_path):
    """nodes("torchrun", "resume=run"): what the two nodes' commands ended with, the first node's first."""
    started = []

    def run(launcher, *words, own=((), ()), **variables):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        for node in range(NODES):
            left = (*FOREIGN, "HYDRA_", "GANLAB_FULL_ERROR")
            before = {key: value for key, value in os.environ.items() if not key.startswith(left)}
            before |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent)}
            # On Linux gloo would look up the machine's name, which may be unknown.
            before |= {"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}
            # The agents of torchrun warn in C++ of each other's end.
            before |= {"TORCH_CPP_LOG_LEVEL": "ERROR", "PYTHONFAULTHANDLER": "1"}
            slurm = srun(node, port) if launcher == "srun" else {}
            command = [sys.executable, *(torchrun(node, port) if launcher == "torchrun" else ["-m", "ganlab"])]
            started.append(
                subprocess.Popen(
                    [*command, *words, *own[node]],
                    cwd=tmp_path,
                    env=before | slurm | variables,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
        pair = started[-NODES:]
        try:
            return [_ended(process) for process in pair]
        except subprocess.TimeoutExpired:
            _signal_all(pair, signal.SIGABRT)
            pytest.fail("\n".join(["some process does not end; where each is:", *map(_last_words, pair)]))

    yield run
    _signal_all(started, signal.SIGKILL)


def _ended(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, OF_AGENTS.sub("", err))


def _signal_all(processes: list[subprocess.Popen[str]], number: signal.Signals) -> None:
    """To those that still run, and to all that they have started: torchrun's workers are in sessions of their own."""
    living = [process.pid for process in processes if process.poll() is None]
    for process in [one for each in living for one in with_descendants(each)]:
        with suppress(ProcessLookupError):
            os.kill(process, number)


def _last_words(process: subprocess.Popen[str]) -> str:
    """What a process and its workers have written; after SIGABRT with the stacks of all threads."""
    try:
        out, err = process.communicate(timeout=20)
    except subprocess.TimeoutExpired as still:
        out, err = still.stdout, still.stderr
    return f"{process.args}: {process.returncode}\n{out}\n{err}"


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def processes(folder: Path) -> int:
    return json.loads((folder / "results.json").read_text())["machine"]["processes"]


@pytest.mark.slow
def test_two_nodes_of_torchrun_make_one_run_that_equals_one_process_with_twice_the_batch(nodes, ganlab, tmp_path):
    first, second = nodes("torchrun", *SHORT)
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert (second.stdout, second.stderr) == ("", "")
    assert first.stdout.count("run:") == 1
    (folder,) = (tmp_path / "outputs" / "gan-digits").iterdir()
    assert processes(folder) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outputs"]
    assert first.stderr.count("6/6") == 1, "the iterations are told by one of them"

    assert ganlab(*SHORT, "data.batch_size=8", "hydra.run.dir=one", tiny=False).returncode == 0
    for name, weight in weights(tmp_path / "one").items():
        torch.testing.assert_close(weights(folder)[name], weight, atol=1e-5, rtol=1e-5, msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["torchrun", "srun"])
def test_nodes_equal_devices_and_go_on_as_if_never_stopped(nodes, ganlab, tmp_path, launcher):
    two = ganlab(*SHORT, "hydra.run.dir=two", "trainer.devices=2", "trainer.accelerator=cpu", tiny=False)
    assert two.returncode == 0, two.stderr
    for part in (
        ["hydra.run.dir=parts", *SHORT, "trainer.max_iterations=4"],
        ["resume=parts", "trainer.max_iterations=6"],
    ):
        first, second = nodes(launcher, *part)
        assert first.returncode == second.returncode == 0, first.stderr + second.stderr
        assert (second.stdout, second.stderr) == ("", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["parts", "two"]
    assert processes(tmp_path / "parts") == processes(tmp_path / "two") == 2
    for name, weight in weights(tmp_path / "two").items():
        assert torch.equal(weights(tmp_path / "parts")[name], weight), name
    # On one machine again the run keeps its two processes.
    on_one = ganlab("resume=parts", "trainer.max_iterations=8", tiny=False)
    assert on_one.returncode == 2 and "trainer.num_nodes=2: start the command by torchrun or srun" in on_one.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "own", "said"),
    [
        (["seed=-1"], ((), ()), "seed=-1: must be greater than or equal to 0"),
        (["model=gna"], ((), ()), "model=gna: there is no model named gna; nearest: "),
        (["trainer.devices=2"], ((), ()), "trainer.devices=2: srun has started 1 process on each of 2 nodes"),
        (["data.batch_size=500"], ((), ()), "data.batch_size=500 on 2 processes takes 1000 samples at once"),
        ([], ((), ("seed=-1",)), "process 1 of 2: seed=-1: must be greater than or equal to 0"),
        ([], (("hydra.run.dir=file/run",), ()), "hydra.run.dir=file/run: cannot be written"),
    ],
)
def test_a_refusal_is_said_once_ends_all_and_leaves_no_folder(nodes, tmp_path, words, own, said):
    (tmp_path / "file").write_text("")
    first, second = nodes("srun", *SHORT, *words, own=own)
    assert (first.returncode, second.returncode) == (2, 2)
    assert first.stderr.startswith(said) and len(first.stderr.splitlines()) == 1
    assert (first.stdout, second.stdout, second.stderr) == ("", "", "")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.slow
def test_a_node_that_does_not_come_is_a_line(nodes, tmp_path):
    first, second = nodes("srun", *SHORT, own=((), ("--help",)), GANLAB_MEETING_SECONDS="5")
    assert first.returncode == 2 and second.returncode == 0
    assert "waited 5 s for process 1 of 2" in first.stderr and len(first.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_a_clusters_warning_saves_the_run_on_all_nodes(nodes, ganlab, tmp_path, name):
    """Sent to one of the tasks; with Lightning's requeueing it would call scontrol, and nothing would be saved."""
    stop = f"callbacks.extra=[{{_target_: provoking.SignalAt, iteration: 2, name: {name}}}]"
    first, second = nodes("srun", *SHORT, "hydra.run.dir=part", stop)
    assert (first.returncode, second.returncode) == (143, 143), first.stderr + second.stderr
    assert "resume=part" in first.stderr and second.stderr == ""
    saved = torch.load(tmp_path / "part" / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["iteration"] < 6
    assert not list((tmp_path / "part").glob("*hpc*"))


def test_a_task_of_slurm_alone_is_a_plain_run_and_saves_itself_on_a_warning(ganlab, tmp_path, monkeypatch):
    alone = SRUN | {"SLURM_PROCID": "0", "SLURM_NODEID": "0", "SLURM_STEP_NUM_TASKS": "1", "SLURM_NTASKS": "1"}
    alone |= {"SLURM_STEP_NUM_NODES": "1", "SLURM_NNODES": "1", "SLURM_STEP_TASKS_PER_NODE": "1"}
    for key, value in alone.items():
        monkeypatch.setenv(key, value)
    stop = "callbacks.extra=[{_target_: provoking.SignalAt, iteration: 2, name: SIGUSR1}]"
    stopped = ganlab(*SHORT, "hydra.run.dir=run", stop, tiny=False)
    assert stopped.returncode == 143, stopped.stderr
    assert torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["iteration"] == 2
    # A batch script has the allocation's number of tasks in its environment, and is one process.
    for key in [key for key in alone if "_STEP_" in key]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("SLURM_NTASKS", "4")
    assert ganlab(*SHORT, "hydra.run.dir=batch", "trainer.max_iterations=2", tiny=False).returncode == 0
    assert processes(tmp_path / "batch") == 1
