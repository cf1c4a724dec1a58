"""Completed images of a run: what is given, what each start is told, and the search (`ganlab.tasks.latent_search`)."""

from dataclasses import dataclass
from typing import Any, cast, get_args

import numpy as np
import torch
from torch import Tensor

from ganlab.config.nearest import nearest
from ganlab.data.decode import Fit, Preprocessing, decode_all
from ganlab.data.folder import image_files
from ganlab.data.holes import SHARES, HoleKind, hole, hole_in_file
from ganlab.data.image_source import to_unit_range
from ganlab.errors import CheckpointError, ConfigError, DataError, printable, typed
from ganlab.metrics.blending import pasted, poisson_blended
from ganlab.models.base import derived_seed
from ganlab.tasks import console
from ganlab.tasks.complete import CompleteOptions
from ganlab.tasks.completion_report import Completion, write_completion
from ganlab.tasks.devices import device_of
from ganlab.tasks.filling import Fills, Originals, fills_of
from ganlab.tasks.latent_search import Search, search, starts_of
from ganlab.tasks.rows import Rows, Split
from ganlab.tasks.sampling import condition_cycle, fresh_folder
from ganlab.tasks.trained import Saved, read_trained
from ganlab.typed_path import typed_path


@dataclass(frozen=True)
class Source:
    """A run as a completion needs it: `data` is None where its data set cannot be loaded, and `lacking` says why."""

    saved: Saved
    model: Any
    data: Any
    lacking: str

    @property
    def num_classes(self) -> int:
        return int(self.saved.settings["data"]["num_classes"])


def complete_run(options: CompleteOptions) -> None:
    """Complete images, write them, and say where they are and how wrong the hidden part is."""
    source = opened(options)
    originals = originals_of(source, options)
    hidden = hidden_of(options, len(originals.images), originals.images.shape[-1], _preprocessing(source).fit)
    conditions = start_conditions(source, originals, options)
    if source.lacking:
        console.say(f"left out, mean and nearest training image: {source.lacking}")
    fills = fills_of(source.data, originals, hidden)
    completion = completed(source, originals, hidden, conditions, fills, options)
    folder = fresh_folder(source.saved.folder / "completed")
    write_completion(source.saved, source.model, originals, completion, fills, options, folder)


def completed(
    source: Source,
    originals: Originals,
    hidden: Tensor,
    conditions: Tensor | None,
    fills: Fills,
    options: CompleteOptions,
) -> Completion:
    """The search and the blend; of the originals nothing but the visible part is used."""
    model = source.model
    given = torch.where(hidden, 0.0, originals.images)
    starts = starts_of(model, len(given), options.restarts, options.draws, options.seed)
    if model.encodes:
        starts[:, :, 0] = encoded(model, fills.mean, conditions, options.batch)
    settings = Search(**{name: getattr(options, name) for name in Search.__dataclass_fields__})
    found = search(model, given, hidden, starts, conditions, settings)
    blend = {"poisson": poisson_blended, "paste": pasted, "none": lambda made, *_: made}[options.blend]
    blended = blend(found.samples, given, hidden).clamp(-1, 1)
    return Completion(hidden, found, blended)


def encoded(model: Any, filled: Tensor, conditions: Tensor | None, batch: int) -> Tensor:
    """The codes of images with a filled hole, [n, latent_dim], on the CPU; told what the first starts are told."""
    codes = []
    for rows in torch.arange(len(filled)).split(batch):
        condition = None if conditions is None else conditions[rows, 0].to(model.device)
        codes.append(model.encode(filled[rows].to(model.device), condition).float().cpu())
    return torch.cat(codes)


def opened(options: CompleteOptions) -> Source:
    """The run's model and, if it can be had, its data; raises `GanlabError`."""
    saved = read_trained(options.run, options.checkpoint, trust=options.trust)
    model = saved.restored()
    if not model.generates:
        raise CheckpointError(
            f"run={options.run}: model={model.name} gives images back and draws none from a prior, in which latents "
            "could be searched; use a run of model=vae, or of a GAN"
        )
    if len(model.sample_shape) != 3:
        raise CheckpointError(f"run={options.run}: its samples are points, and there are holes in images alone")
    model.to(device_of(options.device)).eval().requires_grad_(False)
    try:
        return Source(saved, model, saved.load(options.root, options.device).data, "")
    except DataError as error:
        if options.images in get_args(Split) or options.root is not None:
            raise
        return Source(saved, model, None, str(error))


