"""Scores of a model: what is drawn, what it is compared with, and the protocol that goes with each number."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ganlab import __version__
from ganlab.config.scores import SCORES, tag_name
from ganlab.errors import TrainingError
from ganlab.metrics.computing import ALONE, Scene, Score, compute_scores
from ganlab.metrics.extractors.base import Extractor, extract
from ganlab.metrics.extractors.digits import Digits
from ganlab.metrics.label_agreement import LabelAgreement
from ganlab.metrics.observation import PIXELS_KEPT, Observation, quantise
from ganlab.metrics.ranks import Ranks
from ganlab.metrics.references import Reference, reference_of
from ganlab.models.base import GenerativeModel, derived_seed
from ganlab.tasks.suiting import choose_monitor, choose_scores

Split = Literal["train", "test"]
CHUNK = 1024
MANY_CLASSES = 100
"""Classes beyond which two generated images are seldom of the same."""


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
        self._references: dict[tuple[Split, int], Reference] = {}
        self._scores_of_real: dict[Split, dict[str, Score]] = {}

    # Asked for only once the data are there, which on all processes but the first is when training begins.
    @cached_property
    def kinds(self) -> list[str]:
        """The scores that are computed; raises `ConfigError` for one that was asked for and does not suit."""
        sides = [self.options["count"], self.options["reference_count"], len(self.data.test)]
        sides += [] if self.data.train.infinite else [len(self.data.train)]
        return choose_scores(self.options["scores"], self._model, self.data, self.extractor, min(sides))

    @cached_property
    def monitor(self) -> str | None:
        """The kind of the monitored score; raises `ConfigError` if it is not computed."""
        return choose_monitor(self.options["monitor"], self.kinds)

    def tag(self, kind: str) -> str:
        """The name of a score in TensorBoard and in results.json."""
        return f"metric/{tag_name(kind, self.extractor.name if self.extractor else None)}"

    def verify(self) -> None:
        """Raise `ConfigError` for scores that do not suit the model and its data."""
        _ = self.monitor

    @property
    def monitored(self) -> str | None:
        """The tag of the score that tells which checkpoint is best."""
        return None if self.monitor is None else self.tag(self.monitor)

    @property
    def better(self) -> str:
        """Which way the monitored score is better: lower or higher."""
        return "lower" if self.monitor is None else SCORES[self.monitor].better

    def prepare(self, device: torch.device | None = None) -> None:
        """Compute or load all that does not depend on the model; only the first process needs it."""
        if self.kinds:
            self.real_scores(self.options["reference"], device)

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
        split: Split = reference or self.options["reference"]
        drawn = self.options["seed"] if seed is None else seed
        generated, channel_logits = self._observe(model, split, drawn, ranks)
        if ranks.rank != 0:
            return {}
        scores = compute_scores(self.kinds, self._scene(generated, split, channel_logits, model.device))
        real = self.real_scores(split, model.device)
        common = self._protocol(model, split, drawn, len(generated))
        return {
            self.tag(kind): {
                "value": score.value,
                "real": real[kind].value if kind in real else None,
                "better": SCORES[kind].better,
                **score.beside,
                "protocol": {"metric": kind, **common, **score.protocol},
            }
            for kind, score in scores.items()
        }

    # -- generated samples ------------------------------------------------------------------------------------

    @torch.no_grad()
    def _observe(
        self, model: GenerativeModel, split: Split, seed: int, ranks: Ranks
    ) -> tuple[Observation, Tensor | None]:
        """What all ranks together draw (or reconstruct), seen by the extractor; rows in the order of the noise."""
        count = self._count(model, split)
        conditions = self._conditions(model, split, count)
        source = self._noise(model, split, count, seed)
        features: list[Tensor] = []
        logits: list[Tensor] = []
        kept: list[Tensor] = []
        channels: list[Tensor] = []
        rows = ranks.rows(count)
        for chunk in rows.split(self.options["batch_size"]):
            samples = self._draw(model, source, conditions, chunk)
            if not torch.isfinite(samples).all():
                raise TrainingError(f"samples of iteration {model.iteration} are not finite numbers: nothing to score")
            if self.extractor is None:
                features.append(samples.float().flatten(1).cpu())
                continue
            images = quantise(samples)
            extracted = extract(self.extractor, images, len(images), model.device)
            features.append(extracted.features)
            logits += [] if extracted.logits is None else [extracted.logits]
            kept.append(images.cpu()[chunk < PIXELS_KEPT])
            if self._digits is not None:
                channels.append(self._digits.to(model.device).channel_logits(images).cpu())

        def together(parts: list[Tensor], most: int = count) -> Tensor | None:
            return ranks.gather(torch.cat(parts), min(most, count)) if parts else None

        seen = together(features)
        assert seen is not None
        pixels = together(kept, PIXELS_KEPT)
        labels = self._class_labels(conditions)
        observation = Observation(seen, seen if pixels is None else pixels, together(logits), labels)
        return observation, together(channels)

    def _count(self, model: GenerativeModel, split: Split) -> int:
        asked = int(self.options["count"])
        return asked if model.generates else len(self.data.examples(asked, split).samples)

    def _conditions(self, model: GenerativeModel, split: Split, count: int) -> Tensor | None:
        """The conditions of the real samples, over and over, so that both sides have them in the same shares."""
        if not model.condition_size:
            return None
        conditions = self.data.examples(self.options["reference_count"], split).conditions
        return conditions[torch.arange(count) % len(conditions)]

    def _class_labels(self, conditions: Tensor | None) -> Tensor | None:
        many = self.data.num_classes > MANY_CLASSES
        return None if conditions is None or conditions.dtype != torch.int64 or many else conditions

    def _noise(self, model: GenerativeModel, split: Split, count: int, seed: int) -> Tensor:
        """The latents of all ranks, or the samples to reconstruct."""
        if model.generates:
            return model.latents(count, torch.Generator().manual_seed(derived_seed("scores", seed)))
        return self.data.examples(count, split).samples

    def _draw(self, model: GenerativeModel, source: Tensor, conditions: Tensor | None, rows: Tensor) -> Tensor:
        condition = None if conditions is None else conditions[rows].to(model.device)
        own = source[rows.to(source.device)].to(model.device)
        return model.decode(own, condition) if model.generates else model.reconstruct(own, condition)

    @cached_property
    def _digits(self) -> Digits | None:
        """The classifier that reads each channel, where the data's modes are such triples."""
        if not (self.data.digit_channels and {"modes", "mode_kl"} & set(self.kinds)):
            return None
        return self.extractor if isinstance(self.extractor, Digits) else Digits()

    # -- real samples -----------------------------------------------------------------------------------------

    def reference(self, split: Split, count: int | None = None, device: torch.device | None = None) -> Reference:
        """The first `count` real samples of a split (default: `reference_count`), observed once."""
        most = self.options["reference_count"] if count is None else count
        if (split, most) not in self._references:
            samples, labels = self._real(split, most)
            self._references[split, most] = reference_of(
                samples,
                labels,
                self.extractor,
                split=split,
                cache_dir=Path(self.options["cache_dir"]),
                batch_size=self.options["batch_size"],
                device=device,
            )
        return self._references[split, most]

    def _real(self, split: Split, most: int) -> tuple[Tensor, Tensor | None]:
        """The first samples of a split, images as bytes, and their classes if there are not too many."""
        source = self.data.train if split == "train" else self.data.test
        if self.extractor is None or source.infinite:
            batch = self.data.examples(most, split)
            samples, conditions = batch.samples, batch.conditions
            samples = samples if self.extractor is None else quantise(samples)
        else:
            # A chunk at a time: as floats a large set would take four times the memory.
            parts = [source.gather(rows) for rows in torch.arange(min(most, len(source))).split(CHUNK)]
            samples = torch.cat([quantise(part.samples) for part in parts])
            conditions = None if parts[0].conditions is None else torch.cat([part.conditions for part in parts])
        return samples, self._class_labels(conditions) if self._model.condition_size else None

    def real_scores(self, split: Split, device: torch.device | None = None) -> dict[str, Score]:
        """What real samples in the place of generated ones score: those of the other split, as many as are generated.

        Scores that depend on no reference are of the test split, which no model has seen.
        """
        if split not in self._scores_of_real:
            other: Split = "train" if split == "test" else "test"
            against = [kind for kind in self.kinds if SCORES[kind].of_reference]
            alone = [kind for kind in self.kinds if not SCORES[kind].of_reference]
            scores: dict[str, Score] = {}
            for kinds, place in ((against, other), (alone, "test")):
                if kinds:
                    seen = self.reference(place, int(self.options["count"]), device).observation  # type: ignore[arg-type]
                    channels = None if self._digits is None else self._digits.channel_logits(seen.samples)
                    scores |= compute_scores(kinds, self._scene(seen, split, channels, device))
            self._scores_of_real[split] = scores
        return self._scores_of_real[split]

    @cached_property
    def _agreement(self) -> LabelAgreement | None:
        if "label_agreement" not in self.kinds:
            return None
        train = self.data.examples(len(self.data.train), "train")
        return LabelAgreement(train.samples, train.conditions, **ALONE)

    def _scene(
        self, generated: Observation, split: Split, channel_logits: Tensor | None, device: torch.device | None
    ) -> Scene:
        training = self.reference("train", len(self.data.train), device) if "auth_pct" in self.kinds else None
        return Scene(
            generated=generated,
            reference=self.reference(split, None, device),
            training=training,
            mixture=self.data.mixture,
            channel_logits=channel_logits,
            agreement=self._agreement,
        )

    # -- protocol ---------------------------------------------------------------------------------------------

    @cached_property
    def _description(self) -> dict[str, Any] | None:
        return None if self.extractor is None else self.extractor.description()

    def _protocol(self, model: GenerativeModel, split: Split, seed: int, count: int) -> dict[str, Any]:
        reference = self.reference(split)
        images = self.extractor is not None
        return {
            "extractor": self._description,
            "quantised": "round(127.5·x + 127.5) to bytes, real and generated alike" if images else None,
            "data": self.data.name,
            "sample_shape": list(self.data.sample_shape),
            "reference": split,
            "reference_count": len(reference),
            "reference_sha256": reference.fingerprint,
            "real": "samples of the other split, as many as are generated (or there are)",
            "count": count,
            "samples": "drawn from the prior" if model.generates else f"reconstructions of the {split} split",
            "conditions": "those of the reference, in turn" if model.condition_size else None,
            "weights": model.weights_sampled,
            "iteration": model.iteration,
            "seed": seed,
            "version": __version__,
        }


def values_of(scores: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """From tag to value alone, for the curves."""
    return {tag: float(score["value"]) for tag, score in scores.items()}
