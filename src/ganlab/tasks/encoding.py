"""Codes of whole splits as files: written a batch at a time, so that no split is too large."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from torch import Tensor

from ganlab.errors import OutputError, typed
from ganlab.files import write_atomically
from ganlab.tasks import console
from ganlab.tasks.encode import EncodeOptions
from ganlab.tasks.evaluation_records import now
from ganlab.tasks.features import Features
from ganlab.tasks.rows import Fingerprint, Rows, Split
from ganlab.tasks.sampling import fresh_folder
from ganlab.tasks.trained import load_trained
from ganlab.typed_path import typed_path

DESCRIPTION = "codes.json"


def encode_run(options: EncodeOptions) -> None:
    """Write the codes of a run's data, and say where they are."""
    run = load_trained(options.run, options)
    features = Features(run.model, options.layers)
    splits: list[Split] = ["train", "test"] if options.split == "both" else [options.split]
    folder = _folder(run.folder, options.out)
    told = {
        split: write_codes(features, Rows(run.data, split, options.count), folder, options.batch) for split in splits
    }
    described = {
        "date": now(),
        **run.description(),
        **features.description(),
        "condition_names": run.data.condition_names,
        "splits": told,
    }
    write_atomically(folder / DESCRIPTION, lambda file: file.write(json.dumps(described, indent=2).encode()))
    counted = ", ".join(f"{told[split]['count']:,} of {split}" for split in splits)
    console.say(f"{features.dims} numbers a sample, {counted}: {console.relative(folder)}")


def write_codes(features: Features, rows: Rows, folder: Path, batch: int) -> dict[str, Any]:
    """Write <split>.npz and return what there is to say of it: file, count, samples_sha256.

    It holds codes float32 [n, dims], labels int64 [n] or conditions float32 [n, attributes] where the data have them,
    and iteration; it loads with allow_pickle=False.
    """
    fingerprint = Fingerprint(len(rows))
    path = folder / f"{rows.split}.npz"

    def parts() -> Iterator[np.ndarray]:
        for part in rows.batches(batch):
            fingerprint.update(part.samples)
            yield features(part.samples).numpy()

    def write(file: IO[bytes]) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            _write_streamed(archive, "codes", (len(rows), features.dims), parts())
            for name, array in _known(rows, features.model.iteration).items():
                with archive.open(f"{name}.npy", "w") as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)

    write_atomically(path, write)
    return {"file": path.name, "count": len(rows), "samples_sha256": fingerprint.hexdigest()}


def _write_streamed(archive: zipfile.ZipFile, name: str, shape: tuple[int, int], parts: Iterator[np.ndarray]) -> None:
    """An array float32 of a known shape, its rows as they come."""
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(member, header)
        for part in parts:
            member.write(np.ascontiguousarray(part, dtype="<f4").tobytes())


def _known(rows: Rows, iteration: int) -> dict[str, np.ndarray]:
    conditions: Tensor | None = rows.conditions
    known = {"iteration": np.array(iteration, dtype=np.int64)}
    if conditions is not None:
        known["conditions" if rows.labels is None else "labels"] = conditions.numpy()
    return known


def _folder(run: Path, out: str | None) -> Path:
    if out is None:
        return fresh_folder(run / "codes")
    folder = typed_path(out, "out", OutputError)
    if (folder / DESCRIPTION).exists() or any(folder.glob("*.npz")):
        raise OutputError(f"out={typed(out)}: holds codes already; give another folder")
    return folder
