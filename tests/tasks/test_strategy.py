"""How the processes of a run are started, where they meet, and what an end of one means to the others."""

import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning.fabric.plugins.environments import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy

from ganlab.callbacks.signals import Interrupted
from ganlab.errors import DataError
from ganlab.tasks import dying_ranks, strategy
from ganlab.tasks.dying_ranks import PARENT, PEER_LOST, RankDied
from ganlab.tasks.strategy import choose_strategy

GLOO = RuntimeError("[/x/gloo/transport/tcp/pair.cc:545] Read error [127.0.0.1]:60644: Connection reset by peer.")


def test_one_process_needs_no_strategy(tmp_path):
    assert choose_strategy(1, "cpu", tmp_path) == choose_strategy(1, "cuda", tmp_path) == "auto"


@pytest.mark.parametrize(("accelerator", "backend"), [("cpu", "gloo"), ("cuda", "nccl")])
def test_two_processes(tmp_path, accelerator, backend):
    chosen = choose_strategy(2, accelerator, tmp_path)
    assert isinstance(chosen, DDPStrategy)
    assert chosen.process_group_backend == backend
    # One rank may evaluate or decode for long; that one has died is not found out by waiting.
    assert chosen._timeout.total_seconds() > 3600


def test_the_model_is_not_wrapped_and_begins_alike_on_all_ranks(tmp_path):
    told = []
    chosen = choose_strategy(2, "cpu", tmp_path)
    chosen.model = SimpleNamespace(share_state=lambda: told.append("shared"))
    unwrapped = chosen.model
    chosen.configure_ddp()
    assert chosen.model is unwrapped and told == ["shared"]


@pytest.fixture
def launch(tmp_path, monkeypatch):
    """launch(function, "code of rank 1"): runs `function` as a first rank beside a small Python process."""
    monkeypatch.setattr(dying_ranks, "POLL", 0.05)
    monkeypatch.setattr(dying_ranks, "GRACE", 10.0)
    monkeypatch.setattr(strategy, "OWN_END", 1.0)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MASTER_PORT", "9")
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    for name in ("LOCAL_RANK", PARENT, "MASTER_ADDR", "WORLD_SIZE", "NODE_RANK"):
        monkeypatch.delenv(name, raising=False)
    environment = dict(os.environ)
    launchers = []

    def run(function, other="import time; time.sleep(60)"):
        command = ([sys.executable, "-S", "-c", other], str(tmp_path))
        monkeypatch.setattr(strategy, "child_command", lambda rank: command)
        launcher = strategy.Launcher(LightningEnvironment(), 2, 1, tmp_path / "run")
        launchers.append(launcher)
        try:
            return launcher.launch(function, launcher)
        finally:
            changed = {key for key in {**environment, **os.environ} if environment.get(key) != os.environ.get(key)}
            assert changed <= {"PYTEST_CURRENT_TEST"}, "the next run of this process is no rank"

    yield run
    for launcher in launchers:
        for process in launcher.procs:
            process.kill()
            process.wait()


def raising(error, wait_for=None):
    def function(launcher):
        if wait_for is not None:
            launcher.procs[0].wait(30)
        raise error

    return function


def last_checkpoint(tmp_path):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "checkpoints" / "last.ckpt").touch()


def test_what_the_run_gives_is_handed_on_and_nobody_is_watched_any_more(launch):
    seen = []
    assert launch(lambda launcher: seen.append(launcher) or "done", "raise SystemExit(9)") == "done"
    (launcher,) = seen
    launcher.procs[0].wait(30)
    launcher.watch._over.wait(1)
    assert launcher.watch.died is None


def test_a_failed_collective_is_told_as_the_death_behind_it(launch, tmp_path):
    last_checkpoint(tmp_path)
    with pytest.raises(RankDied) as died:
        launch(raising(GLOO, wait_for=1), "import os; os.kill(os.getpid(), 9)")
    told = str(died.value)
    assert told.startswith("training stopped: rank 1 was killed by SIGKILL (the memory may have been full); ")
    assert "the last good checkpoint is run/checkpoints/last.ckpt; go on with: " in told
    assert told.endswith("-m ganlab resume=run") and "\n" not in told
    assert died.value.exit_code == 1 and died.value.__suppress_context__


def test_without_a_checkpoint_there_is_nothing_to_go_on_with(launch):
    with pytest.raises(RankDied, match=r"rank 1 ended with exit code 4; no checkpoint had been saved yet$"):
        launch(raising(GLOO, wait_for=1), "raise SystemExit(4)")


def test_a_failed_collective_that_another_library_wraps_is_known_too(launch):
    try:
        raise ValueError("wrapped") from GLOO
    except ValueError as wrapped:
        with pytest.raises(RankDied):
            launch(raising(wrapped, wait_for=1), "raise SystemExit(4)")


def test_a_collective_that_fails_while_all_of_this_machine_live(launch, monkeypatch):
    monkeypatch.setattr(dying_ranks, "GRACE", 0.5)
    with pytest.raises(RankDied, match=r"training stopped: a process of this run has ended; no checkpoint"):
        launch(raising(GLOO))


@pytest.mark.parametrize(
    ("error", "patient"),
    [
        (ArithmeticError("a fault"), False),
        (RuntimeError("a fault"), False),
        (KeyboardInterrupt(), False),
        (SystemExit(130), False),
        (Interrupted(143), True),
        (DataError("agreed"), True),
    ],
)
def test_an_end_of_this_rank_is_its_own_and_ends_the_others(launch, error, patient):
    """Those that all ranks agree on leave the others time to end by themselves."""
    seen = []

    def function(launcher):
        seen.append(launcher)
        raise error

    with pytest.raises(type(error)) as raised:
        launch(function, "import time; time.sleep(0.5)" if patient else "import time; time.sleep(60)")
    assert raised.value is error
    assert seen[0].procs[0].returncode == (0 if patient else -signal.SIGKILL)


