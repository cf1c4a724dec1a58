"""The scores that can be asked for: what each needs, which way is better, and how it is called.

Without torch: a misspelt name is told before anything is loaded.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from ganlab.config.nearest import nearest

Needs = Literal[
    "features",
    "classes",
    "training",
    "images",
    "samples",
    "points",
    "modes",
    "mixture",
    "labels",
    "classifier",
    "reconstruction",
    "pixels",
    "corruption",
    "likelihood",
]


class ScoreKind(NamedTuple):
    """`needs` says what data and extractor must offer; `of_reference`: depends on the reference samples chosen."""

    title: str
    needs: Needs
    better: Literal["lower", "higher"]
    of_reference: bool = True


SCORES: dict[str, ScoreKind] = {
    "fd": ScoreKind("Fréchet distance of features", "features", "lower"),
    "kd": ScoreKind("kernel distance (MMD²) of features", "features", "lower"),
    "precision": ScoreKind("generated samples within the real manifold", "features", "higher"),
    "recall": ScoreKind("real samples within the generated manifold", "features", "higher"),
    "density": ScoreKind("real neighbourhoods around a generated sample", "features", "higher"),
    "coverage": ScoreKind("real neighbourhoods with a generated sample", "features", "higher"),
    "auth_pct": ScoreKind("authentic samples, % (0: all are copies)", "training", "higher", False),
    "one_nn": ScoreKind("1-NN test (below ½: copies)", "samples", "lower"),
    "classifier_score": ScoreKind("clear and varied classes", "classes", "higher", False),
    "class_kl": ScoreKind("class histogram's KL from the real one, nats", "classes", "lower"),
    "ms_ssim": ScoreKind("likeness of pairs; below real: varied", "images", "lower", False),
    "w1": ScoreKind("exact Wasserstein-1 distance", "points", "lower"),
    "w2": ScoreKind("exact Wasserstein-2 distance", "points", "lower"),
    "modes": ScoreKind("modes with a sample", "modes", "higher", False),
    "modes_strict": ScoreKind("with a fifth of their fair share", "mixture", "higher", False),
    "high_quality": ScoreKind("share within 3 sd of a mode", "mixture", "higher", False),
    "mode_kl": ScoreKind("modes' histogram: KL from uniform, nats", "modes", "lower", False),
    "label_agreement": ScoreKind("read by a classifier as asked", "labels", "higher", False),
    "accuracy": ScoreKind("test accuracy of the model's own classifier", "classifier", "higher", False),
    "mse": ScoreKind("test squared error a value (pixels: 0 to 1)", "reconstruction", "lower", False),
    "psnr": ScoreKind("the same in decibels", "pixels", "higher", False),
    "restored_psnr": ScoreKind("decibels, from corrupted test samples", "corruption", "higher", False),
    "elbo": ScoreKind("evidence lower bound, nats a test sample", "likelihood", "higher", False),
    "elbo_reconstruction": ScoreKind("its reconstruction term, nats", "likelihood", "higher", False),
    "elbo_kl": ScoreKind("its KL from the prior, nats", "likelihood", "lower", False),
    "iw_bound": ScoreKind("importance-weighted bound, nats", "likelihood", "higher", False),
    "bits_per_dim": ScoreKind("the same bound in bits a value", "likelihood", "lower", False),
    "active_units": ScoreKind("latents that vary with the sample", "likelihood", "higher", False),
}
EXAMINED: tuple[Needs, ...] = ("reconstruction", "pixels", "corruption", "likelihood")
"""Scores that are what the model itself says of test samples."""
AUTO = "auto"
"""The extractor that suits the data; all scores that suit the model and the data."""
INCEPTION = "inception"
EXTRACTORS = {
    "digits": "ganlab.metrics.extractors.digits.Digits",
    "random_conv": "ganlab.metrics.extractors.random_conv.RandomConv",
    INCEPTION: "ganlab.metrics.extractors.inception.Inception",
}
"""Those that are chosen by a word; any other by its dotted name."""
BY_INCEPTION = {"fd": "fid", "kd": "kid", "classifier_score": "inception_score"}
"""Names that belong to one network alone: with any other, the score carries that extractor's name."""
AUTO_MONITOR = ("fd", "w1")
"""What `monitor: auto` means: the first of these that is computed; of what does not generate, `accuracy` or `mse`."""


