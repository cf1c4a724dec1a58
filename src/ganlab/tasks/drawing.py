"""What a model draws to be scored: fixed noise, shared among the processes of a run, seen by an extractor."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ganlab.data.image_source import to_bytes
from ganlab.errors import TrainingError
from ganlab.metrics.extractors.base import Extractor, extract
from ganlab.metrics.extractors.digits import Digits
from ganlab.metrics.observation import PIXELS_KEPT, Observation
from ganlab.metrics.ranks import Ranks
from ganlab.models.base import GenerativeModel, derived_seed
from ganlab.tasks.real_samples import RealSamples, Split


class Drawing:
    """Draws samples of a model (of an autoencoder: reconstructs real ones) and observes them.

    `channel_reader` reads each channel as a digit, where the data's modes are counted so.
    """

    def __init__(
        self,
        real: RealSamples,
        options: Mapping[str, Any],
        extractor: Extractor | None,
        channel_reader: Digits | None,
    ) -> None:
        self.real = real
        self.options = options
        self.extractor = extractor
        self.channel_reader = channel_reader

    @torch.no_grad()
    def observe(
        self, model: GenerativeModel, split: Split, seed: int, ranks: Ranks
    ) -> tuple[Observation, Tensor | None]:
        """What all ranks together draw, rows in the order of the noise; logits [n, channels, 10] of a channel reader.

        Raises `TrainingError` for samples that are not finite.
        """
        source, conditions = self._source(model, split, seed)
        count = len(source)
        seen: dict[str, list[Tensor]] = {"features": [], "logits": [], "pixels": [], "channels": []}
        finite, wanted = True, len(ranks.rows(min(PIXELS_KEPT, count)))
        for rows in ranks.rows(count).split(self.options["batch_size"]):
            samples = self._samples(model, source, conditions, rows)
            finite = finite and bool(torch.isfinite(samples).all())
            if self.extractor is None:
                seen["features"].append(samples.float().flatten(1).cpu())
                continue
            images = to_bytes(samples)
            extracted = extract(self.extractor, images, len(images), model.device)
            seen["features"].append(extracted.features)
            seen["pixels"].append(images[:wanted].cpu())
            wanted -= len(seen["pixels"][-1])
            if extracted.logits is not None:
                seen["logits"].append(extracted.logits)
            if self.channel_reader is not None:
                seen["channels"].append(self.channel_reader.to(model.device).channel_logits(images).cpu())

        if not ranks.all_say(finite):
            raise TrainingError(f"samples of iteration {model.iteration} are not finite numbers: nothing to score")

        def together(name: str, most: int = count) -> Tensor | None:
            if not seen[name]:
                return None
            kept = min(most, count)
            return ranks.gather(torch.cat(seen[name])[: len(ranks.rows(kept))], kept)

        features = together("features")
        assert features is not None
        pixels = together("pixels", PIXELS_KEPT)
        observation = Observation(
            features, features if pixels is None else pixels, together("logits"), self.real.classes(conditions)
        )
        return observation, together("channels")

    def _source(self, model: GenerativeModel, split: Split, seed: int) -> tuple[Tensor, Tensor | None]:
        """The latents of all ranks, or the samples to reconstruct; and the conditions."""
        asked = int(self.options["count"])
        if model.generates:
            source = model.latents(asked, torch.Generator().manual_seed(derived_seed("scores", seed)))
        else:
            source = self.real.data.examples(asked, split).samples
        return source, self.real.conditions(split, len(source)) if model.condition_size else None

    def _samples(self, model: GenerativeModel, source: Tensor, conditions: Tensor | None, rows: Tensor) -> Tensor:
        condition = None if conditions is None else conditions[rows].to(model.device)
        own = source[rows.to(source.device)].to(model.device)
        return model.decode(own, condition) if model.generates else model.reconstruct(own, condition)
