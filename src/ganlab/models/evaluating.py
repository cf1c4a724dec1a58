"""Networks in eval mode for a while."""

from torch import nn


class evaluating:
    """A network in eval mode for a while; afterwards each of its modules is as it was."""

    def __init__(self, network: nn.Module) -> None:
        self._modes = [(module, module.training) for module in network.modules()]
        self._network = network

    def __enter__(self) -> None:
        self._network.eval()

    def __exit__(self, *error: object) -> None:
        for module, mode in self._modes:
            module.training = mode
