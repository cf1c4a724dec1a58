"""Reading what a run has saved: without running code of the file's, and with a clear word when it is damaged."""

import zipfile
from pathlib import Path
from typing import Any

import torch

from ganlab.config.resume import find_run
from ganlab.errors import CheckpointError, reason_of


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The contents of a checkpoint file, on the CPU, loaded with `weights_only=True`.

    Raises `CheckpointError` if it is damaged (the newest good one beside it is named), or no
    checkpoint of ganlab's.
    """
    if not _intact(path):
        raise CheckpointError(f"{path} is damaged{_newest_good(path)}")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(f"{path} cannot be loaded as plain data ({reason_of(error)})") from None
    if not isinstance(checkpoint, dict) or "ganlab" not in checkpoint or "state_dict" not in checkpoint:
        raise CheckpointError(f"{path} was not written by ganlab: it holds no configuration")
    return checkpoint


def _intact(path: Path) -> bool:
    """Whether the archive is complete and every part of it matches its checksum."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, ValueError):
        return False


def _newest_good(damaged: Path) -> str:
    others = sorted(damaged.parent.glob("iteration_*.ckpt"), key=lambda path: (len(path.name), path.name), reverse=True)
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

    Optimizers bring their own settings back from the checkpoint: another learning rate would be ignored.
    """
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
