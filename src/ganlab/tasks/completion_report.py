"""What is told and written of completed images: errors beside those of simpler fillings, pictures, arrays, protocol."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from torch import Tensor

from ganlab import __version__
from ganlab.errors import OutputError
from ganlab.files import write_atomically
from ganlab.metrics.fills import decibels, hidden_errors
from ganlab.pictures import image_grid, save_atomically, to_pil
from ganlab.tasks import console
from ganlab.tasks.complete import CompleteOptions
from ganlab.tasks.evaluation_records import now
from ganlab.tasks.filling import MEAN, NEAREST, VISIBLE, Fills, Originals
from ganlab.tasks.latent_search import Found
from ganlab.tasks.rows import Fingerprint
from ganlab.tasks.trained import Saved

SHOWN = 12
"""Images in the picture."""
COMPLETED, GENERATED = "completed", "as generated"
HEADINGS = {MEAN: "mean", VISIBLE: "mean", NEAREST: "nearest", GENERATED: "generated", COMPLETED: "completed"}
"""Of the picture's columns."""


@dataclass(frozen=True)
class Completion:
    """`hidden` bool [n, 1, height, width], what was found for the visible part, and `images` [n, …] completed by it."""

    hidden: Tensor
    found: Found
    images: Tensor

    @property
    def share(self) -> float:
        """Of the pixels that are hidden, over all images."""
        return float(self.hidden.double().mean())


def write_completion(
    saved: Saved,
    model: Any,
    originals: Originals,
    completion: Completion,
    fills: Fills,
    options: CompleteOptions,
    folder: Path,
) -> None:
    """completed.png, images/, completed.npz and, last, completion.json; then the table and the folder on the screen."""
    candidates = {COMPLETED: completion.images}
    if options.blend != "none":
        candidates[GENERATED] = completion.found.samples
    errors = errors_of(candidates | fills.images, originals.images, completion.hidden)
    save_atomically(picture_of(originals, completion, fills, errors), folder / "completed.png")
    _write_images(completion.images, folder / "images")
    arrays = _arrays(originals, completion, fills)
    write_atomically(folder / "completed.npz", lambda file: np.savez(file, **arrays))
    described = _protocol(saved, model, originals, completion, fills, options) | {"errors": errors}
    write_atomically(folder / "completion.json", lambda file: file.write(json.dumps(described, indent=2).encode()))
    console.say(table_of(_title(described), errors))
    console.say(f"{len(originals.images):,} images: {console.relative(folder)}")


def errors_of(filled: Mapping[str, Tensor], originals: Tensor, hidden: Tensor) -> dict[str, dict[str, Any]]:
    """Of each filling the errors on the hidden part, and how they stand to the first filling's.

    `mse` of values in [0, 1] and `psnr` in decibels have mean, sd over images (None for one image) and the values.
    `excess`: mean and standard error of a filling's mse less the first one's; `worse`: the share of images in which it
    is the larger one.
    """
    told: dict[str, dict[str, Any]] = {}
    first: Tensor | None = None
    for name, images in filled.items():
        errors = hidden_errors(images, originals, hidden)
        told[name] = {"mse": _summary(errors), "psnr": _summary(decibels(errors))}
        if first is None:
            first = errors
            continue
        excess = _summary(errors - first)
        sd = excess["sd"]
        standard_error = None if sd is None else sd / len(errors) ** 0.5
        told[name]["excess"] = {"mean": excess["mean"], "standard_error": standard_error}
        told[name]["worse"] = float((errors > first).double().mean())
    return told


def _summary(values: Tensor) -> dict[str, Any]:
    sd = float(values.std()) if len(values) > 1 else None
    return {"mean": float(values.mean()), "sd": sd, "values": values.tolist()}


