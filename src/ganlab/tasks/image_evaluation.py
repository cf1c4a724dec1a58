"""Scores of one folder of images against another: any generator's, whoever wrote it."""

from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from ganlab import __version__
from ganlab.config.scores import SCORES, UnknownScore, generic_names, tag_name
from ganlab.data.plain_images import PlainImages, list_images
from ganlab.errors import ConfigError, DataError, OutputError
from ganlab.metrics.computing import LEAST, Scene, compute_scores
from ganlab.metrics.extractors.base import Extractor
from ganlab.metrics.observation import observe
from ganlab.metrics.references import Reference, fingerprint_of, reference_of
from ganlab.tasks import console
from ganlab.tasks.devices import device_of
from ganlab.tasks.evaluate import EvaluateOptions
from ganlab.tasks.evaluation import cache_dir
from ganlab.tasks.evaluation_records import add_evaluation, now, read_results
from ganlab.tasks.sampling import fresh_folder
from ganlab.tasks.score_table import Column, extractor_note, score_table
from ganlab.tasks.suiting import make_extractor, probe
from ganlab.typed_path import typed_path

DEFAULT_EXTRACTOR = {"_target_": "ganlab.metrics.extractors.random_conv.RandomConv"}
RESULTS = "results.json"
OF_FOLDERS = ("features", "samples", "images", "training")
"""What folders of images offer; classes too, if the extractor knows some."""


def evaluate_images(options: EvaluateOptions) -> None:
    """Score `images` against `reference`, print the table and write results.json."""
    assert options.images is not None and options.reference is not None
    extractor = make_extractor(options.extractor_node() or DEFAULT_EXTRACTOR)
    kinds = _kinds(options, extractor)
    same_size = options.size is None
    generated = list_images(typed_path(options.images, "images"), "images", same_size=same_size)
    real = list_images(typed_path(options.reference, "reference"), "reference", same_size=same_size)
    _refuse_different(generated, real, same_size)
    if options.on_corrupt == "refuse":
        _report_unreadable(generated, real, refuse=True)
    channels: Literal[1, 3] = 3 if max(generated.shape[0], real.shape[0]) == 3 else 1
    device = device_of(options.device)
    samples = _read(generated, "images", channels, options, options.count)
    real_samples = _read(real, "reference", channels, options, options.reference_count)
    _report_unreadable(generated, real, refuse=options.on_corrupt == "refuse")
    probe(extractor, list(samples.shape[1:]))
    out = _out(options)
    reference = reference_of(
        real_samples,
        None,
        extractor,
        split="folder",
        cache_dir=Path(cache_dir()),
        batch_size=options.batch,
        device=device,
    )
    kinds = _of_enough(kinds, min(len(samples), len(real_samples)), asked=options.scores != "auto")
    scene = Scene(observe(samples, None, extractor, options.batch, device), reference, training=reference)
    protocol = _protocol(options, extractor, reference, samples, generated)
    scores = {
        f"metric/{tag_name(kind, extractor.name)}": score.told(kind, None, protocol)
        for kind, score in compute_scores(kinds, scene).items()
    }
    _say(options, scores, protocol)
    console.say(f"written: {console.relative(add_evaluation(out / RESULTS, {'date': now(), 'scores': scores}))}")


def _kinds(options: EvaluateOptions, extractor: Extractor) -> list[str]:
    offered = {*OF_FOLDERS, *(["classes"] if extractor.num_classes else [])}
    if options.scores == "auto":
        inception = extractor.name == "inception"
        unasked = set() if inception else {"classes"}
        return [kind for kind, score in SCORES.items() if score.needs in offered - unasked and kind != "class_kl"]
    try:
        kinds = generic_names(options.scores, extractor.name)
    except UnknownScore as error:
        raise ConfigError(f"metrics={error}") from None
    for kind in kinds:
        if SCORES[kind].needs not in offered:
            raise ConfigError(f"metrics={kind}: it cannot be computed of two folders of images; leave it out")
    return kinds


