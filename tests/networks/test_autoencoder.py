import torch
from torch import nn

from ganlab.networks.autoencoder import Autoencoder


class Sum(nn.Module):
    """inputs · scale + what the conditions add up to."""

    def __init__(self, scale):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, inputs, conditions=None):
        return inputs * self.scale + (0 if conditions is None else conditions.sum(dim=1, keepdim=True))


def test_values_are_encoded_and_decoded_with_their_conditions():
    network = Autoencoder(Sum(2.0), Sum(10.0))
    values, conditions = torch.tensor([[1.0], [3.0]]), torch.tensor([[1.0, 0.5], [0.0, 2.0]])
    assert network(values).tolist() == [[20.0], [60.0]]
    assert network(values, conditions).tolist() == [[10 * (2 + 1.5) + 1.5], [10 * (6 + 2) + 2]]
    assert list(network.state_dict()) == ["encoder.scale", "decoder.scale"]
