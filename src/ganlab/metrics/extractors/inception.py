"""InceptionV3 as in the original FID: torch-fidelity's port of the TensorFlow network, weights from a local file."""

import hashlib
import io
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.errors import ConfigError, DataError
from ganlab.metrics.extractors.base import Extracted, Extractor
from ganlab.metrics.extractors.isolation import isolated_construction
from ganlab.typed_path import typed_path

SHA256 = "6726825d"
"""How the hash of the official file begins."""
FILE = f"weights-inception-2015-12-05-{SHA256}.pth"
URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{FILE}"


class Inception(Extractor):
    """Features [n, 2048] after the last pooling and logits [n, 1008] without bias: those of FID, KID and the
    Inception score (Heusel et al. 2017; Salimans et al. 2016).

    `weights`: the file; None: the one in torch hub's folder, where torch-fidelity puts it, too. Never downloaded.
    `sha256`: how the hash of a file of one's own begins, 8 digits or more; None: the official file is meant.

    Raises `ConfigError` without torch-fidelity, `DataError` for a file that is missing or another one.
    """

    name = "inception"
    resizer = "torch-fidelity's bilinear of TensorFlow 1, not antialiased, float32"
    channels = "gray repeated to 3"
    input_size = 299
    dimension = 2048
    num_classes = 1008

    def __init__(self, *, weights: str | None = None, sha256: str | None = None) -> None:
        super().__init__()
        architecture = _architecture()
        path = hub_file() if weights is None else typed_path(weights, "metrics.extractor.weights")
        content, self.file_sha256 = _read(path, _expected(sha256))
        self.network = _network(architecture, content, path)

    def forward(self, images: Tensor) -> Extracted:
        features, logits = self.network(images.expand(-1, 3, -1, -1))
        return Extracted(features, logits)

    def description(self) -> dict[str, Any]:
        return super().description() | {"weights_file_sha256": self.file_sha256}


def hub_file() -> Path:
    """Where torch hub, and so torch-fidelity, keeps the official file: below $TORCH_HOME or ~/.cache/torch."""
    return Path(torch.hub.get_dir()) / "checkpoints" / FILE


def _architecture() -> type[nn.Module]:
    try:
        # Imported here: it is an optional dependency, and takes seconds.
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise ConfigError(
            f"metrics/extractor=inception needs torch-fidelity ({error}); pip install 'ganlab[fid]'"
        ) from None
    return FeatureExtractorInceptionV3


def _expected(sha256: str | None) -> str:
    if sha256 is None:
        return SHA256
    if not re.fullmatch("[0-9a-f]{8,64}", sha256.lower()):
        raise ConfigError(f"metrics.extractor.sha256={sha256}: give the hash's first 8 hexadecimal digits, or all 64")
    return sha256.lower()


def _read(path: Path, expected: str) -> tuple[bytes, str]:
    """Content and SHA-256 of the file; hashed and loaded are the same bytes."""
    if not path.is_file():
        raise DataError(
            f"there are no weights of InceptionV3 at {path}; put {FILE} from {URL} into {path.parent}, "
            "or set metrics.extractor.weights to where it is"
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    found = hashlib.sha256(content).hexdigest()
    if not found.startswith(expected):
        raise DataError(
            f"{path}: its SHA-256 should begin with {expected} and is {found}; it is damaged or another file. "
            f"Fetch it again from {URL}, or set metrics.extractor.sha256={found[:16]} if you mean this one"
        )
    return content, found


def _network(architecture: type[nn.Module], content: bytes, path: Path) -> nn.Module:
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling fails in many ways, and all mean the same
        raise DataError(f"{path}: no weights that torch can load safely ({type(error).__name__})") from None
    if not isinstance(state, dict) or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items()):
        raise DataError(f"{path}: holds a {type(state).__name__}, and not a network's weights by their names")
    # torch-fidelity loads weights by itself, and without weights_only: it is given a file of ours, in memory.
    verified = io.BytesIO()
    torch.save(state, verified)
    verified.seek(0)
    try:
        with isolated_construction():
            return architecture("inception", ["2048", "logits_unbiased"], feature_extractor_weights_path=verified)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{path}: weights of another network than torch-fidelity's InceptionV3 ({reason[:160]}…)"
        ) from None