def _of_enough(kinds: list[str], count: int, *, asked: bool) -> list[str]:
    """The scores for which there are samples enough; raises `DataError` if one that was asked for is not among them."""
    lacking = [kind for kind in kinds if count < LEAST.get(kind, 2)]
    if lacking and (asked or len(lacking) == len(kinds)):
        least = max(LEAST.get(kind, 2) for kind in lacking)
        raise DataError(
            f"{', '.join(lacking)}: at least {least} images are needed in each folder, and there are {count}"
        )
    if lacking:
        console.say(f"left out: {', '.join(lacking)}: {count} images are too few")
    return [kind for kind in kinds if kind not in lacking]


def _refuse_different(generated: PlainImages, real: PlainImages, same_size: bool) -> None:
    """Raise `DataError` if the images of the two folders are not of one size and one number of channels."""
    (channels, *size), (real_channels, *real_size) = generated.shape, real.shape
    if same_size and size != real_size:
        raise DataError(
            f"images={generated.folder} are {size[0]}×{size[1]} and reference={real.folder} "
            f"{real_size[0]}×{real_size[1]}: scores would compare the sizes; "
            f"set size={min(real_size)} to scale both alike"
        )
    if channels != real_channels:
        kinds = {1: "gray", 3: "in colour"}
        raise DataError(
            f"images={generated.folder} are {kinds[channels]} and reference={real.folder} {kinds[real_channels]}: "
            "convert one of them, so that both have the same channels"
        )


def _report_unreadable(*folders: PlainImages, refuse: bool) -> None:
    for images in folders:
        if images.skipped and refuse:
            raise DataError(f"{images.skipped_line()}; remove them, or set on_corrupt=skip to leave them out")
        if images.skipped:
            console.warn(f"{images.skipped_line()}; left out")


def _out(options: EvaluateOptions) -> Path:
    """Where the scores will go, made before the work; raises `OutputError`."""
    if not options.out:
        return _fresh()
    folder = typed_path(options.out, "out", OutputError)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"out={folder}: cannot be made ({error.strerror or error}); choose another folder") from None
    read_results(folder / RESULTS)
    return folder


def _read(images: PlainImages, key: str, channels: Literal[1, 3], options: EvaluateOptions, most: int | None) -> Tensor:
    images.names = images.names[:most]
    samples = images.read(channels, options.size)
    if len(samples) < 2:
        raise DataError(f"{key}={images.folder}: {len(samples)} readable images; scores need at least 2")
    return samples


def _protocol(
    options: EvaluateOptions, extractor: Extractor, reference: Reference, samples: Tensor, generated: PlainImages
) -> dict[str, Any]:
    return {
        "extractor": extractor.description(),
        "images": str(options.images),
        "images_sha256": fingerprint_of(samples),
        "count": len(samples),
        "reference": str(options.reference),
        "reference_sha256": reference.fingerprint,
        "reference_count": len(reference),
        "sample_shape": list(samples.shape[1:]),
        "left_out": len(generated.skipped),
        "scaled": f"centred square, Pillow bicubic to {options.size}" if options.size else "as they are",
        "training": "the reference folder is taken for the training set",
        "version": __version__,
    }


def _say(options: EvaluateOptions, scores: dict[str, dict[str, Any]], protocol: dict[str, Any]) -> None:
    shape = "×".join(str(length) for length in protocol["sample_shape"])
    generated, real = (f"{protocol[key]:,}" for key in ("count", "reference_count"))
    title = f"{options.images} ({generated} images) against {options.reference} ({real}) · {shape}"
    notes = [extractor_note(protocol["extractor"])]
    if protocol["extractor"]["extractor"] == "random_conv":
        notes.append("for FID and KID by Inception: metrics=[fid,kid] (its weights in a file are needed)")
    console.say(score_table(title, [Column("value", scores)], notes))


def _fresh() -> Path:
    return fresh_folder(Path("outputs") / "evaluations", datetime.now().strftime("%Y-%m-%d_%H-%M-%S"))
