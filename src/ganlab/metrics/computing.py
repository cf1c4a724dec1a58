"""From what was observed to scores: the one place that says which metric sees what."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from ganlab.config.scores import SCORES
from ganlab.metrics.class_scores import ClassHistogram, ClassifierScore
from ganlab.metrics.frechet import FrechetDistance
from ganlab.metrics.kernel import KernelDistance
from ganlab.metrics.label_agreement import LabelAgreement
from ganlab.metrics.mixture import MixtureModes, StackedModes
from ganlab.metrics.neighbours import Authenticity, ManifoldMetrics, NearestNeighbourTest
from ganlab.metrics.observation import Observation
from ganlab.metrics.references import Reference
from ganlab.metrics.similarity import PairSimilarity
from ganlab.metrics.transport import Wasserstein

MOST_POINTS = 1_000
"""Points of each set between which an exact transport is found: its cost grows with their cube."""


LEAST = {"precision": 6, "recall": 6, "density": 6, "coverage": 6}
"""Samples of each set that a score needs, where it is more than 2: a fifth neighbour must be there."""


@dataclass
class Score:
    """A value, what is told beside it (an interval, parts), and the metric's own part of the protocol."""

    value: float
    beside: dict[str, Any] = field(default_factory=dict)
    protocol: dict[str, Any] = field(default_factory=dict)

    def told(self, kind: str, real: float | None, protocol: Mapping[str, Any]) -> dict[str, Any]:
        """As results.json has it: never without what real samples score, and the whole protocol."""
        return {
            "value": self.value,
            "real": real,
            "better": SCORES[kind].better,
            **self.beside,
            "protocol": {"metric": kind, **protocol, **self.protocol},
        }


ACTIVE = 0.01
"""Variance over the data from which on a latent's posterior mean counts as active (Burda et al. 2015, section 5.3)."""


@dataclass
class Scene:
    """All that a score may look at. What a data set does not offer is None; the caller asks for no score of it."""

    generated: Observation
    reference: Reference
    training: Reference | None = None
    mixture: tuple[Tensor, float] | None = None
    channel_logits: Tensor | None = None
    agreement: LabelAgreement | None = None
    classified: tuple[Tensor, Tensor] | None = None
    """Real samples' classes, int64 [n] each: by the model's own classifier, and in truth."""
    examined: Mapping[str, Tensor] | None = None
    """What the model says of each test sample, by tag: [n], and of codes [n, latent_dim]."""
    principal: tuple[int, float] | None = None
    """How many principal components there are, and the mean squared error a value that they leave of test samples."""


def compute_scores(kinds: Iterable[str], scene: Scene) -> dict[str, Score]:
    """Scores by kind (see `ganlab.config.scores`), in the order asked for. Nothing global is random or changed."""
    wanted = list(kinds)
    found: dict[str, Score] = {}
    for kind in wanted:
        if kind not in found:
            found |= _COMPUTERS[kind](scene)
    return {kind: found[kind] for kind in wanted}


ALONE: dict[str, Any] = {"sync_on_compute": False, "distributed_available_fn": lambda: False}
"""For a metric of this process alone: what other ranks saw has been gathered before, and they do not compute."""


def _computed(metric: Metric, *seen: Any) -> Any:
    metric.update(*seen)
    return metric.compute()


def _frechet(scene: Scene) -> dict[str, Score]:
    assert scene.reference.statistics is not None
    distance = _computed(FrechetDistance(scene.reference.statistics, **ALONE), scene.generated.features)
    return {"fd": Score(float(distance))}


def _kernel(scene: Scene) -> dict[str, Score]:
    metric = KernelDistance(scene.reference.observation.features, **ALONE)
    told = _numbers(_computed(metric, scene.generated.features))
    protocol = {"kernel": "(x·y/d + 1)³", "estimator": "unbiased, all samples", "interval": "95 % bootstrap"}
    return {"kd": Score(told["distance"], {"interval": [told["low"], told["high"]]}, protocol)}


