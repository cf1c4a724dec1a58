"""Reading what a run has saved: without running code of the file's, and with a clear word when it is damaged."""

import os
import zipfile
from pathlib import Path
from typing import Any

import torch

from ganlab.config.migration import migrated
from ganlab.config.resume import find_run
from ganlab.config.trust import verify_resolved, verify_run_configuration
from ganlab.errors import CheckpointError, reason_of

OF_TRAINING = ("optimizer_states", "lr_schedulers", "loops", "callbacks", "global_step", "pytorch-lightning_version")
"""What Lightning puts into a checkpoint, and asks for when training goes on."""


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The contents of a checkpoint file, on the CPU, loaded with `weights_only=True`, in today's format.

    Raises `CheckpointError` if it is damaged (the newest good one beside it is named), no checkpoint of ganlab's, or
    of a format that is not read.
    """
    if not _intact(path):
        raise CheckpointError(f"{path} is damaged{_newest_good(path)}")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(f"{path} cannot be loaded as plain data ({reason_of(error)})") from None
    checkpoint = migrated(checkpoint, path)
    iteration = checkpoint.get("iteration")
    if not isinstance(iteration, int) or isinstance(iteration, bool) or iteration < 0:
        raise CheckpointError(f"{path} does not say at which iteration it was saved{_newest_good(path)}")
    return checkpoint


def _intact(path: Path) -> bool:
    """Whether the archive is complete, every part of it matches its checksum, and none says to be more than it is.

    torch writes its parts uncompressed, one after the other: together they are smaller than the file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
            stored = all(part.compress_type == zipfile.ZIP_STORED for part in parts)
            whole = sum(part.file_size for part in parts) <= os.path.getsize(path)
            return stored and whole and archive.testzip() is None
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, ValueError, RuntimeError):
        return False


def _newest_good(damaged: Path) -> str:
    numbered = damaged.parent.glob("iteration_*.ckpt")
    others = sorted(numbered, key=lambda path: (len(path.name), path.name), reverse=True)
    good = next((other for other in others if not other.samefile(damaged) and _intact(other)), None)
    if good is None:
        return ", and there is no other one beside it; start the run anew"
    return f"; the newest good one is {good}: give that instead"


def differing_keys(own: dict[str, Any], other: dict[str, Any], prefix: str = "model") -> list[str]:
    """Dotted names of the leaves that two configurations do not share, under `prefix`."""
    first, second = _leaves(own.get(prefix, {}), prefix), _leaves(other.get(prefix, {}), prefix)
    return sorted(key for key in first.keys() | second.keys() if first.get(key) != second.get(key))


def _leaves(node: Any, prefix: str) -> dict[str, Any]:
    if isinstance(node, dict):
        return {key: value for name, child in node.items() for key, value in _leaves(child, f"{prefix}.{name}").items()}
    return {prefix: node}


def verify_same_model(checkpoint: dict[str, Any], settings: dict[str, Any], path: Path) -> None:
    """Raise `CheckpointError` naming the keys in which the checkpoint's model or optimizers are other than asked for.

    Optimizers bring their own settings back from the checkpoint: another learning rate would be ignored. One that holds
    weights and not what training needs beside them is refused too.
    """
    absent = [name for name in OF_TRAINING if name not in checkpoint]
    if absent:
        raise CheckpointError(f"{path} holds no {', '.join(absent)}: it cannot go on; sample from it, or start anew")
    saved = checkpoint["ganlab"]["config"]
    changed = differing_keys(settings, saved, "optimizer")
    if changed:
        raise CheckpointError(
            f"{path}: a run that goes on keeps its optimizers, and {', '.join(changed)} would change; "
            "start a new run for that"
        )
    differing = [key for key in differing_keys(settings, saved) if not key.startswith("model.recommended")]
    if differing:
        raise CheckpointError(f"{path} is of another model: it differs in {', '.join(differing)}")


def verify_weights(model: torch.nn.Module, checkpoint: dict[str, Any], path: Path) -> None:
    """Raise `CheckpointError` unless the weights are this model's, by name and shape. The model keeps its own."""
    own, saved = model.state_dict(), checkpoint["state_dict"]
    if not isinstance(saved, dict):
        raise CheckpointError(f"{path}: its weights are no weights by their names{_newest_good(path)}")
    differing = [
        name for name in sorted(own.keys() | saved.keys(), key=str) if _shape(own, name) != _shape(saved, name)
    ]
    if differing:
        name, count = differing[0], len(differing)
        others = f" and {count - 1} others" if count > 1 else ""
        raise CheckpointError(
            f"{path}: its weights are of another model than its configuration: {name} is {_shape(saved, name)} and not "
            f"{_shape(own, name)}{others}{_newest_good(path)}"
        )


def _shape(weights: dict[str, Any], name: str) -> str:
    if name not in weights:
        return "absent"
    value = weights[name]
    return "×".join(map(str, value.shape)) or "a number" if isinstance(value, torch.Tensor) else type(value).__name__


def verify_stranger(checkpoint: dict[str, Any], run: str, *, trusted: bool) -> None:
    """Raise `CheckpointError` for a checkpoint whose configuration is no plain data, or names what is not ganlab's.

    `run`: how it was given, as in run=outputs/…
    """
    config = checkpoint["ganlab"]["config"]
    verify_run_configuration(config, run, trusted=trusted)
    if not trusted:
        verify_resolved(config, run)


def read_run(path: str | Path, checkpoint: str | int = "last") -> tuple[Path, Path, dict[str, Any]]:
    """Run folder, checkpoint file and its contents, of a run folder or a checkpoint file.

    `checkpoint`: last, best, or the iteration of one that was kept; `CheckpointError` names those that are there.
    """
    folder, file = find_run(path)
    if checkpoint != "last":
        stem = f"iteration_{checkpoint:06d}" if isinstance(checkpoint, int) else checkpoint
        file = folder / "checkpoints" / f"{stem}.ckpt"
        if not file.is_file():
            kept = sorted(found.stem.removeprefix("iteration_") for found in file.parent.glob("*.ckpt"))
            names = ", ".join(name.lstrip("0") or "0" for name in kept)
            raise CheckpointError(f"checkpoint={checkpoint}: {folder} has none of that name; there are: {names}")
    return folder, file, load_checkpoint(file)