def originals_of(source: Source, options: CompleteOptions) -> Originals:
    """The images to complete, with what is known of each; raises `DataError`."""
    if options.images in get_args(Split):
        rows = Rows(source.data, cast(Split, options.images))
        kept = torch.arange(min(options.count, len(rows)))
        images, conditions, _ = rows.at(kept)
        names = [] if rows.labels is None else [source.data.condition_names[label] for label in rows.labels[kept]]
        return Originals(images, conditions, names, options.images, kept if options.images == "train" else None)
    path, where = typed_path(options.images, "images"), f"images={typed(options.images)}"
    alone, exists = path.is_file(), path.exists()
    names = [path.name] if alone else image_files(path)[: options.count] if exists else []
    folder = path.parent if alone else path
    if not names:
        state = "holds no images" if exists else "there is no such folder"
        raise DataError(f"{where}: {state}; give a folder with images, or test or train of the run's own data")
    decoded = list(decode_all([folder / name for name in names], _preprocessing(source)))
    for name, image in zip(names, decoded, strict=True):
        if isinstance(image, str):
            raise DataError(f"{where}: {printable(name)} cannot be read ({image}); take it away")
    return Originals(to_unit_range(torch.from_numpy(np.stack(decoded))), None, names, str(path), None)  # type: ignore[arg-type]


def hidden_of(options: CompleteOptions, count: int, size: int, fit: Fit) -> Tensor:
    """Hidden pixels, bool [count, 1, size, size], a picture of them fitted as images are; raises `GanlabError`."""
    if options.mask in get_args(HoleKind):
        kind = cast(HoleKind, options.mask)
        generator = torch.Generator().manual_seed(derived_seed("holes", options.seed))
        return hole(kind, count, size, SHARES[kind] if options.share is None else options.share, generator)
    path = typed_path(options.mask, "mask")
    if not path.is_file():
        kinds = get_args(HoleKind)
        raise ConfigError(
            f"mask={typed(options.mask)}: there is no such picture{nearest(options.mask, kinds)}; there are: "
            f"{', '.join(kinds)}, or a picture that is white where images are hidden"
        )
    if options.share is not None:
        raise ConfigError(f"share={options.share:g}: a picture says itself what is hidden; leave share out")
    return hole_in_file(path, count, size, fit)


def start_conditions(source: Source, originals: Originals, options: CompleteOptions) -> Tensor | None:
    """What each start is told, [n, restarts] classes or [n, restarts, k] attributes; None for unconditional models.

    Raises `ConfigError` for a condition that cannot be.
    """
    count, size, wanted = len(originals.images), source.model.condition_size, options.condition
    if not size or wanted not in (None, "any"):
        cycle = condition_cycle(source.model, cast(Any, wanted), source.num_classes)
        own = None if cycle is None else cycle[torch.arange(count) % len(cycle)]
    else:
        own = originals.conditions if wanted is None else None
    if own is not None or not size:
        return None if own is None else torch.stack([own] * options.restarts, dim=1)
    if not source.num_classes:
        raise ConfigError(f"condition: these images come without attributes; give a vector of {size} numbers")
    if options.restarts < size:
        raise ConfigError(
            f"restarts={options.restarts}: the starts are to take {size} classes in turn; set restarts={size} or more, "
            "or give a condition"
        )
    return (torch.arange(options.restarts) % size).expand(count, -1)


def _preprocessing(source: Source) -> Preprocessing:
    """As the run's own images were made, if they came from files."""
    channels, size, _ = source.model.sample_shape
    given = {key: source.saved.settings["data"].get(key) for key in ("fit", "background", "resampling")}
    return Preprocessing(channels, size, **{key: value for key, value in given.items() if value is not None})
