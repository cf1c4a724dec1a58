"""A finished run as tasks need it that look at real samples: its model rebuilt, its data loaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganlab.config.check import problems_of_run
from ganlab.data.module import LabDataModule
from ganlab.errors import CheckpointError, ConfigError, DataError
from ganlab.models.base import GenerativeModel
from ganlab.tasks.building import build_data, build_model, with_weights
from ganlab.tasks.checkpoints import read_run, verify_stranger, verify_weights
from ganlab.tasks.devices import device_of


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


@dataclass(frozen=True)
class Saved:
    """A run's folder, the checkpoint that was read of it, and its configuration, which is one of ganlab's."""

    folder: Path
    file: Path
    settings: dict[str, Any]
    checkpoint: dict[str, Any]

    @property
    def condition_names(self) -> list[str]:
        """Names of the classes or attributes, if the data had some."""
        names = self.checkpoint["ganlab"].get("condition_names", [])
        return [str(name) for name in names] if isinstance(names, list) else []

    def restored(self) -> GenerativeModel:
        """The model with its trained weights, on the CPU; raises `CheckpointError` if they are of another one."""
        model = build_model(self.settings)
        verify_weights(model, self.checkpoint, self.file)
        return with_weights(model, self.checkpoint)

    def load(self, root: str | None = None, device: str = "auto") -> Trained:
        """Rebuild the model and load the data; `root`: where the data set lies now."""
        model = self.restored().to(device_of(device)).eval()
        return Trained(self.folder, self.file, self.settings, model, _load_data(self.settings, model, root))


def read_trained(run: str, checkpoint: str | int = "last", *, trust: bool = False) -> Saved:
    """Read a run, and build nothing yet; raises `GanlabError` in the words of a command with the keys run, checkpoint,
    trust, root and device, as `Saved.load` does.

    Without `trust` the run is a stranger's: what its configuration names must be ganlab's or of a known library.
    """
    folder, file, saved = read_run(run, checkpoint)
    verify_stranger(saved, f"run={run}", trusted=trust)
    settings: dict[str, Any] = saved["ganlab"]["config"]
    if problems := problems_of_run(settings):
        raise CheckpointError(f"run={run}: its configuration is not one of ganlab's: {problems[0]}")
    return Saved(folder, file, settings, saved)


def load_trained(run: str, options: Any) -> Trained:
    """`read_trained` and `Saved.load` by the options of a command: checkpoint, trust, root and device."""
    return read_trained(run, options.checkpoint, trust=options.trust).load(options.root, options.device)


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
