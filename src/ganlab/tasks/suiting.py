"""Which scores suit a model and its data, and which extractor; and what to say of one that does not."""

import hashlib
import inspect
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from ganlab.config.scores import AUTO, AUTO_MONITOR, EXTRACTORS, SCORES, Needs, UnknownScore, generic, generic_names
from ganlab.errors import ConfigError, GanlabError, reason_of
from ganlab.metrics.computing import LEAST
from ganlab.metrics.extractors.base import Extractor, as_extractor
from ganlab.metrics.extractors.isolation import built
from ganlab.models.base import GenerativeModel

FITTED = 5_000
"""Training samples up to which a kernel classifier is fitted within seconds, if they are small."""
FITTED_WORK = 6.5e9
"""The same for larger ones: values of a sample times the square of their count (measured: 7 s)."""
SMALLEST = 3
"""Pixels along a side from which on a structural similarity is defined."""
SEARCHED = 20_000
"""Training samples up to which all are looked through unasked."""
_SAID: dict[Needs, str] = {
    "features": "images",
    "classes": "images and an extractor that classifies them (metrics/extractor=digits or inception)",
    "training": "images and a finite training set",
    "images": "images",
    "samples": "samples",
    "points": "points",
    "modes": "a mixture of Gaussians (data=ring, grid) or data=stacked_digits",
    "mixture": "a mixture of Gaussians (data=ring, grid)",
    "labels": "a model of class labels and a small training set (5,000 of 16×16, 700 of 64×64 in colour)",
    "reconstruction": "a model that encodes and decodes (model=ae, vae, …)",
    "pixels": "images and a model that encodes and decodes (model=ae, vae, …)",
    "corruption": "images and a model that is trained on corrupted samples (model=denoising_ae)",
    "likelihood": "a model with an evidence lower bound (model=vae)",
    "classifier": "a model that classifies (model=semi_supervised_gan) and a test set of two classes or more",
}


def build_extractor(node: Mapping[str, Any], data: Any) -> Extractor | None:
    """The extractor of a checked configuration, or the one that suits the data; None for points."""
    if data.extractor is None:
        return None
    return make_extractor({"_target_": EXTRACTORS[data.extractor]} if node["_target_"] == AUTO else node)


def make_extractor(node: Mapping[str, Any]) -> Extractor:
    """The extractor of a checked node; raises `GanlabError` if it cannot be made: a file of weights is missing, say."""
    # In isolation: a user's network may draw its weights, from a fixed seed and not from the run's randomness.
    module = built(node, "metrics.extractor", _recursive_=False)
    extractor = as_extractor(module, node["_target_"].rpartition(".")[2])
    if node["_target_"] not in EXTRACTORS.values():
        # What it computes is not in its weights alone.
        extractor.configuration = {"arguments": dict(node), "source_sha256": source_hash(extractor)}
    return extractor


def source_hash(extractor: Extractor) -> str:
    """sha256 of the files in which the classes of a user's network are written, torch's and ganlab's left out."""
    files = set()
    for part in extractor.modules():
        if type(part).__module__.partition(".")[0] not in ("torch", "ganlab"):
            with suppress(TypeError, OSError):  # typed at a prompt: there is no file
                files.add(inspect.getfile(type(part)))
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda name: Path(name).name):
        digest.update(Path(file).read_bytes())
    return digest.hexdigest()


def probe(extractor: Extractor, sample_shape: Sequence[int]) -> None:
    """Raise `ConfigError` if the extractor makes nothing of two black images of that shape."""
    try:
        extracted = extractor(torch.zeros(2, *sample_shape, dtype=torch.uint8))
    except GanlabError:
        raise
    except Exception as error:
        shape = "×".join(map(str, sample_shape))
        raise ConfigError(
            f"metrics.extractor: {extractor.name} fails on images of {shape}: {reason_of(error)}"
        ) from None
    if not torch.isfinite(extracted.features).all():
        raise ConfigError(f"metrics.extractor: {extractor.name} makes features that are not finite numbers")


def choose_scores(
    asked: Any, model: GenerativeModel, data: Any, extractor: Extractor | None, samples: int
) -> list[str]:
    """The kinds of scores to compute, in the order of the catalogue or as asked; raises `ConfigError`.

    `samples`: how many there are of the smaller side of a comparison.
    """
    offered = _offered(model, data, extractor)
    if asked == AUTO:
        suiting = [kind for kind, score in SCORES.items() if score.needs in offered and _unasked(kind, data)]
        suiting = [kind for kind in suiting if kind != "ms_ssim" or min(data.sample_shape[1:]) >= SMALLEST]
        return [kind for kind in suiting if samples >= LEAST.get(kind, 2)]
    try:
        kinds = generic_names(asked, extractor.name if extractor else None)
    except UnknownScore as error:
        raise ConfigError(f"metrics.scores={error}") from None
    for kind in kinds:
        if SCORES[kind].needs not in offered:
            raise ConfigError(
                f"metrics.scores={kind}: it needs {_SAID[SCORES[kind].needs]}, and this is "
                f"model={model.name} on data={data.name}; leave it out"
            )
        if samples < LEAST.get(kind, 2):
            raise ConfigError(
                f"metrics.scores={kind}: it needs at least {LEAST.get(kind, 2)} samples of each side, and there are "
                f"{samples}; see metrics.count, metrics.reference and data.test_fraction, or leave it out"
            )
    return kinds


def choose_monitor(asked: str, kinds: list[str], generates: bool = True) -> str | None:
    """The kind that is watched; raises `ConfigError` for one that is not computed."""
    if asked == AUTO:
        likeliest = AUTO_MONITOR if generates else ("accuracy", "mse")
        return next((kind for kind in (*likeliest, *kinds) if kind in kinds), None)
    if generic(asked) not in kinds:
        raise ConfigError(
            f"metrics.monitor={asked}: it is not computed for this model and data; choose one of {', '.join(kinds)}"
        )
    return generic(asked)


def _offered(model: GenerativeModel, data: Any, extractor: Extractor | None) -> set[Needs]:
    finite = not data.train.infinite
    labelled = data.num_classes > 1 and model.condition_size == data.num_classes
    facts: dict[Needs, bool] = {
        "samples": True,
        "features": extractor is not None,
        "images": extractor is not None,
        "classes": extractor is not None and extractor.num_classes is not None,
        "training": extractor is not None and finite,
        "points": extractor is None,
        "mixture": model.generates and data.mixture is not None,
        "modes": model.generates and (data.mixture is not None or data.digit_channels),
        "labels": model.generates and labelled and finite and _fittable(data),
        "reconstruction": model.reconstructs,
        "pixels": model.reconstructs and extractor is not None,
        "corruption": getattr(model, "corrupts", False) and extractor is not None,
        "likelihood": getattr(model, "has_bound", False),
        "classifier": model.classifies and data.num_classes > 1 and not data.test.infinite and len(data.test) > 0,
    }
    if not (model.generates or model.reconstructs):
        return set()
    return {need for need, met in facts.items() if met}


def _fittable(data: Any) -> bool:
    """Whether a kernel classifier can be fitted to the training set, in time."""
    count = len(data.train)
    several = len(data.train.conditions.unique()) > 1
    return several and count <= FITTED and count**2 * math.prod(data.sample_shape) <= FITTED_WORK


def _unasked(kind: str, data: Any) -> bool:
    """Whether a score is worth its time, and means something, when nobody asked for it."""
    if kind == "auth_pct":
        return len(data.train) <= SEARCHED
    if SCORES[kind].needs == "classes":
        return data.extractor == "digits" and not data.digit_channels
    return True
