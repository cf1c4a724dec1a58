"""Data sets that are files under `data.root`, in the layout that torchvision uses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ganlab.data.image_module import ImageDataModule
from ganlab.errors import DataError
from ganlab.typed_path import typed_path


class DownloadedData(ImageDataModule):
    """Files in `folder` (below `root`); with `download` they are fetched if they are not there.

    Only existence is asked of them, not the checksums of the official files: a subset, or other images
    in the same format, will do.
    """

    title: str
    """The name that torchvision's class has."""

    def __init__(self, *, root: str = "data", download: bool = False, **common: Any) -> None:
        super().__init__(**common)
        self.root = typed_path(root, "data.root")
        self.download = download

    @property
    def folder(self) -> Path:
        raise NotImplementedError

    def absent(self) -> list[str]:
        """Names of the files that should be in `folder` and are not."""
        raise NotImplementedError

    def remedy(self) -> str:
        return f"put {', '.join(self.absent())} there"

    def prepare_data(self) -> None:
        """Fetch what is missing, or say what to put where (`DataError`)."""
        if self.absent() and self.download:
            fetch(self.name, self._fetch, f"{self.folder}: {self.remedy()} by hand")
        self.verify_files()

    def verify_files(self) -> None:
        if self.absent():
            raise DataError(
                f"data={self.name}: no {self.title} files in {self.folder}; {self.remedy()}, or set data.download=true"
            )

    def _fetch(self) -> None:
        # torchvision takes seconds to import, and only a download needs it.
        import torchvision

        getattr(torchvision.datasets, self.title)(str(self.root), download=True)


def fetch(name: str, download: Callable[[], object], remedy: str) -> None:
    """Run a download; whatever stops it becomes one line with the way to do without."""
    try:
        download()
    except Exception as error:
        # A download fails in a dozen ways (no network, a full disk, a changed file, a missing helper package).
        reason = " ".join(str(error).split()) or type(error).__name__
        reason = reason if len(reason) <= 160 else reason[:157] + "…"
        raise DataError(f"data={name}: the download failed ({reason}); {remedy}") from error
