"""A small classifier of digits as extractor: `fd_digits` needs no download and seconds of CPU."""

import hashlib
import io
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ganlab.errors import DataError
from ganlab.metrics.extractors.base import RESIZER, Extracted, Extractor, resize
from ganlab.metrics.extractors.isolation import isolated_construction

WEIGHTS = Path(__file__).with_name("digits.npz")
WEIGHTS_SHA256 = "411fed088683ddffe070bdf826d1a2bd9eb34ca7acdde7567836fcc15b4bbce0"
"""Of the file; different weights are a different metric, so a new file is a new metric, too."""
SIZE = 16
FEATURES = 64
CLASSES = 10


class DigitNetwork(nn.Module):
    """Images float32 [n, 1, 16, 16] in [0, 1] to features [n, 64] and logits [n, 10]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 64, 3, padding=1)
        self.penultimate = nn.Linear(64 * (SIZE // 4) ** 2, FEATURES)
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(FEATURES, CLASSES)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        hidden = functional.max_pool2d(functional.relu(self.conv1(images)), 2)
        hidden = functional.max_pool2d(functional.relu(self.conv2(hidden)), 2)
        hidden = functional.relu(self.conv3(hidden))
        # Features before the rectifier: none of them is dead, and they are nearer to a Gaussian.
        features = self.penultimate(hidden.flatten(1))
        return features, self.head(self.dropout(functional.relu(features)))


class Digits(Extractor):
    """Features [n, 64] and logits [n, 10] of gray digits, light on dark.

    Of images with 3 channels each channel is read as a digit of its own: features [n, 192] side by side, logits
    the mean of the channels' log-probabilities. Made by `scripts/digits_extractor.py` from the training half of
    scikit-learn's digits; the other half it reads with 99 % accuracy.
    """

    name = "digits"
    resizer = RESIZER
    input_size = SIZE
    num_classes = CLASSES
    channels = "each read alone, features side by side"

    def __init__(self) -> None:
        super().__init__()
        with isolated_construction():
            network = DigitNetwork()
            network.load_state_dict(read_weights(WEIGHTS, WEIGHTS_SHA256))
        self.network = network

    def forward(self, images: Tensor) -> Extracted:
        features, logits = self._read(images)
        if images.shape[1] == 1:
            return Extracted(features.flatten(1), logits[:, 0])
        return Extracted(features.flatten(1), logits.log_softmax(-1).mean(1))

    def channel_logits(self, images: Tensor) -> Tensor:
        """Logits float32 [n, channels, 10] of each channel read alone: what stacked digits are counted with."""
        with self.undisturbed(images):
            return self._read(images)[1]

    def _read(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features [n, channels, 64] and logits [n, channels, 10]."""
        gray = resize(images.flatten(0, 1).unsqueeze(1).to(torch.float32) / 255, SIZE)
        features, logits = self.network(gray)
        return features.view(*images.shape[:2], FEATURES), logits.view(*images.shape[:2], CLASSES)


def read_weights(path: Path, sha256: str) -> dict[str, Tensor]:
    """The state of a `DigitNetwork`, float32; raises `DataError` unless the file has the hash."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); install ganlab again") from None
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise DataError(f"{path}: damaged, its SHA-256 is {found[:16]}… and not {sha256[:16]}…; install ganlab again")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return {name: torch.from_numpy(arrays[name].astype(np.float32)) for name in arrays.files}
