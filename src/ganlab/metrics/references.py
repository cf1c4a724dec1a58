"""Features and statistics of real samples, computed once and kept on the disk under the hash of their bytes.

    <cache_dir>/references/<extractor>-<key>.npz

The key is a hash of the samples' own bytes (after all preprocessing), their count, the split, and the
extractor's description with the hash of its weights: nothing that changes a feature can find an old file.
"""

import hashlib
import json
import logging
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganlab.errors import OutputError, reason_of
from ganlab.files import write_atomically
from ganlab.metrics.extractors.base import Extractor
from ganlab.metrics.frechet import GaussianStatistics
from ganlab.metrics.observation import PIXELS_KEPT, Observation, observe

log = logging.getLogger(__name__)

FORMAT = 1
"""Raise it when the same key would hold other numbers."""


class Reference:
    """Real samples as the metrics see them, and the moments of their features."""

    def __init__(self, observation: Observation, fingerprint: str, statistics: GaussianStatistics | None) -> None:
        self.observation = observation
        self.fingerprint = fingerprint
        self.statistics = statistics

    def __len__(self) -> int:
        return len(self.observation)


def fingerprint_of(samples: Tensor) -> str:
    """sha256 over type, shape and bytes of samples."""
    digest = hashlib.sha256(f"{samples.dtype} {list(samples.shape)}\0".encode())
    for chunk in samples.split(4096):
        digest.update(memoryview(chunk.contiguous().numpy()).cast("B"))
    return digest.hexdigest()


def reference_of(
    samples: Tensor,
    labels: Tensor | None,
    extractor: Extractor | None,
    *,
    split: str,
    cache_dir: Path | None = None,
    batch_size: int = 256,
    device: torch.device | None = None,
) -> Reference:
    """The reference that samples make: from the cache if it is there and whole, else computed and put there.

    Points (no extractor) are not cached. A damaged file is computed anew with a warning; a cache that
    cannot be written costs time and not the run.
    """
    fingerprint = fingerprint_of(samples)
    if extractor is None:
        return Reference(observe(samples, labels, None, batch_size), fingerprint, None)
    key = _key(samples, extractor, fingerprint, split)
    path = None if cache_dir is None else _path(cache_dir, extractor, key)
    arrays = None if path is None else _read(path, key)
    if arrays is None:
        arrays = _compute(samples, extractor, batch_size, device)
        if path is not None:
            _write(path, key, arrays)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    observation = Observation(tensors["features"], samples[:PIXELS_KEPT].clone(), tensors.get("logits"), labels)
    statistics = GaussianStatistics(tensors["mean"], tensors["covariance"], tensors["factor"], len(samples))
    return Reference(observation, fingerprint, statistics)


def _key(samples: Tensor, extractor: Extractor, fingerprint: str, split: str) -> str:
    """All that the numbers depend on, as one line of text."""
    told = {
        "format": FORMAT,
        "samples": fingerprint,
        "count": len(samples),
        "split": split,
        "extractor": extractor.description(),
    }
    return json.dumps(told, sort_keys=True)


def _path(cache_dir: Path, extractor: Extractor, key: str) -> Path:
    name = f"{extractor.name}-{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"
    return cache_dir.expanduser() / "references" / name


def _compute(
    samples: Tensor, extractor: Extractor, batch_size: int, device: torch.device | None
) -> dict[str, np.ndarray]:
    seen = observe(samples, None, extractor, batch_size, device)
    statistics = GaussianStatistics.of(seen.features)
    tensors = {
        "features": seen.features,
        "mean": statistics.mean,
        "covariance": statistics.covariance,
        "factor": statistics.factor,
        **({} if seen.logits is None else {"logits": seen.logits}),
    }
    return {name: tensor.cpu().numpy() for name, tensor in tensors.items()}


def _read(path: Path, key: str) -> dict[str, np.ndarray] | None:
    """The arrays of a cache file; None if there is none, or a damaged one. Each array is verified by its checksum."""
    try:
        with np.load(path, allow_pickle=False) as file:
            # It was written uncompressed: only a damaged one, or a stranger's, announces more than its own length.
            if sum(part.file_size for part in file.zip.infolist()) > path.stat().st_size:
                raise ValueError("it announces more than it holds")
            arrays = {name: file[name] for name in file.files}
        if str(arrays.pop("key")) != key:
            raise ValueError("it belongs to other samples")
        if not {"features", "mean", "covariance", "factor"} <= arrays.keys():
            raise ValueError("it is not complete")
    except FileNotFoundError:
        return None
    except (
        OSError,
        ValueError,
        KeyError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
        RuntimeError,
        MemoryError,
    ) as error:
        log.warning("the cache file %s is damaged (%s): it is computed anew", path, reason_of(error))
        return None
    return arrays


def _write(path: Path, key: str, arrays: dict[str, np.ndarray]) -> None:
    contents: dict[str, Any] = {"key": np.array(key), **arrays}
    try:
        write_atomically(path, lambda file: np.savez(file, **contents))
    except OutputError as error:
        log.warning("features of real samples are not kept for the next time: %s", error)
