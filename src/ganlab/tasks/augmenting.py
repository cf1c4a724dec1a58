"""New samples by way of the code (DeVries & Taylor 2017, Dataset augmentation in feature space, section 3.2)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganlab.errors import ConfigError, DataError, TrainingError
from ganlab.files import write_atomically
from ganlab.pictures import image_grid, plane, plane_limits, save_atomically
from ganlab.tasks import console
from ganlab.tasks.augment import AugmentOptions
from ganlab.tasks.evaluation_records import now
from ganlab.tasks.rows import Fingerprint, Rows
from ganlab.tasks.sampling import fresh_folder
from ganlab.tasks.trained import Trained, load_trained

POOL = 10_000
"""Originals of a split at most; their codes are in memory together."""
SHOWN_ROWS, SHOWN_OFFSPRING = 12, 8


@dataclass(frozen=True)
class Offspring:
    """New samples [n, *sample_shape], their codes [n, d], and the row [n] of the original each of them came from.

    `partners` [n]: the rows towards or away from which they lie, where there are some. `kept` is what the decoder makes
    of the first originals' own codes, for the picture.
    """

    samples: Tensor
    codes: Tensor
    rows: Tensor
    partners: Tensor | None
    kept: Tensor


def augment_run(options: AugmentOptions) -> None:
    """Write the offspring of a run's data, and say where they are."""
    run = load_trained(options.run, options)
    _refuse_other_models(run, options)
    originals = Rows(run.data, options.split, POOL)
    made = offspring_of(run.model, originals, options)
    folder = fresh_folder(run.folder / "augmented")
    write(run, originals, made, options, folder)
    console.say(f"{options.count:,} samples near {len(made.rows.unique()):,} originals: {console.relative(folder)}")


def offspring_of(model: Any, originals: Rows, options: AugmentOptions) -> Offspring:
    """Encode the originals, move some of their codes, and decode these. All that is drawn follows from the seed.

    An original's condition is also its offspring's. Raises `DataError` for a class of one sample, which has no
    neighbours.
    """
    generator = torch.Generator().manual_seed(options.seed)
    rows = chosen_rows(len(originals), options.count, options.each, generator)
    codes, deviations = encoded(model, originals, options)
    partners = None
    if options.method == "noise":
        moved = codes[rows] + options.distance * codes.std(0, correction=0) * _noise(codes, options.count, generator)
    elif options.method == "posterior":
        assert deviations is not None
        moved = codes[rows] + options.distance * deviations[rows] * _noise(codes, options.count, generator)
    else:
        partners = chosen_partners(codes, originals.labels, rows, options.neighbours, generator)
        way = codes[partners] - codes[rows]
        moved = codes[rows] + options.distance * (way if options.method == "interpolate" else -way)
    known = originals.conditions if model.condition_size else None
    conditions = None if known is None else known[rows]
    firsts = torch.arange(0, options.count, options.each)[:SHOWN_ROWS]
    kept = decoded(model, codes[rows[firsts]], None if conditions is None else conditions[firsts], options.batch)
    return Offspring(decoded(model, moved, conditions, options.batch), moved, rows, partners, kept)


