"""Where the configuration files lie: inside an installed package, or at the top of the repository."""

from pathlib import Path


def conf_folder() -> Path:
    """The folder with `config.yaml`; in a wheel it is packaged as `ganlab/conf`."""
    package = Path(__file__).resolve().parents[1]
    packaged = package / "conf"
    return packaged if packaged.is_dir() else package.parents[1] / "conf"
