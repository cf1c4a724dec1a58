"""What the page shows, without the page: from what is asked to latents and samples, and nothing remembered between."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ganlab.data.batch import Batch
from ganlab.errors import ConfigError, shortened
from ganlab.pictures import peak_signal_to_noise, shown_classes, slerp
from ganlab.tasks.exploring.axes import DIGITS, MOST_BASES, Axes, Cloud, own_axes, principal_axes
from ganlab.tasks.exploring.places import Chosen, End, Kind, Place, code_controls
from ganlab.tasks.rows import Rows

MOST_AXES = 8
MOST_PRINCIPAL = 1024
"""Dimensions beyond which no principal directions are sought: each needs samples of its own."""
CODED = 2_000
"""Training samples whose codes tell where codes lie."""
AT_A_TIME = 256
GRID_ROWS, GRID_COLUMNS = 4, 10
LONGEST_NAME = 40


class Explorer:
    """A model, and real samples where the data set could be loaded.

    Args:
        model: in eval mode on its device; images of 1 or 3 channels, or points in the plane.
        names: of its classes or attributes.
        num_classes: 0 for a model of attribute vectors.
        train, test: samples of the run's data. A model without a prior cannot do without both.
    """

    def __init__(
        self,
        model: Any,
        names: Sequence[str] = (),
        num_classes: int = 0,
        train: Rows | None = None,
        test: Rows | None = None,
    ) -> None:
        self.model = model
        self.train, self.test = train, test
        self.of_images = len(model.sample_shape) == 3
        self._refuse_what_cannot_be_seen()
        size = model.condition_size
        self.by_attributes = size > 0 and num_classes == 0
        self.condition_names = _named(names, size)
        self.class_names = _named(names, 0 if train is None and test is None else num_classes)
        self.code_controls = code_controls(model)
        self.noise_dims = self.code_controls[0].start if self.code_controls else model.latent_dim
        self.cloud = self._cloud()
        self.axes: dict[Kind, Axes] = {"own": own_axes(self.cloud, MOST_AXES)}
        if len(self.cloud.moving) <= MOST_PRINCIPAL:
            self.axes["principal"] = self._principal_axes()

    @property
    def starts_from_samples(self) -> bool:
        """Whether a test sample can be the start."""
        return bool(self.model.encodes and self.model.reconstructs and self.test is not None)

    def first(self) -> Place:
        """Where the page begins."""
        condition: Chosen = None if not self.model.condition_size else [] if self.by_attributes else 0
        kind: Kind = "principal" if "principal" in self.axes else "own"
        if self.model.generates:
            return Place(kind=kind, condition=condition)
        return Place(row=0, kind=kind, condition=self.own_condition(0))

    # -- latents ------------------------------------------------------------------------------------------------

    def origin(self, place: Place) -> Tensor:
        """The start's latent [d], on the CPU: as `ganlab.sample` draws it with that seed, or as `encode` makes it."""
        if place.row is None:
            return self.model.latents(1, torch.Generator().manual_seed(place.seed))[0].cpu()
        return self._encoded(self.given(place.row))[0]

    def latent(self, place: Place) -> Tensor:
        """The latent [d] after all that was done to it, on the CPU."""
        latent = self.origin(place)
        if place.codes is not None:
            latent = self._with_codes(latent, place.codes)
        return latent if place.coordinates is None else self.axes[place.kind].moved(latent, place.coordinates)

    def coordinates(self, place: Place) -> list[float]:
        """Of the start, along the axes of the place's kind."""
        return self.axes[place.kind].coordinates(self.origin(place))

    def codes(self, place: Place) -> list[float]:
        """Of the start: a class, or a number to hundredths."""
        latent = self.origin(place)
        parts = [latent[control.start : control.start + control.size] for control in self.code_controls]
        return [
            int(part.argmax()) if control.categorical else round(float(part[0]), DIGITS) + 0.0
            for control, part in zip(self.code_controls, parts, strict=True)
        ]

    def _with_codes(self, latent: Tensor, codes: Sequence[float]) -> Tensor:
        latent = latent.clone()
        for control, code in zip(self.code_controls, codes, strict=True):
            part = latent[control.start : control.start + control.size]
            if control.categorical:
                part.zero_()[int(code)] = 1
            elif abs(code - float(part[0])) > 0.5 * 10**-DIGITS:  # else it is the start's own, shown to hundredths
                part.fill_(code)
        return latent

    # -- samples ------------------------------------------------------------------------------------------------

    def sample(self, place: Place) -> Tensor:
        """The sample [*sample_shape] of a place, float32 on the CPU."""
        return self.of_end(self.end(place))

    def end(self, place: Place) -> End:
        """The latent and the condition of a place."""
        return End(self.latent(place), self.condition(place.condition))

    def of_end(self, end: End) -> Tensor:
        """The sample [*sample_shape] of a latent."""
        return self._decoded(end.latent[None], None if end.condition is None else end.condition[None])[0]

    def between(self, first: End, last: End, share: float) -> End:
        """On the way from one end (share 0) to the other (1).

        Noise of a normal prior goes along a great circle, as in `ganlab.sample`; other latents, codes and conditions go
        straight.
        """
        latent = torch.lerp(first.latent, last.latent, share)
        if self.model.generates and self.model.prior == "normal":
            noise = slice(0, self.noise_dims)
            latent[noise] = slerp(first.latent[None, noise], last.latent[None, noise], share)[0]
        if first.condition is None or last.condition is None:
            return End(latent, None)
        return End(latent, torch.lerp(first.condition, last.condition, share))

    def walk(self, first: End, last: End, steps: int) -> Tensor:
        """Samples [steps, *sample_shape] from one end to the other, both included."""
        ends = [self.between(first, last, step / (steps - 1)) for step in range(steps)]
        conditions = [end.condition for end in ends if end.condition is not None]
        return self._decoded(torch.stack([end.latent for end in ends]), torch.stack(conditions) if conditions else None)

    def grid(self, seed: int) -> tuple[Tensor, list[str]]:
        """Samples [rows · columns, *sample_shape] of a seed, row by row, and the columns' captions.

        A column a class or attribute (12 at most), the same noise along a row; without conditions there are no
        captions and all noise is different. Of a model without a prior: test samples, and what is given back of them.
        """
        random = torch.Generator().manual_seed(seed)
        if not self.model.generates:
            rows = torch.randint(len(self._tested), (2 * GRID_COLUMNS,), generator=random).split(GRID_COLUMNS)
            batches = [self._tested.at(some) for some in rows]
            pairs = [(batch.samples, self._decoded(self._encoded(batch), self._told(batch))) for batch in batches]
            return torch.cat([part for pair in pairs for part in pair]), []
        if not self.model.condition_size:
            return self._decoded(self.model.latents(GRID_ROWS * GRID_COLUMNS, random).cpu(), None), []
        shown = shown_classes(self.model.condition_size)
        latents = self.model.latents(GRID_ROWS, random).cpu().repeat_interleave(len(shown), dim=0)
        conditions = torch.eye(self.model.condition_size)[shown].repeat(GRID_ROWS, 1)
        return self._decoded(latents, conditions), [self.condition_names[index] for index in shown]

    def cloud_of_points(self, place: Place, count: int) -> Tensor:
        """Of a model of points: so many samples [count, 2] of the place's seed and condition; of a model without a
        prior what is given back of as many test samples."""
        if not self.model.generates:
            batch = self._tested.at(torch.arange(min(count, len(self._tested))))
            return self._decoded(self._encoded(batch), self._told(batch))
        condition = self.condition(place.condition)
        conditions = None if condition is None else condition.expand(count, -1)
        return self._decoded(self.model.latents(count, torch.Generator().manual_seed(place.seed)).cpu(), conditions)

    # -- conditions and real samples --------------------------------------------------------------------------------

    def condition(self, chosen: Chosen) -> Tensor | None:
        """The vector [c] of a class (one-hot), or of the attributes that are on."""
        if not self.model.condition_size:
            return None
        vector = torch.zeros(self.model.condition_size)
        on = [chosen] if isinstance(chosen, int) else list(chosen or [])
        vector[torch.tensor(on, dtype=torch.int64)] = 1
        return vector

    def given(self, row: int) -> Batch:
        """A test sample with its condition, [1, …]."""
        return self._tested.at(torch.tensor([row]))

    def own_condition(self, row: int) -> Chosen:
        """A test sample's own class or attributes, if the model is told them."""
        known = self.given(row).conditions
        if not self.model.condition_size or known is None:
            return None
        return (known[0] > 0.5).nonzero().squeeze(1).tolist() if self.by_attributes else int(known[0])

    def class_of(self, row: int) -> str:
        """The name of a test sample's class; empty where there are no classes."""
        labels = self._tested.labels
        return "" if labels is None or not self.class_names else self.class_names[int(labels[row])]

    def reconstruction(self, row: int) -> tuple[Tensor, float]:
        """What is given back of a test sample, [*sample_shape], and how near it is: in decibels, of points as the
        distance."""
        batch = self.given(row)
        made = self._decoded(self._encoded(batch), self._told(batch))
        if self.of_images:
            return made[0], peak_signal_to_noise(made, batch.samples)
        return made[0], float((made - batch.samples).norm())

    @property
    def _tested(self) -> Rows:
        assert self.test is not None
        return self.test

    # -- the model --------------------------------------------------------------------------------------------------

    def _decoded(self, latents: Tensor, conditions: Tensor | None) -> Tensor:
        """float32 [n, *sample_shape] on the CPU, some at a time."""
        device, parts = self.model.device, []
        for rows in torch.arange(len(latents)).split(AT_A_TIME):
            told = None if conditions is None else conditions[rows].to(device)
            parts.append(self.model.decode(latents[rows].to(device), told).detach().float().cpu())
        return torch.cat(parts)

    def _encoded(self, batch: Batch) -> Tensor:
        """float32 codes [n, d] on the CPU."""
        device, told = self.model.device, self._told(batch)
        return self.model.encode(batch.samples.to(device), None if told is None else told.to(device)).float().cpu()

    def _told(self, batch: Batch) -> Tensor | None:
        """The conditions of real samples as vectors, if the model is told them."""
        return self.model.condition_vectors(batch.conditions) if self.model.condition_size else None

    def _cloud(self) -> Cloud:
        if self.model.generates:
            return Cloud.of_prior(self.model.prior, self.model.latent_dim, self.noise_dims)
        assert self.train is not None
        rows = torch.arange(min(CODED, len(self.train)))
        return Cloud.of_codes(torch.cat([self._encoded(self.train.at(some)) for some in rows.split(AT_A_TIME)]))

    def _principal_axes(self) -> Axes:
        """About latents of the prior, or codes of training samples; the conditions in turn."""
        if self.model.generates:
            latents = self.model.latents(MOST_BASES, torch.Generator().manual_seed(0)).cpu()
            size = self.model.condition_size
            conditions = torch.eye(size)[torch.arange(len(latents)) % size] if size else None
        else:
            assert self.train is not None
            batch = self.train.at(torch.arange(min(MOST_BASES, len(self.train))))
            latents, conditions = self._encoded(batch), self._told(batch)

        def decode(near: Tensor, numbers: Tensor) -> Tensor:
            return self._decoded(near, None if conditions is None else conditions[numbers])

        return principal_axes(self.cloud, decode, latents, MOST_AXES)

    def _refuse_what_cannot_be_seen(self) -> None:
        shape = list(self.model.sample_shape)
        if not (self.of_images and shape[0] in (1, 3)) and shape != [2]:
            raise ConfigError(
                f"model={self.model.name} makes samples of shape {shape}; the page shows images of 1 or 3 channels and "
                "points in the plane"
            )
        if not self.model.generates and not (self.model.encodes and self.model.reconstructs):
            raise ConfigError(f"model={self.model.name} neither draws samples nor gives them back: nothing to explore")


def _named(names: Sequence[str], count: int) -> list[str]:
    """So many names, short enough for a page; a name that is absent is its number."""
    return [shortened(names[index], LONGEST_NAME) if index < len(names) else str(index) for index in range(count)]