def chosen_rows(available: int, count: int, each: int, generator: torch.Generator) -> Tensor:
    """Rows [count] of originals, each `each` times in turn; none comes again before all have come."""
    wanted = -(-count // each)
    rounds = [torch.randperm(available, generator=generator) for _ in range(-(-wanted // available))]
    return torch.cat(rounds)[:wanted].repeat_interleave(each)[:count]


def chosen_partners(
    codes: Tensor, labels: Tensor | None, rows: Tensor, neighbours: int, generator: torch.Generator
) -> Tensor:
    """For each of the rows [n] another row, one of the nearest codes of its class (of all, where there are none).

    Nearest by Euclidean distance; each of the `neighbours` (or as many as there are) is equally likely.
    """
    draws = torch.rand(len(rows), generator=generator)
    found = torch.empty_like(rows)
    of_class = torch.zeros(len(codes), dtype=torch.int64) if labels is None else labels
    for one in of_class[rows].unique():
        members = (of_class == one).nonzero().squeeze(1)
        if len(members) < 2:
            raise DataError(f"class {int(one)} has a single sample: there is no neighbour to go to; use method=noise")
        places = (of_class[rows] == one).nonzero().squeeze(1)
        number = min(neighbours, len(members) - 1)
        for some in places.split(1024):
            distances = torch.cdist(codes[rows[some]].double(), codes[members].double())
            distances[members[None, :] == rows[some, None]] = torch.inf
            nearest = distances.topk(number, largest=False).indices
            picked = nearest.gather(1, (draws[some, None] * number).long())
            found[some] = members[picked.squeeze(1)]
    return found


def encoded(model: Any, originals: Rows, options: AugmentOptions) -> tuple[Tensor, Tensor | None]:
    """The codes of all originals, float32 [n, d] on the CPU; for the method posterior with its deviations, [n, d]."""
    codes, deviations = [], []
    for part in originals.batches(options.batch):
        condition = part.conditions.to(model.device) if model.condition_size and part.conditions is not None else None
        samples = part.samples.to(model.device)
        if options.method == "posterior":
            mean, log_variance = posterior(model, samples, condition)
            codes.append(mean.float().cpu())
            deviations.append(log_variance.float().mul(0.5).exp().cpu())
        else:
            codes.append(model.encode(samples, condition).float().cpu())
    found = torch.cat(codes)
    if not torch.isfinite(found).all():
        raise TrainingError(f"codes of model={model.name} at iteration {model.iteration} are not finite numbers")
    return found, torch.cat(deviations) if deviations else None


def posterior(model: Any, samples: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
    """Mean and log variance of the codes of samples, [n, d] each: what the encoder makes where `encode` asks it."""
    made: list[Tensor] = []
    hook = model.autoencoder.encoder.register_forward_hook(lambda *given: made.append(given[2]))
    try:
        model.encode(samples, condition)
    finally:
        hook.remove()
    mean, log_variance = made[-1].chunk(2, dim=1)
    return mean, log_variance


def decoded(model: Any, codes: Tensor, conditions: Tensor | None, batch: int) -> Tensor:
    """float32 samples on the CPU, a batch at a time."""
    parts = []
    for some in torch.arange(len(codes)).split(batch):
        condition = None if conditions is None else conditions[some].to(model.device)
        parts.append(model.decode(codes[some].to(model.device), condition).float().cpu())
    return torch.cat(parts)


def write(run: Trained, originals: Rows, made: Offspring, options: AugmentOptions, folder: Path) -> None:
    """augmented.png, augmented.json and, last, augmented.npz, which loads with allow_pickle=False."""
    known = originals.conditions
    arrays: dict[str, Any] = {"samples": made.samples, "rows": made.rows, "codes": made.codes}
    if made.partners is not None:
        arrays["partners"] = made.partners
    if known is not None:
        arrays["conditions" if originals.labels is None else "labels"] = known[made.rows]
    picture = picture_of(originals, made, options.each, run.data.condition_names)
    if picture is not None:
        save_atomically(picture, folder / "augmented.png")
    described = json.dumps(_protocol(run, originals, options), indent=2)
    write_atomically(folder / "augmented.json", lambda file: file.write(described.encode()))
    contents: dict[str, Any] = {name: array.numpy() for name, array in arrays.items()}
    write_atomically(folder / "augmented.npz", lambda file: np.savez(file, **contents))


def picture_of(originals: Rows, made: Offspring, each: int, names: list[str]) -> Image.Image | None:
    """Originals, what the code keeps of them, and their offspring, a row each; of points all in the plane."""
    firsts = torch.arange(0, len(made.rows), each)
    if made.samples.ndim == 2 and made.samples.shape[1] == 2:
        real = originals.at(made.rows[firsts]).samples
        limits = plane_limits(torch.cat([real, made.samples]))
        title = f"{len(made.samples):,} points near {len(real):,} of the data"
        return plane(made.samples, real, limits=limits, title=title)
    if made.samples.ndim != 4:
        return None
    firsts = firsts[:SHOWN_ROWS]
    if len(firsts) > 1 and firsts[-1] + each > len(made.rows):
        firsts = firsts[:-1]  # the last original may have fewer
    shown = min(each, SHOWN_OFFSPRING, len(made.rows))
    parents = originals.at(made.rows[firsts]).samples
    rows = [
        torch.stack([parent, kept, *made.samples[first : first + shown]])
        for parent, kept, first in zip(parents, made.kept, firsts.tolist(), strict=False)
    ]
    labels = originals.labels
    captions = None if labels is None or not names else [names[int(labels[row])] for row in made.rows[firsts].tolist()]
    legend = ["Left to right: the original, what its code keeps of it, and new samples near it."]
    return image_grid(torch.cat(rows), shown + 2, row_captions=captions, legend=legend)


def _protocol(run: Trained, originals: Rows, options: AugmentOptions) -> dict[str, Any]:
    fingerprint = Fingerprint(len(originals))
    for part in originals.batches(options.batch):
        fingerprint.update(part.samples)
    return {
        "date": now(),
        **run.description(),
        "method": options.method,
        "spread": options.distance,
        "neighbours": options.neighbours if options.method.endswith("polate") else None,
        "seed": options.seed,
        "count": options.count,
        "each": options.each,
        "originals": {
            "split": options.split,
            "count": len(originals),
            "samples_sha256": fingerprint.hexdigest(),
        },
        "condition_names": run.data.condition_names,
    }


def _noise(codes: Tensor, count: int, generator: torch.Generator) -> Tensor:
    return torch.randn(count, codes.shape[1], generator=generator)


def _refuse_other_models(run: Trained, options: AugmentOptions) -> None:
    if not run.model.encodes:
        raise ConfigError(
            f"run={options.run}: model={run.name} has no encoder, so that there is nothing to start from; augmentation "
            "is for model=ae, denoising_ae, contractive_ae, sparse_ae, stacked_ae, deep_ae or vae"
        )
    if options.method == "posterior" and not getattr(run.model, "has_bound", False):
        raise ConfigError(
            f"method=posterior: model={run.name} has one code a sample and no distribution of codes; "
            "use method=noise, or a run of model=vae"
        )
