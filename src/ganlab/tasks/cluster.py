"""What Lightning asks about the processes of a run."""

from lightning.fabric.plugins.environments import LightningEnvironment
from lightning.pytorch.plugins.environments import ClusterEnvironment

from ganlab.config.ranks import World, launched


def cluster_environment() -> ClusterEnvironment:
    """Of the launcher that started this process; without one Lightning starts the others itself.

    Lightning's own choice goes by less: it takes an allocation of SLURM for its tasks, wants `--ntasks-per-node`, and
    hands SIGTERM and SIGUSR1 to a requeueing that knows nothing of ganlab's checkpoints.
    """
    world = launched()
    return LightningEnvironment() if world is None or world.processes == 1 else LaunchedProcesses(world)


class LaunchedProcesses(ClusterEnvironment):
    """Processes that torchrun or srun has started."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        return self.world.address

    @property
    def main_port(self) -> int:
        return self.world.port

    @staticmethod
    def detect() -> bool:
        return launched() is not None

    def world_size(self) -> int:
        return self.world.processes

    def set_world_size(self, size: int) -> None:
        """The launcher's number stands."""

    def global_rank(self) -> int:
        return self.world.rank

    def set_global_rank(self, rank: int) -> None:
        """The launcher's number stands."""

    def local_rank(self) -> int:
        return self.world.local_rank

    def node_rank(self) -> int:
        return self.world.node
