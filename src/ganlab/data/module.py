"""The data module: a train and a test source, and the stream of batches that the trainer draws."""

from typing import Any, Literal

import torch
from lightning import LightningDataModule
from torch import Tensor

from ganlab.config.types import NonNegativeInt, PositiveInt, SampleShape
from ganlab.counting import UpdatePlan
from ganlab.data.batch import Batch
from ganlab.data.hashing import stable_seed
from ganlab.data.labels import SomeRows, drawn_with_labels, labelled_rows, verify_count
from ganlab.data.prefetch import Prefetched
from ganlab.data.source import FiniteSource, InfiniteSource
from ganlab.data.stream import BatchStream
from ganlab.errors import DataError


class LabDataModule(LightningDataModule):
    """A data set by its configuration. Subclasses say what to `load`; all the rest is here.

    The trainer's world size and rank decide which share of the data this process draws. The order needs no
    state: it follows from `seed` and `start_iteration`, which the task sets before training, as it does
    `update_plan` (how many batches an iteration takes) and `wants_labelled` (whether the model learns from labelled
    samples beside unlabelled ones). Of each class `labels_per_class` samples, chosen by the seed, keep their label; 0
    stands for all.
    """

    train: FiniteSource | InfiniteSource
    test: FiniteSource

    def __init__(
        self,
        *,
        name: str,
        batch_size: PositiveInt,
        sample_shape: SampleShape,
        condition_size: NonNegativeInt = 0,
        num_classes: NonNegativeInt = 0,
        labels_per_class: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        self.name: str = name
        self.batch_size = batch_size
        self.sample_shape = sample_shape
        self.condition_size = condition_size
        self.num_classes = num_classes
        self.labels_per_class = labels_per_class
        self.condition_names: list[str] = []
        self.update_plan = UpdatePlan()
        self.wants_labelled = False
        self.seed = 0
        self.start_iteration = 0

    def load(self) -> tuple[FiniteSource | InfiniteSource, FiniteSource]:
        """The train and the test source; also sets `condition_names`. Raises `DataError`."""
        raise NotImplementedError

    def setup(self, stage: str | None = None) -> None:
        """Load both splits once, and refuse what differs from the declaration with a `DataError`."""
        if not hasattr(self, "train"):
            train, test = self.load()
            self._verify(train)
            self._verify_labels(train)
            self.train, self.test = train, test

    def train_dataloader(self) -> BatchStream | Prefetched:
        """An endless iterable of `Batch`, from `start_iteration` on; it has no length. For a GPU that does not hold the
        data the next batches are made while a step runs."""
        if not hasattr(self, "train"):
            self.setup()
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        self.verify_batch_size(world_size)

        def stream(source: FiniteSource | InfiniteSource, seed: int, labelled: BatchStream | None) -> BatchStream:
            return BatchStream(
                source,
                self.batch_size,
                seed=seed,
                rank=rank,
                world_size=world_size,
                plan=self.update_plan,
                start_iteration=self.start_iteration,
                mirrored=self.mirrored,
                labelled=labelled,
            )

        source = self.train_source()
        labelled = None
        if self.wants_labelled:
            labelled = stream(self.labelled_source(source), stable_seed("labelled", self.seed), None)
        batches = stream(source, self.seed, labelled)
        device = accelerator_of(self)
        if device.type != "cuda" or (isinstance(source, FiniteSource) and source.index_device.type == "cuda"):
            return batches
        return Prefetched(batches, device)

    @property
    def extractor(self) -> str | None:
        """The feature extractor that suits the samples, by the name of its configuration; None for points."""
        return None

    @property
    def mixture(self) -> tuple[Tensor, float] | None:
        """Centres [k, dimensions] and standard deviation of round Gaussians, where the truth is a mixture of them."""
        return None

    @property
    def digit_channels(self) -> bool:
        """Whether each channel is a digit of its own, so that the digits make a thousand modes."""
        return False

    def train_source(self) -> FiniteSource | InfiniteSource:
        """The training split as the stream draws it: maybe on the accelerator."""
        return self.train

    def labelled_source(self, train: FiniteSource | InfiniteSource) -> FiniteSource | InfiniteSource:
        """The samples of `train_source()` whose labels are known, always the same ones of a seed."""
        if not self.labels_per_class:
            return train
        if isinstance(train, InfiniteSource):
            return drawn_with_labels(train, self.labels_per_class, self.condition_names, self.seed, self.name)
        assert isinstance(self.train, FiniteSource) and self.train.conditions is not None
        rows = labelled_rows(self.train.conditions, self.labels_per_class, self.seed)
        return SomeRows(train, rows, mirrored=self.mirrored)

    @property
    def mirrored(self) -> bool:
        """Whether half of the samples are drawn flipped left to right."""
        return False

    def examples(self, count: int, split: Literal["train", "test"] = "train") -> Batch:
        """The first `count` samples of a split (all, if there are fewer), the same at every call, on the CPU."""
        if not hasattr(self, "train"):
            self.setup()
        return (self.train if split == "train" else self.test).first(count)

    def verify_batch_size(self, world_size: int) -> None:
        """Refuse a global batch of more samples than there are."""
        if self.train.infinite:
            return
        assert isinstance(self.train, FiniteSource)
        asked, available = self.batch_size * world_size, len(self.train)
        if asked > available:
            shared = f" on {world_size} processes takes {asked} samples at once" if world_size > 1 else ""
            remedy = f"set data.batch_size={available // world_size} or less"
            if available < world_size:
                remedy = f"use fewer processes (trainer.devices={available} or less)"
            raise DataError(
                f"data.batch_size={self.batch_size}{shared}: more than the {available} training samples "
                f"of data={self.name}; {remedy}"
            )

    def verify_classes(self, names: list[str]) -> None:
        """Refuse a declared number of classes that is neither 0 (labels are left out) nor that of `names`."""
        if self.num_classes and not names:
            raise DataError(
                f"data.num_classes={self.num_classes}: data={self.name} has no class labels; set data.num_classes=0"
            )
        if self.num_classes not in (0, len(names)):
            shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
            raise DataError(
                f"data.num_classes={self.num_classes}: data={self.name} has {len(names)} classes ({shown}); "
                f"set data.num_classes={len(names)}, or 0 to leave the labels out"
            )
        self.condition_names = list(names) if self.num_classes else []

    def _verify(self, train: FiniteSource | InfiniteSource) -> None:
        if train.sample_shape != list(self.sample_shape):
            raise DataError(
                f"data.sample_shape={list(self.sample_shape)}: samples of data={self.name} are "
                f"{train.sample_shape}; set data.sample_shape={str(train.sample_shape).replace(' ', '')}"
            )
        found = len(self.condition_names)
        if self.condition_size != found:
            raise DataError(
                f"data.condition_size={self.condition_size}: a condition of data={self.name} has {found} "
                f"values; set data.condition_size={found}"
            )

    def _verify_labels(self, train: FiniteSource | InfiniteSource) -> None:
        """Refuse labels that are asked for and not there."""
        if not self.num_classes and (self.wants_labelled or self.labels_per_class):
            asking = f"data.labels_per_class={self.labels_per_class}" if self.labels_per_class else "labels are learnt"
            raise DataError(
                f"{asking}: data={self.name} has no class labels (data.num_classes=0); "
                "choose data that has some (data=digits, mnist, ring, …)"
            )
        if self.labels_per_class and isinstance(train, FiniteSource):
            assert train.conditions is not None
            verify_count(train.conditions, self.labels_per_class, self.condition_names, self.name)


def accelerator_of(module: LabDataModule) -> torch.device:
    """The device that the module's trainer computes on; the CPU without a trainer."""
    trainer: Any = module.trainer
    return trainer.strategy.root_device if trainer is not None else torch.device("cpu")
