"""CIFAR-10 from its pickled batches."""

import importlib
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganlab.data.download import DownloadedData
from ganlab.data.image_module import resize, with_channels
from ganlab.data.image_source import MemoryImages
from ganlab.errors import DataError

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
TRAIN = [f"data_batch_{number}" for number in range(1, 6)]
TEST = ["test_batch"]


class Cifar10Data(DownloadedData):
    """Photographs 32x32 of ten classes, 50,000 and 10,000, in `root/cifar-10-batches-py`."""

    title = "CIFAR10"

    @property
    def folder(self) -> Path:
        return self.root / "cifar-10-batches-py"

    def absent(self) -> list[str]:
        return [name for name in TRAIN + TEST if not (self.folder / name).is_file()]

    def load(self) -> tuple[MemoryImages, MemoryImages]:
        self.verify_classes(CLASSES)
        self.verify_files()
        return self._part(TRAIN), self._part(TEST)

    def _part(self, names: list[str]) -> MemoryImages:
        batches = [read_batch(self.folder / name) for name in names]
        images = torch.from_numpy(np.concatenate([images for images, _ in batches]))
        labels = torch.from_numpy(np.concatenate([labels for _, labels in batches]))
        return MemoryImages(with_channels(resize(images, self.image_size), self.channels), self.labels(labels))


def read_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """uint8 images [n, 3, 32, 32] and labels int64 [n] of one file; raises `DataError` if it is damaged."""
    try:
        content = path.read_bytes()
        batch = _ArraysOnly(io.BytesIO(content), encoding="latin1").load()
        if max(np.asarray(batch["data"]).nbytes, np.asarray(batch["labels"]).nbytes) > 8 * len(content):
            raise ValueError("it announces more than it holds")
        images = np.ascontiguousarray(batch["data"]).reshape(-1, 3, 32, 32)
        labels = np.asarray(batch["labels"], dtype=np.int64)
    except Exception as error:
        # A damaged pickle raises anything at all.
        reason = str(error) or type(error).__name__
        raise DataError(f"{path}: not a CIFAR-10 batch ({reason}); fetch it anew") from error
    if images.dtype != np.uint8 or len(images) != len(labels) or not np.isin(labels, range(10)).all():
        raise DataError(f"{path}: its images and labels do not fit CIFAR-10; fetch it anew")
    return images, labels


class _ArraysOnly(pickle._Unpickler):  # type: ignore[name-defined,misc]
    """Plain containers and numpy arrays: files whose checksum nobody asks for must not run code.

    The one in Python: the one in C reserves as much memory as a file tells it to.
    """

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):
            return super().find_class(module, name)
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        if module.startswith(("numpy.core.", "numpy._core.")) and name in ("_reconstruct", "_frombuffer", "scalar"):
            core = "numpy._core" if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else "numpy.core"
            return getattr(importlib.import_module(f"{core}.{module.rpartition('.')[2]}"), name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")