class UnknownScore(ValueError):
    """A name that is no score, or not one of the extractor's; the message says which are near."""


def tag_name(kind: str, extractor: str | None) -> str:
    """How a score is called in results: fd is fid by Inception, else fd_<extractor>."""
    if kind not in BY_INCEPTION or extractor is None:
        return kind
    return BY_INCEPTION[kind] if extractor == INCEPTION else f"{kind}_{extractor}"


def kind_of(tag: str) -> ScoreKind:
    """The kind of a score by the name that it has in results."""
    return SCORES[generic(tag)]


def generic(name: str) -> str:
    """fid, fd_digits and fd are all fd; raises `UnknownScore`."""
    name = name.removeprefix("metric/")
    for kind, by_inception in BY_INCEPTION.items():
        if name == by_inception or (name.startswith(f"{kind}_") and name != f"{kind}_"):
            return kind
    if name not in SCORES:
        raise UnknownScore(name)
    return name


def extractor_of(name: str) -> str | None:
    """The shipped extractor that a score's name belongs to, if it is one's: inception for fid, digits for fd_digits."""
    name = name.removeprefix("metric/")
    for kind, by_inception in BY_INCEPTION.items():
        if name == by_inception:
            return INCEPTION
        if name.startswith(f"{kind}_") and name.removeprefix(f"{kind}_") in EXTRACTORS:
            return name.removeprefix(f"{kind}_")
    return None


def generic_names(names: Iterable[str], extractor: str | None) -> list[str]:
    """The kinds that are meant, each once; raises `UnknownScore` for fid without Inception and the like."""
    kinds = []
    for name in names:
        kind = generic(name)
        given = name.removeprefix("metric/")
        if given != kind and given != tag_name(kind, extractor):
            wanted = INCEPTION if given == BY_INCEPTION[kind] else given.removeprefix(f"{kind}_")
            here = f"it is {extractor}" if extractor else "the data decides"
            raise UnknownScore(
                f"{name}: that is {kind} by the extractor {wanted}, and here {here}; "
                f"choose metrics/extractor={wanted}, or ask for {kind}"
            )
        if kind not in kinds:
            kinds.append(kind)
    return kinds


def known_names() -> list[str]:
    """All names that a user may type."""
    return sorted({*SCORES, *BY_INCEPTION.values()})


def extractor_name(node: Mapping[str, Any]) -> str | None:
    """The name of a configured extractor; None if the data decides."""
    target = str(node.get("_target_", AUTO))
    if target == AUTO:
        return None
    if node.get("name"):
        return str(node["name"])
    # As the shipped ones are called: DigitsClassifier is in digits.py, RandomConv in random_conv.py.
    module, _, name = target.rpartition(".")
    return module.rpartition(".")[2] if module.startswith("ganlab.metrics.extractors.") else re.sub(r"\W", "_", name)


def problems_of_scores(metrics: Mapping[str, Any]) -> list[str]:
    """What is wrong with `metrics.scores` and `metrics.monitor`, a line each."""
    scores, monitor = metrics.get("scores"), metrics.get("monitor")
    asked = [name for name in scores if isinstance(name, str)] if isinstance(scores, list) else []
    named = [("metrics.scores", name) for name in asked]
    if isinstance(monitor, str) and monitor != AUTO:
        named.append(("metrics.monitor", monitor))
    told = [_problem_of(key, name, metrics.get("extractor")) for key, name in named]
    problems = [line for line in told if line is not None]
    chosen = isinstance(scores, list) and len(named) > len(asked)
    if chosen and not problems and generic(str(monitor)) not in map(generic, asked):
        problems.append(f"metrics.monitor={monitor}: it is not among metrics.scores; add it there")
    return problems


def _problem_of(key: str, name: str, node: Any) -> str | None:
    try:
        kind = generic(name)
    except UnknownScore:
        return f"{key}={name}: there is no such score{nearest(name, known_names())}"
    extractor = extractor_name(node if isinstance(node, Mapping) else {})
    if extractor is None and name != BY_INCEPTION.get(kind):
        return None
    try:
        generic_names([name], extractor)
    except UnknownScore as error:
        return f"{key}={error}"
    return None
