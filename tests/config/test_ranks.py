import pytest

from ganlab.config.ranks import first_host, is_first, is_first_of_node, launched
from launchers import BATCH_STEP, SRUN, TORCHRUN


def test_by_hand_there_is_one_process_and_it_is_the_first(environment):
    assert launched() is None and is_first() and is_first_of_node()


def test_processes_that_lightning_starts_are_not_the_first(environment):
    environment(LOCAL_RANK="1", WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT="1", NODE_RANK="0")
    assert launched() is None and not is_first() and not is_first_of_node()
    environment(LOCAL_RANK="0")
    assert is_first() and is_first_of_node()


def test_torchrun(environment):
    environment(**TORCHRUN)
    world = launched()
    assert (world.rank, world.local_rank, world.node) == (5, 1, 1)
    assert (world.processes, world.nodes, world.per_node) == (8, 2, 4)
    assert (world.address, world.port, world.attempt, world.serves) == ("node7", 29501, "2", False)
    assert str(world) == "torchrun has started 4 processes on each of 2 nodes"
    assert world.even and not is_first() and not is_first_of_node()


def test_the_first_process_of_the_second_node_prepares_its_node_and_says_nothing(environment):
    environment(**TORCHRUN | {"RANK": "4", "LOCAL_RANK": "0"})
    assert is_first_of_node() and not is_first()
    environment(RANK="0")
    assert is_first_of_node() and is_first()


def test_without_torchruns_own_store_the_first_process_serves(environment):
    environment(**TORCHRUN | {"TORCHELASTIC_USE_AGENT_STORE": "False"})
    assert launched().serves


@pytest.mark.parametrize("missing", ["TORCHELASTIC_RUN_ID", "RANK", "WORLD_SIZE"])
def test_a_part_of_torchruns_variables_makes_no_rank(environment, missing):
    environment(**{key: value for key, value in TORCHRUN.items() if key != missing})
    assert launched() is None


def test_srun(environment):
    environment(**SRUN)
    world = launched()
    assert (world.rank, world.local_rank, world.node) == (4, 0, 1)
    assert (world.processes, world.nodes, world.per_node) == (8, 2, 4)
    assert (world.address, world.port, world.serves, world.even) == ("gpu007", 15000 + 3456, True, True)
    assert is_first_of_node() and not is_first()
    environment(MASTER_ADDR="10.0.0.1", MASTER_PORT="1234")
    assert (launched().address, launched().port) == ("10.0.0.1", 1234)


@pytest.mark.parametrize("variables", [BATCH_STEP, SRUN | {"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}])
def test_an_allocation_with_one_process_in_it_is_a_plain_run(environment, variables):
    environment(**variables)
    assert launched() is None and is_first()


def test_torchrun_counts_inside_an_allocation(environment):
    environment(**SRUN, **TORCHRUN)
    assert launched().launcher == "torchrun"


@pytest.mark.parametrize(
    ("processes", "shares", "even"),
    [("8", "4(x2)", True), ("4", "3,1", False), ("3", "2,1", False), ("6", "2(x3)", True)],
)
def test_processes_that_are_not_as_many_on_each_node(environment, processes, shares, even):
    nodes = "3" if "x3" in shares else "2"
    environment(
        **SRUN
        | {
            "SLURM_STEP_NUM_TASKS": processes,
            "SLURM_STEP_TASKS_PER_NODE": shares,
            "SLURM_STEP_NUM_NODES": nodes,
        }
    )
    assert launched().even is even


def test_torchruns_nodes_of_different_sizes(environment):
    environment(**TORCHRUN | {"WORLD_SIZE": "7"})
    assert not launched().even


@pytest.mark.parametrize(
    ("listed", "first"),
    [
        ("node1", "node1"),
        ("node1,node2", "node1"),
        ("gpu[05-09]", "gpu05"),
        ("gpu[3,5-9],big1", "gpu3"),
        ("a-b-[007]", "a-b-007"),
        ("rack[1-2]-n,other", "rack1-n"),
        ("host0 host1", "host0"),
    ],
)
def test_the_first_host_of_a_list(listed, first):
    assert first_host(listed) == first
