"""Scores of a model: what is drawn, what it is compared with, and the protocol that goes with each number."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor

from ganlab import __version__
from ganlab.config.scores import EXAMINED, SCORES, tag_name
from ganlab.metrics.computing import ALONE, LEAST, Scene, Score, compute_scores
from ganlab.metrics.extractors.base import Extractor
from ganlab.metrics.extractors.digits import Digits
from ganlab.metrics.label_agreement import LabelAgreement
from ganlab.metrics.observation import Observation
from ganlab.metrics.principal import PrincipalComponents
from ganlab.metrics.ranks import Ranks
from ganlab.metrics.references import Reference, fingerprint_of
from ganlab.models.base import GenerativeModel
from ganlab.tasks.classifying import classified
from ganlab.tasks.drawing import Drawing
from ganlab.tasks.examining import examined
from ganlab.tasks.real_samples import RealSamples, Split
from ganlab.tasks.suiting import choose_monitor, choose_scores, probe

COVARIANCE_WORK, COVARIANCE_SIZE = 5e10, 2048
"""Multiplications, and values of a sample, up to which principal components are fitted unasked: seconds (60,000 images
of 28×28: 3.7e10)."""


class Scorer:
    """Scores a model of one data set; everything about the real samples is computed once and kept.

    `options`: the group `metrics` of a configuration. Of several processes each draws its share of the
    samples, and the first one compares. All randomness is private: training is the same with and without.
    """

    def __init__(self, options: Mapping[str, Any], data: Any, model: GenerativeModel, extractor: Extractor | None):
        self.options = options
        self.data = data
        self.extractor = extractor
        self._model = model
        self.real = RealSamples(data, options, extractor)
        self._scores_of_real: dict[Split, dict[str, Score]] = {}

    # Asked for only once the data are there, which on all processes but the first is when training begins.
    @cached_property
    def kinds(self) -> list[str]:
        """The scores that are computed; raises `ConfigError` for one that was asked for and does not suit."""
        fewest = min(self.options["count"], *map(self.real.size, self.splits))
        return choose_scores(self.options["scores"], self._model, self.data, self.extractor, fewest)

    @property
    def why_nothing(self) -> str | None:
        """Why there is no score, where the reason is not plain."""
        few = [f"{self.real.size(split)} samples of {split}" for split in self.splits if self.real.size(split) < 2]
        if self.kinds or not few:
            return None
        return f"{', '.join(few)} are too few (data.test_fraction, metrics.reference)"

    @property
    def splits(self) -> tuple[Split, ...]:
        """The splits that are compared with: an evaluation's `reference` may be both."""
        reference = self.options["reference"]
        return ("test", "train") if reference == "both" else (reference,)

    @cached_property
    def monitor(self) -> str | None:
        """The kind of the monitored score; raises `ConfigError` if it is not computed."""
        return choose_monitor(self.options["monitor"], self.kinds, self._model.generates)

    def tag(self, kind: str) -> str:
        """The name of a score in TensorBoard and in results.json."""
        return f"metric/{tag_name(kind, self.extractor.name if self.extractor else None)}"

    def verify(self) -> None:
        """Raise `ConfigError` for scores that do not suit the model and its data."""
        if self.extractor is not None and self.kinds:
            probe(self.extractor, self.data.sample_shape)
        _ = self.monitor

    @property
    def monitored(self) -> str | None:
        """The tag of the score that tells which checkpoint is best."""
        return None if self.monitor is None else self.tag(self.monitor)

    @property
    def better(self) -> str:
        """Which way the monitored score is better: lower or higher."""
        return "lower" if self.monitor is None else SCORES[self.monitor].better

    @property
    def protocol_digest(self) -> str:
        """Of all that makes values comparable: two numbers of different digests are not."""
        compared = ("count", "reference", "reference_count", "seed", "importance_samples")
        told = {key: self.options[key] for key in compared} | {"extractor": self._description}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]

    def prepare(self, device: torch.device | None = None) -> None:
        """Compute or load all that does not depend on the model; only the first process needs it."""
        if self.kinds:
            self.real_scores(self.splits[0], device)

    def __call__(
        self,
        model: GenerativeModel,
        ranks: Ranks | None = None,
        /,
        *,
        reference: Split | None = None,
        seed: int | None = None,
    ) -> dict[str, dict[str, Any]]:
        """From tag to value, the value of real samples, and protocol; empty on all ranks but the first."""
        if not self.kinds:
            return {}
        ranks = ranks or Ranks(device=model.device)
        split = reference or self.splits[0]
        drawn = self.options["seed"] if seed is None else seed
        generated, channel_logits = self._drawing.observe(model, split, drawn, ranks)
        classes = self._classes(model, ranks)
        said = self._examined(model, drawn, ranks)
        if ranks.rank != 0:
            return {}
        scores = compute_scores(self.kinds, self._scene(generated, split, channel_logits, model.device, classes, said))
        real = self.real_scores(split, model.device)
        common = self._protocol(model, split, drawn, len(generated))
        return {
            self.tag(kind): score.told(
                kind, real[kind].value if kind in real else None, common | self._particulars(kind, split, drawn)
            )
            for kind, score in scores.items()
        }

    # -- real samples -----------------------------------------------------------------------------------------

    def real_scores(self, split: Split, device: torch.device | None = None) -> dict[str, Score]:
        """What real samples in the place of generated ones score: those of the other split, as many as are generated.

        Scores that depend on no reference are of the test split, which no model has seen. Of the model's own
        classifier, and of what it says of real samples, there are none: these are what it is given.
        """
        if split not in self._scores_of_real:
            other: Split = "train" if split == "test" else "test"
            against = [kind for kind in self.kinds if SCORES[kind].of_reference]
            alone = [kind for kind in self.kinds if not SCORES[kind].of_reference and not _of_real(kind)]
            scores: dict[str, Score] = {}
            places: tuple[tuple[list[str], Split], ...] = ((against, other), (alone, "test"))
            for kinds, place in places:
                count = min(int(self.options["count"]), self.real.size(place))
                kinds = [kind for kind in kinds if count >= LEAST.get(kind, 2)]
                if kinds:
                    seen = self._reference(place, count, device).observation
                    channels = self._real_channels(place, count)
                    scores |= compute_scores(kinds, self._scene(seen, split, channels, device))
            self._scores_of_real[split] = scores
        return self._scores_of_real[split]

    def _real_channels(self, split: Split, count: int) -> Tensor | None:
        """What the channel reader says of the first real samples, logits [n, 3, 10]."""
        if self._channel_reader is None:
            return None
        reader = self._channel_reader.to("cpu")
        images, _ = self.real.first(split, count)
        return torch.cat([reader.channel_logits(part) for part in images.split(self.options["batch_size"])])

    @cached_property
    def _drawing(self) -> Drawing:
        return Drawing(self.real, self.options, self.extractor, self._channel_reader)

    @cached_property
    def _channel_reader(self) -> Digits | None:
        """The classifier that reads each channel, where the data's modes are such triples."""
        if not (self.data.digit_channels and {"modes", "mode_kl"} & set(self.kinds)):
            return None
        return self.extractor if isinstance(self.extractor, Digits) else Digits()

    def _reference(self, split: Split, count: int | None = None, device: torch.device | None = None) -> Reference:
        """Real samples; with their classes if generated ones have some, so that both are compared alike."""
        return self.real.reference(split, count, labelled=self._model.condition_size > 0, device=device)

    @cached_property
    def _agreement(self) -> LabelAgreement | None:
        if "label_agreement" not in self.kinds:
            return None
        train = self.data.examples(len(self.data.train), "train")
        return LabelAgreement(train.samples, train.conditions, **ALONE)

    def _classes(self, model: GenerativeModel, ranks: Ranks) -> tuple[Tensor, Tensor] | None:
        """What the model takes all test samples for, and what they are; None if no score asks for it."""
        if not any(map(_of_classifier, self.kinds)):
            return None
        return classified(model, self.data.test, self.options["batch_size"], ranks), self.data.test.conditions.cpu()

    def _examined(self, model: GenerativeModel, seed: int, ranks: Ranks) -> dict[str, Tensor] | None:
        """What the model says of each test sample, by tag; None if no score asks for it."""
        if not any(SCORES[kind].needs in EXAMINED for kind in self.kinds):
            return None
        return examined(model, self.data, self.options, seed, ranks)

    @cached_property
    def _principal(self) -> tuple[int, float] | None:
        """A linear code of that length, fitted on train, on test; None if it leaves nothing, or takes long."""
        train, test, model = self.data.train, self.data.test, cast(Any, self._model)
        values = math.prod(self.data.sample_shape)
        if train.infinite or test.infinite or model.latent_dim >= values:
            return None
        if getattr(model, "binarise", "none") != "none":
            return None  # its errors are of binary pixels
        if len(train) * values**2 > COVARIANCE_WORK or values > COVARIANCE_SIZE:
            return None

        def chunks(source: Any) -> Iterator[Tensor]:
            for rows in torch.arange(len(source)).split(self.options["batch_size"]):
                yield model.values_of(source.gather(rows.to(source.index_device)).samples)

        components = PrincipalComponents(chunks(train), model.latent_dim)
        errors = torch.cat([components.squared_errors(chunk) for chunk in chunks(test)])
        return components.directions.shape[1], float(errors.mean())

    def _scene(
        self,
        generated: Observation,
        split: Split,
        channel_logits: Tensor | None,
        device: torch.device | None,
        classes: tuple[Tensor, Tensor] | None = None,
        said: dict[str, Tensor] | None = None,
    ) -> Scene:
        training = self._reference("train", len(self.data.train), device) if "auth_pct" in self.kinds else None
        return Scene(
            generated=generated,
            reference=self._reference(split, None, device),
            training=training,
            mixture=self.data.mixture,
            channel_logits=channel_logits,
            agreement=self._agreement,
            classified=classes,
            examined=said,
            principal=self._principal if said is not None and "mse" in self.kinds else None,
        )

    # -- protocol ---------------------------------------------------------------------------------------------

    @cached_property
    def _description(self) -> dict[str, Any] | None:
        return None if self.extractor is None else self.extractor.description()

    def _protocol(self, model: GenerativeModel, split: Split, seed: int, count: int) -> dict[str, Any]:
        reference = self._reference(split)
        images = self.extractor is not None
        return {
            "extractor": self._description,
            "quantised": "round(127.5·x + 127.5) to bytes, real and generated alike" if images else None,
            "data": self.data.name,
            "sample_shape": list(self.data.sample_shape),
            "reference": split,
            "reference_count": len(reference),
            "reference_sha256": reference.fingerprint,
            "count": count,
            "samples": "drawn from the prior" if model.generates else f"reconstructions of the {split} split",
            "conditions": "those of the reference, in turn" if model.condition_size else None,
            "weights": model.weights_sampled,
            "iteration": model.iteration,
            "seed": seed,
            "version": __version__,
        }

    def _particulars(self, kind: str, split: Split, seed: int) -> dict[str, Any]:
        """What the protocol of one score says otherwise than that of the others."""
        if not _of_real(kind):
            return {"real": _stand_in(kind, split)}
        unlike = dict.fromkeys(("extractor", "quantised", "conditions", "seed", "real"))
        told = unlike | {
            "reference": "test",
            "reference_count": self._test_count,
            "reference_sha256": self._test_fingerprint,
            "count": self._test_count,
            "samples": "the whole test split, classified" if _of_classifier(kind) else "the test split itself",
            "weights": "last",
        }
        model: Any = self._model
        if not _of_classifier(kind):
            told |= {"seed": seed, "conditions": "those of the test samples" if model.condition_size else None}
        if SCORES[kind].needs == "likelihood":
            told |= {"likelihood": model.likelihood}
        if kind in ("iw_bound", "bits_per_dim"):
            told["importance_samples"] = self.options["importance_samples"]
        return told

    @cached_property
    def _test_count(self) -> int:
        return int(self.options["reference_count"]) if self.data.test.infinite else len(self.data.test)

    @cached_property
    def _test_fingerprint(self) -> str:
        return fingerprint_of(self.real.first("test", self._test_count)[0])


def _of_classifier(kind: str) -> bool:
    """Whether a score is of what the model says of real samples, and not of what it generates."""
    return SCORES[kind].needs == "classifier"


def _of_real(kind: str) -> bool:
    """Whether a score is of what the model says of real samples."""
    return _of_classifier(kind) or SCORES[kind].needs in EXAMINED


def _stand_in(kind: str, split: Split) -> str:
    """Which real samples the value `real` is of."""
    other = "train" if split == "test" and SCORES[kind].of_reference else "test"
    return f"samples of the {other} split, as many as are generated or as there are"
