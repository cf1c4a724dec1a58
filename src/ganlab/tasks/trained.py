"""A finished run as tasks need it that look at real samples: its model rebuilt, its data loaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ganlab.config.check import problems_of_component
from ganlab.data.module import LabDataModule
from ganlab.errors import CheckpointError, ConfigError, DataError, DeviceError
from ganlab.models.base import GenerativeModel
from ganlab.tasks.building import build_data, build_model, restore_model
from ganlab.tasks.checkpoints import read_run
from ganlab.tasks.devices import resolve_accelerator


@dataclass(frozen=True)
class Trained:
    """A run's folder, the checkpoint that was read, its configuration, and what they make.

    The model is in eval mode on the device that was asked for; `data` has both splits.
    """

    folder: Path
    file: Path
    settings: dict[str, Any]
    model: GenerativeModel
    data: LabDataModule

    @property
    def name(self) -> str:
        return str(self.settings["model"]["name"])

    def description(self) -> dict[str, Any]:
        """Which weights of which run, for a protocol."""
        return {
            "run": str(self.folder),
            "checkpoint": self.file.name,
            "iteration": self.model.iteration,
            "model": self.name,
            "data": self.data.name,
        }

    def untrained(self) -> GenerativeModel:
        """The same networks with the weights that the run began with."""
        return build_model(self.settings).to(self.model.device).eval()


def load_trained(run: str, *, checkpoint: str | int = "last", root: str | None = None, device: str = "auto") -> Trained:
    """Read a run; `root`: where its data set lies now.

    Raises `GanlabError` in the words of a command with the keys run, checkpoint, root and device.
    """
    folder, file, saved = read_run(run, checkpoint)
    settings: dict[str, Any] = saved["ganlab"]["config"]
    problems = [line for group in ("model", "data") for line in problems_of_component(settings.get(group), group)]
    if problems:
        raise CheckpointError(f"run={run}: its configuration is not one of ganlab's: {problems[0]}")
    model = restore_model(settings, saved).to(_device(device)).eval()
    return Trained(folder, file, settings, model, _load_data(settings, model, root))


def _device(name: str) -> torch.device:
    try:
        return torch.device(resolve_accelerator({"accelerator": name}))
    except DeviceError as error:
        raise DeviceError(str(error).replace("trainer.accelerator", "device")) from None


def _load_data(settings: dict[str, Any], model: GenerativeModel, root: str | None) -> LabDataModule:
    if root is not None:
        if "root" not in settings["data"]:
            raise CheckpointError(f"root={root}: data={settings['data']['name']} is built in and lies in no folder")
        settings = {**settings, "data": {**settings["data"], "root": root}}
    try:
        data = build_data(settings, model)
        data.prepare_data()
        data.setup()
    except (ConfigError, DataError) as error:
        raise type(error)(str(error).replace("data.root", "root")) from None
    return data
