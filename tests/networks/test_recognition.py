"""The recognition head: from any features to the numbers that tell the codes."""

import torch

from ganlab.networks.recognition import RecognitionHead


def test_one_hidden_layer_from_features_to_outputs():
    torch.manual_seed(0)
    head = RecognitionHead(6, 12, width=4)
    features = torch.randn(5, 6)
    first, _, last = head.layers
    hidden = features @ first.weight.T + first.bias
    hidden = torch.where(hidden > 0, hidden, 0.1 * hidden)
    torch.testing.assert_close(head(features), hidden @ last.weight.T + last.bias)