def table_of(title: str, errors: Mapping[str, Mapping[str, Any]]) -> str:
    """The table as text, a row a filling; below it what the numbers are."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("hidden part", no_wrap=True)
    for heading in ("squared error", "PSNR, dB", "worse in"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, told in errors.items():
        worse = f"{told['worse']:.0%}" if "worse" in told else ""
        table.add_row(name, _spread(told["mse"], 4), _spread(told["psnr"], 1), worse)
    # Wide enough for the table as it is: a pipe or a narrow window must not cut numbers.
    output = Console(file=StringIO(), width=160, force_terminal=False, legacy_windows=False)
    output.print(table)
    lines = [line.rstrip() for line in output.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    note = "mean ± standard deviation over images, of values from 0 to 1; worse: in how many images than completed"
    return "\n".join([title, *lines, note])


def _spread(told: Mapping[str, Any], places: int) -> str:
    mean = f"{told['mean']:.{places}f}"
    return mean if told["sd"] is None else f"{mean} ± {told['sd']:.{places}f}"


def picture_of(
    originals: Originals, completion: Completion, fills: Fills, errors: Mapping[str, Mapping[str, Any]]
) -> Image.Image:
    """Before and after, an image a row (12 at most), and below it the errors on the hidden part of all images."""
    simple = [name for name in (MEAN if MEAN in fills.images else VISIBLE, NEAREST) if name in fills.images]
    columns = {"original": originals.images, "hole": torch.where(completion.hidden, 0.0, originals.images)}
    columns |= {HEADINGS[name]: fills.images[name] for name in simple}
    columns |= {HEADINGS[GENERATED]: completion.found.samples, HEADINGS[COMPLETED]: completion.images}
    rows = torch.stack([images[:SHOWN] for images in columns.values()], dim=1)
    told = ", ".join(f"{name} {errors[name]['mse']['mean']:.4f}" for name in (COMPLETED, *reversed(simple)))
    legend = [f"Squared error on the hidden part, mean of {len(originals.images):,} images: {told}."]
    captions = [*originals.names[:SHOWN]] or None
    return image_grid(rows.flatten(0, 1), len(columns), list(columns), row_captions=captions, legend=legend)


def _write_images(images: Tensor, folder: Path) -> None:
    """000000.png, 000001.png, …"""
    try:
        folder.mkdir()
        for number, image in enumerate(images):
            to_pil(image).save(folder / f"{number:06d}.png", format="PNG")
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror or error})") from error


def _arrays(originals: Originals, completion: Completion, fills: Fills) -> dict[str, Any]:
    """What completed.npz holds; it loads with allow_pickle=False."""
    found = completion.found
    arrays = {
        "originals": originals.images,
        "hidden": completion.hidden,
        "completed": completion.images,
        "generated": found.samples,
        "latents": found.latents,
        "losses": found.losses,
        "mean_filled": fills.mean,
    }
    if NEAREST in fills.images:
        arrays["nearest_filled"] = fills.images[NEAREST]
    if found.conditions is not None:
        arrays["conditions"] = found.conditions
    return {name: array.numpy() for name, array in arrays.items()}


def _protocol(
    saved: Saved, model: Any, originals: Originals, completion: Completion, fills: Fills, options: CompleteOptions
) -> dict[str, Any]:
    fingerprint = Fingerprint(len(originals.images))
    fingerprint.update(originals.images)
    told = "nothing" if not model.condition_size else "each image's own" if options.condition is None else None
    if told == "each image's own" and originals.conditions is None:
        told = "any"
    return {
        "date": now(),
        "run": str(saved.folder),
        "checkpoint": saved.file.name,
        "iteration": model.iteration,
        "model": str(saved.settings["model"]["name"]),
        "data": str(saved.settings["data"]["name"]),
        "weights": model.weights_sampled,
        "images": {"from": originals.where, "count": len(originals.images), "samples_sha256": fingerprint.hexdigest()},
        "names": originals.names,
        "mask": options.mask,
        "share_hidden": completion.share,
        "condition": told or options.condition,
        "search": options.search() | ({} if model.judges else {"prior_weight": None}),
        "start_at_code": bool(model.encodes),
        "blend": options.blend,
        "training_images": fills.training,
        "version": __version__,
    }


def _title(described: Mapping[str, Any]) -> str:
    images = described["images"]
    where = f"{images['count']:,} images of {images['from']}"
    mask = f"mask={described['mask']}, {described['share_hidden']:.0%} hidden"
    return f"{described['data']} · {described['model']} · {where} · {mask}"
