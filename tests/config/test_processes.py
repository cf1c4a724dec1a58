"""The number of processes: the launcher's, and what contradicts it."""

import pytest
from hydra import compose, initialize_config_dir

from ganlab.config import processes, resolvers
from ganlab.config.callback import CheckConfig
from ganlab.config.paths import conf_folder
from ganlab.config.processes import end, settle_processes
from ganlab.errors import ConfigError
from ganlab.meeting import MeetingError, Refused
from launchers import SRUN, TORCHRUN

ONE = {
    "WORLD_SIZE": "1",
    "LOCAL_WORLD_SIZE": "1",
    "GROUP_WORLD_SIZE": "1",
    "RANK": "0",
    "LOCAL_RANK": "0",
    "GROUP_RANK": "0",
}


@pytest.fixture(scope="module")
def composed():
    resolvers.register()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        return compose("config", return_hydra_config=True)


@pytest.fixture
def settled(composed, environment):
    """settled(TORCHRUN, "trainer.devices=4"): devices and nodes of a new run's configuration, or of one resumed."""

    def settle(variables, *words, before=None):
        environment(**variables)
        config = composed.copy()
        config.merge_with_dotlist([word.lstrip("+") for word in words])
        if before is not None:
            config.resume = "runs/first"
            for key, count in zip(("devices", "num_nodes"), before, strict=True):
                if f"trainer.{key}" not in " ".join(words):
                    config.trainer[key] = count
        settle_processes(config, words)
        return config.trainer.devices, config.trainer.num_nodes

    return settle


@pytest.mark.parametrize("variables", [TORCHRUN, SRUN])
@pytest.mark.parametrize(
    "words",
    [
        [],
        ["trainer.devices=4"],
        ["trainer.num_nodes=2"],
        ["trainer.devices=4", "trainer.num_nodes=2"],
        ["trainer.devices=auto"],
    ],
)
def test_the_launchers_number_is_taken(settled, variables, words):
    assert settled(variables, *words) == (4, 2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["trainer.devices=8"],
            "trainer.devices=8: torchrun has started 4 processes on each of 2 nodes; leave trainer.devices out, or",
        ),
        (["trainer.devices=1"], "trainer.devices=1: torchrun has"),
        (["++trainer.num_nodes=1"], "trainer.num_nodes=1: torchrun has"),
        (["trainer.devices=4", "trainer.num_nodes=3"], "trainer.num_nodes=3: torchrun has"),
    ],
)
def test_another_number_is_refused(settled, words, said):
    with pytest.raises(ConfigError) as refused:
        settled(TORCHRUN, *words)
    assert str(refused.value).startswith(said) and "\n" not in str(refused.value)


def test_a_number_in_a_file_counts_as_asked_for(composed, environment):
    environment(**TORCHRUN)
    config = composed.copy()
    config.trainer.devices = 8
    with pytest.raises(ConfigError, match=r"^trainer\.devices=8: torchrun"):
        settle_processes(config, [])


def test_one_process_of_torchrun_cannot_become_two(settled):
    assert settled(TORCHRUN | ONE) == (1, 1)
    with pytest.raises(ConfigError, match=r"^trainer\.devices=2: torchrun has started 1 process; leave"):
        settled(TORCHRUN | ONE, "trainer.devices=2")


def test_nodes_of_different_sizes_are_refused(settled):
    with pytest.raises(ConfigError, match=r"^torchrun has started 7 processes on 2 nodes: start as many on each$"):
        settled(TORCHRUN | {"WORLD_SIZE": "7"})


def test_several_nodes_need_a_launcher(settled):
    with pytest.raises(
        ConfigError, match=r"^trainer\.num_nodes=2: start the command by torchrun or srun on each machine$"
    ):
        settled({}, "trainer.num_nodes=2")
    with pytest.raises(ConfigError, match=r"to go on on this one: trainer\.num_nodes=1 trainer\.devices="):
        settled({}, before=(1, 2))
    assert settled({}, "trainer.num_nodes=1", "trainer.devices=2", before=(1, 2)) == (2, 1)


@pytest.mark.parametrize("before", [(4, 2), (8, 1), (1, 8), ("auto", 1)])
def test_a_run_goes_on_on_as_many_processes_wherever_they_are(settled, before):
    assert settled(TORCHRUN, before=before) == (4, 2)


def test_a_run_goes_on_on_another_number_only_if_it_is_asked_for(settled):
    with pytest.raises(
        ConfigError, match=r"^resume=runs/first: trained on 2 processes, and torchrun .* trainer\.devices=4"
    ):
        settled(TORCHRUN, before=(2, 1))
    assert settled(TORCHRUN, "trainer.devices=4", "trainer.num_nodes=2", before=(2, 1)) == (4, 2)


@pytest.fixture
def alone(monkeypatch):
    """No other process is looked for; what they would be told is kept."""
    told = []
    monkeypatch.setattr(processes, "dismiss", lambda *words, **options: told.append((*words, options["meets"])))
    return told


@pytest.mark.parametrize(
    ("rank", "local_rank", "mistake", "says"),
    [
        ("0", "0", ConfigError("wrong"), True),
        ("1", "1", ConfigError("wrong"), False),
        ("4", "0", ConfigError("wrong"), False),
        ("0", "0", Refused("process 4 of 8: wrong", 2), True),
        ("4", "0", Refused("process 0 of 8: wrong", 2), False),
        ("4", "0", MeetingError("nobody there"), True),
        ("5", "1", MeetingError("nobody there"), False),
    ],
)
def test_a_mistake_is_said_once(environment, alone, capsys, rank, local_rank, mistake, says):
    environment(**TORCHRUN | {"RANK": rank, "LOCAL_RANK": local_rank})
    with pytest.raises(SystemExit) as ended:
        end(mistake)
    assert ended.value.code == 2
    assert capsys.readouterr().err == (f"{mistake}\n" if says else "")
    assert alone == [(str(mistake), 2, not isinstance(mistake, MeetingError))]


def test_a_sweep_is_not_started_by_several_processes(composed, environment, alone, capsys):
    environment(**TORCHRUN | {"RANK": "0"})
    with pytest.raises(SystemExit) as ended:
        CheckConfig().on_multirun_start(composed)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("-m: torchrun has started 4 processes on each of 2 nodes, and each would")
    environment(**ONE)
    CheckConfig().on_multirun_start(composed)