def _manifold(scene: Scene) -> dict[str, Score]:
    metric = ManifoldMetrics(scene.reference.observation.features, **ALONE)
    values = _numbers(_computed(metric, scene.generated.features))
    neighbours = {
        "precision": metric.precision_neighbours,
        "recall": metric.precision_neighbours,
        "density": metric.density_neighbours,
        "coverage": metric.density_neighbours,
    }
    return {kind: Score(values[kind], {}, {"neighbours": count}) for kind, count in neighbours.items()}


def _authenticity(scene: Scene) -> dict[str, Score]:
    assert scene.training is not None
    share = _computed(Authenticity(scene.training.observation.features, **ALONE), scene.generated.features)
    return {"auth_pct": Score(float(share), {}, {"training_count": len(scene.training)})}


def _nearest(scene: Scene) -> dict[str, Score]:
    real, generated = scene.reference.observation.features, scene.generated.features
    count = min(len(real), len(generated))
    told = _numbers(_computed(NearestNeighbourTest(real[:count], **ALONE), generated[:count]))
    return {"one_nn": Score(told.pop("accuracy"), told, {"count_each": count})}


def _classifier_score(scene: Scene) -> dict[str, Score]:
    splits = 10 if len(scene.generated) >= 5_000 else 1
    told = _numbers(_computed(ClassifierScore(splits=splits, **ALONE), scene.generated.logits))
    return {"classifier_score": Score(told["score"], {"sd": told["sd"]} if splits > 1 else {}, {"splits": splits})}


def _class_kl(scene: Scene) -> dict[str, Score]:
    logits = scene.reference.observation.logits
    assert logits is not None
    counts = torch.bincount(logits.argmax(1), minlength=logits.shape[1])
    metric = ClassHistogram(counts, **ALONE)
    told = _numbers(_computed(metric, scene.generated.logits))
    beside = {"histogram": [int(count) for count in metric.histogram()], "reference_histogram": counts.tolist()}
    return {"class_kl": Score(told["kl"], beside)}


def _similarity(scene: Scene) -> dict[str, Score]:
    metric = PairSimilarity(**ALONE)
    labels = _of_samples(scene.generated)
    if labels is not None and labels.bincount().max() < 2:
        labels = None  # no two of one class: pairs are of any
    value = _computed(metric, scene.generated.samples, labels)
    protocol = {key: getattr(metric, key) for key in ("pairs", "scales", "kernel_size")}
    protocol |= {"within_class": labels is not None, "images": len(scene.generated.samples)}
    return {"ms_ssim": Score(float(value), {}, protocol)}


def _transport(order: int) -> Callable[[Scene], dict[str, Score]]:
    def compute(scene: Scene) -> dict[str, Score]:
        real, generated = scene.reference.observation.features, scene.generated.features
        count = min(len(real), len(generated), MOST_POINTS)
        distance = _computed(Wasserstein(_spread(real, count, scene.mixture), order, **ALONE), generated[:count])
        return {f"w{order}": Score(float(distance), {}, {"count_each": count})}

    return compute


def _modes(scene: Scene) -> dict[str, Score]:
    if scene.channel_logits is not None:
        values = _numbers(_computed(StackedModes(**ALONE), scene.channel_logits))
        return {kind: Score(value, {}, {"of": 1000}) for kind, value in values.items()}
    assert scene.mixture is not None
    modes, std = scene.mixture
    values = _numbers(_computed(MixtureModes(modes, std, **ALONE), scene.generated.features))
    return {kind: Score(value, {}, {"of": len(modes), "std": std}) for kind, value in values.items()}


def _label_agreement(scene: Scene) -> dict[str, Score]:
    assert scene.agreement is not None
    scene.agreement.reset()
    value = _computed(scene.agreement, quantised_as_float(scene.generated.samples), _of_samples(scene.generated))
    classifier = "sklearn.svm.SVC on pixels, fitted on the training part"
    return {"label_agreement": Score(float(value), {}, {"classifier": classifier})}


def _accuracy(scene: Scene) -> dict[str, Score]:
    assert scene.classified is not None
    found, true = scene.classified
    commonest = float(true.bincount().max()) / len(true)
    return {"accuracy": Score(float((found == true).double().mean()), {"commonest_class": commonest})}


