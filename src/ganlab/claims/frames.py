"""A run's points along its training, of the same noise each time, and what they say of the modes of a mixture."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganlab.claims.reading import model_of
from ganlab.files import write_atomically
from ganlab.metrics.mixture import MixtureModes

COUNT = 1000
"""Points of a frame."""
KEPT = "frames.npz"


@dataclass(frozen=True)
class Frames:
    """`points`: float32 [frames, COUNT, 2], one frame for each of `iterations`; a row is one latent all along."""

    iterations: list[int]
    points: Tensor


def frames_of(run: Path) -> Frames:
    """What each checkpoint of a run makes of the same latents, by the weights that the model samples with.

    The first call keeps the points beside the run, and removes all checkpoints but the last: they are a megabyte each.
    """
    kept = run / KEPT
    files = sorted((run / "checkpoints").glob("iteration_*.ckpt"))
    if not kept.exists():
        iterations = [int(file.stem.removeprefix("iteration_")) for file in files]
        points = [model_of(run, at).sample(COUNT, generator=torch.Generator().manual_seed(0)) for at in iterations]
        taken = torch.stack(points).numpy()
        write_atomically(kept, lambda file: np.savez(file, iterations=np.array(iterations), points=taken))
    for file in files[:-1]:
        file.unlink()
    with np.load(kept) as saved:
        return Frames(saved["iterations"].tolist(), torch.from_numpy(saved["points"]))


def nearest_modes(points: Tensor, modes: Tensor) -> Tensor:
    """The index of the mode that is nearest to each point: int64 [frames, points] of [frames, points, 2]."""
    return torch.cdist(points, modes.expand(len(points), -1, -1)).argmin(-1)


def shares(nearest: Tensor, count: int) -> Tensor:
    """The share of a frame's points that each of `count` modes has: float64 [frames, count]."""
    return torch.stack([torch.bincount(frame, minlength=count) for frame in nearest]).double() / nearest.shape[1]


def modes_at_a_time(share: Tensor) -> Tensor:
    """exp of the entropy of each frame's shares, [frames]: 1 where one mode has all points, k where k share evenly."""
    return torch.special.entr(share).sum(1).exp()


def hops(share: Tensor) -> int:
    """How often the mode that has most of the points (above a half) is another one than it last was."""
    most, mode = share.max(1)
    held = mode[most > 0.5]
    return int((held[1:] != held[:-1]).sum())


def moved(nearest: Tensor) -> Tensor:
    """The share of points that are nearest to another mode than in the frame before, [frames - 1]."""
    return (nearest[1:] != nearest[:-1]).double().mean(1)


def hit(points: Tensor, modes: Tensor, std: float) -> tuple[Tensor, Tensor]:
    """Of each frame the modes with a fifth of their fair share within three standard deviations, and the share of all
    points that are so near to one: [frames] each."""
    counts, near = [], []
    for frame in points:
        metric = MixtureModes(modes, std)
        metric.update(frame)
        told = metric.compute()
        counts.append(told["modes_strict"])
        near.append(told["high_quality"])
    return torch.stack(counts), torch.stack(near)
