"""OmegaConf resolvers that ganlab's configuration files use."""

from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

CELEBA_ATTRIBUTES = 40
LONGEST_NAME = 150
"""Characters of a folder's name: file systems stop at 255 bytes."""
_IN_NAMES = str.maketrans({"/": ".", "'": None, '"': None, "\\": None, "$": None})
"""A slash would make a folder in a folder; the others mean something to Hydra, which is given the name again."""


def recommended(algorithm: str, key: str, default: Any, *, _root_: DictConfig, _parent_: DictConfig) -> Any:
    """The model's own setting for an optimizer, else the default.

    A model file says under `recommended.<algorithm>` what its paper used; a value under
    `recommended.<algorithm>.<network>` holds for one network only.
    """
    settings = OmegaConf.select(_root_, f"model.recommended.{algorithm}", default=None) or {}
    network = settings.get(_parent_._key()) or {}
    value = network.get(key, settings.get(key, default))
    return OmegaConf.create(value) if isinstance(value, list) else value


def condition_size(num_classes: int, attributes: Any) -> int:
    """Length of a condition: of the attribute list if there is one, else the number of classes."""
    if attributes == "all":
        return CELEBA_ATTRIBUTES
    if isinstance(attributes, (list, ListConfig)) and len(attributes):
        return len(attributes)
    return num_classes


def mirrored(name: str, *, _root_: DictConfig) -> Any:
    """The list at that dotted name in reverse; anything else as it is, for the check to tell what is wrong with it."""
    value = OmegaConf.select(_root_, name)
    return OmegaConf.create(list(reversed(value))) if isinstance(value, ListConfig) else value


def run_name(*, _root_: DictConfig) -> str:
    """The name of the run's folder: the one that was given, else <model>-<data>."""
    return _root_.get("name") or f"{_root_.model.name}-{_root_.data.name}"


def sweep_name(*, _root_: DictConfig) -> str:
    """The name of a sweep's folder: its jobs may differ in model and data, so only a given name tells more."""
    return _root_.get("name") or "sweep"


def job_folder(number: Any, overrides: str) -> str:
    """The name of a job's folder in its sweep's: its number, and of its overrides what a file system takes."""
    name = f"{number}_{overrides}".translate(_IN_NAMES)
    return name[:LONGEST_NAME].rstrip("_,. ")


def register() -> None:
    """Make the resolvers known; calling it twice does no harm."""
    OmegaConf.register_new_resolver("recommended", recommended, replace=True)
    OmegaConf.register_new_resolver("mirrored", mirrored, replace=True)
    OmegaConf.register_new_resolver("run_name", run_name, replace=True)
    OmegaConf.register_new_resolver("sweep_name", sweep_name, replace=True)
    OmegaConf.register_new_resolver("job_folder", job_folder, replace=True)
    OmegaConf.register_new_resolver("condition_size", condition_size, replace=True)