def test_a_mistake_that_another_rank_met_alone_is_told_by_the_first(launch):
    def function(launcher):
        launcher.store.set("error/1", "photo.png: cannot be read")
        raising(GLOO, wait_for=1)(launcher)

    with pytest.raises(RankDied, match=r"^training stopped: rank 1 stopped: photo.png: cannot be read; no checkpoint"):
        launch(function, "raise SystemExit(2)")


def test_ranks_that_do_not_come_are_not_waited_for(launch):
    with pytest.raises(RankDied, match="rank 1 ended with exit code 6; no checkpoint"):
        launch(lambda launcher: launcher.await_all(0, 2), "raise SystemExit(6)")


def test_ranks_that_hang_before_they_come_are_not_waited_for_either(launch, monkeypatch):
    monkeypatch.setattr(strategy, "START_TIMEOUT", 0.5)
    with pytest.raises(RankDied, match="only 1 of 2 processes came in 0 s; no checkpoint"):
        launch(lambda launcher: launcher.await_all(0, 2))


@pytest.fixture
def other_rank(monkeypatch, tmp_path):
    """other_rank(): launches a function as a rank that another process has started, whose store is real."""
    store = strategy._own_store()
    monkeypatch.setenv(PARENT, f"{os.getppid()}:{store.port}")
    monkeypatch.setenv("LOCAL_RANK", "1")
    launcher = strategy.Launcher(LightningEnvironment(), 2, 1, tmp_path / "run")
    return store, lambda function: launcher.launch(lambda: function(launcher))


def test_another_rank_ends_quietly_when_a_collective_fails(other_rank):
    _, launch = other_rank
    with pytest.raises(SystemExit) as ended:
        launch(raising(GLOO))
    assert ended.value.code == PEER_LOST


def test_another_rank_tells_its_mistake_and_keeps_its_faults(other_rank):
    store, launch = other_rank
    with pytest.raises(ArithmeticError):
        launch(raising(ArithmeticError("a fault")))
    assert not store.check(["error/1"])
    with pytest.raises(DataError):
        launch(raising(DataError("photo.png: cannot be read")))
    assert store.get("error/1") == b"photo.png: cannot be read"


def test_another_rank_starts_none_and_meets_at_the_firsts_store(other_rank):
    store, launch = other_rank
    launch(lambda launcher: launcher.await_all(1, 2))
    assert store.add("arrived", 0) == 1


def test_a_rank_of_torchrun_that_loses_another_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.delenv(PARENT, raising=False)
    launcher = strategy.Launcher(LightningEnvironment(), 2, 1, tmp_path / "run")
    with pytest.raises(RankDied, match="a process of this run has ended"):
        launcher.launch(raising(torch.distributed.DistBackendError("NCCL error")), launcher)
    assert launcher.procs == [] and launcher.store is None


def test_the_ranks_meet_at_a_free_port_of_this_machine_alone(launch):
    """Whatever MASTER_PORT says: it may be taken, and a rank that finds another's server there waits for minutes."""
    names = ("MASTER_ADDR", "MASTER_PORT", "LOCAL_RANK", "WORLD_SIZE")
    code = f"import os; open('told', 'w').write(' '.join(os.environ[name] for name in {names}))"
    ports = []

    def function(launcher):
        launcher.procs[0].wait(30)
        ports.append(launcher.store.port)
        if sys.platform == "linux":
            ports.extend(addresses_of(launcher.store.port))

    launch(function, code)
    port, *addresses = ports
    assert Path("told").read_text() == f"127.0.0.1 {port} 1 2" and port != 9
    assert addresses == ([] if sys.platform != "linux" else ["0100007F"])


def addresses_of(port):
    """The local addresses at which this machine listens on a port, in the hexadecimal words of Linux."""
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    listening = [row[1].split(":") for row in rows if row[3] == "0A"]
    return [address for address, number in listening if int(number, 16) == port]


def job(mode, **told):
    """What Hydra knows of a job."""
    sources = [
        SimpleNamespace(provider="main", path="file:///conf"),
        SimpleNamespace(provider="command-line", path="/mine"),
    ]
    runtime = SimpleNamespace(output_dir="/out/it's", cwd="/start", config_sources=sources)
    overrides = SimpleNamespace(task=["model=gan", "seed=1"])
    return SimpleNamespace(mode=mode, runtime=runtime, overrides=overrides, **told)


OWN = [r"hydra.run.dir='/out/it\'s'", "hydra.job.name=rank_1", "hydra.output_subdir=null"]


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        (RunMode.RUN, ["model=gan", "seed=1,2", "-m"]),
        (RunMode.MULTIRUN, ["--config-dir", "/mine", "model=gan", "seed=1", "hydra.mode=RUN"]),
    ],
)
def test_another_rank_gets_this_jobs_words_and_folder(monkeypatch, mode, words):
    """And not a whole sweep's, which it would run once more."""
    monkeypatch.setattr(HydraConfig, "get", staticmethod(lambda: job(mode)))
    monkeypatch.setattr(sys, "argv", ["ganlab", "model=gan", "seed=1,2", "-m"])
    assert strategy.child_command(1) == ([sys.executable, "-m", "ganlab", *words, *OWN], "/start")


@pytest.mark.parametrize(
    ("error", "code"),
    [(DataError("x"), 2), (Interrupted(143), 143), (SystemExit(), 1), (KeyboardInterrupt(), 130), (OSError("x"), 1)],
)
def test_the_exit_code_of_an_error(error, code):
    assert strategy._exit_code(error) == code