def _mean_of(kind: str, tag: str, sign: float = 1.0) -> Callable[[Scene], dict[str, Score]]:
    def compute(scene: Scene) -> dict[str, Score]:
        assert scene.examined is not None
        return {kind: Score(sign * float(scene.examined[tag].double().mean()))}

    return compute


def _squared_error(scene: Scene) -> dict[str, Score]:
    assert scene.examined is not None
    beside = {}
    if scene.principal is not None:
        components, error = scene.principal
        beside = {"pca": error, "pca_components": components}
    return {"mse": Score(float(scene.examined["reconstruction/mse"].double().mean()), beside)}


def _decibels(scene: Scene) -> dict[str, Score]:
    assert scene.examined is not None
    return {"psnr": Score(_psnr(scene.examined["reconstruction/mse"]))}


def _restored(scene: Scene) -> dict[str, Score]:
    assert scene.examined is not None
    spoilt = _psnr(scene.examined["reconstruction/corrupted_mse"])
    return {"restored_psnr": Score(_psnr(scene.examined["reconstruction/restored_mse"]), {"corrupted_psnr": spoilt})}


def _psnr(squared_errors: Tensor) -> float:
    """10 log₁₀ of 1 over the mean squared error of values in [0, 1]."""
    return float(-10 * torch.log10(squared_errors.double().mean()))


def _active_units(scene: Scene) -> dict[str, Score]:
    assert scene.examined is not None
    means = scene.examined["posterior/mean"].double()
    active = int((means.var(0) > ACTIVE).sum())
    return {"active_units": Score(float(active), {"of": means.shape[1]}, {"variance_above": ACTIVE})}


_COMPUTERS: dict[str, Callable[[Scene], dict[str, Score]]] = {
    "fd": _frechet,
    "kd": _kernel,
    "precision": _manifold,
    "recall": _manifold,
    "density": _manifold,
    "coverage": _manifold,
    "auth_pct": _authenticity,
    "one_nn": _nearest,
    "classifier_score": _classifier_score,
    "class_kl": _class_kl,
    "ms_ssim": _similarity,
    "w1": _transport(1),
    "w2": _transport(2),
    "modes": _modes,
    "modes_strict": _modes,
    "high_quality": _modes,
    "mode_kl": _modes,
    "label_agreement": _label_agreement,
    "accuracy": _accuracy,
    "mse": _squared_error,
    "psnr": _decibels,
    "restored_psnr": _restored,
    "elbo": _mean_of("elbo", "elbo"),
    "elbo_reconstruction": _mean_of("elbo_reconstruction", "loss/reconstruction", -1),
    "elbo_kl": _mean_of("elbo_kl", "loss/kl"),
    "iw_bound": _mean_of("iw_bound", "bound/importance_weighted"),
    "bits_per_dim": _mean_of("bits_per_dim", "bound/bits_per_dim"),
    "active_units": _active_units,
}


def quantised_as_float(samples: Tensor) -> Tensor:
    """Bytes as float32 in [-1, 1]; points as they are."""
    return samples.float().mul_(2 / 255).sub_(1) if samples.dtype == torch.uint8 else samples


def _of_samples(observation: Observation) -> Tensor | None:
    """The labels of the samples whose pixels were kept."""
    return None if observation.labels is None else observation.labels[: len(observation.samples)]


def _spread(real: Tensor, count: int, mixture: tuple[Tensor, float] | None) -> Tensor:
    """`count` real points, of each mode of a mixture as nearly equally many as can be.

    The real side of a transport then has no counting noise of its own.
    """
    return real[over_modes(real, mixture)[:count]]


def over_modes(points: Tensor, mixture: tuple[Tensor, float] | None) -> Tensor:
    """An order of points, int64 [n], in which the modes of a mixture take turns for as long as they have points."""
    if mixture is None:
        return torch.arange(len(points))
    modes, _ = mixture
    nearest = torch.cdist(points.double(), modes.double()).argmin(1)
    turn = torch.zeros(len(points), dtype=torch.int64)
    for mode in range(len(modes)):
        of_mode = nearest == mode
        turn[of_mode] = torch.arange(int(of_mode.sum()))
    return turn.argsort(stable=True)


def _numbers(values: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}
