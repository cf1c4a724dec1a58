"""The scripts find one another by name, as when they are run from their folder."""

import importlib
from types import ModuleType

import pytest

from loading import ROOT


@pytest.fixture
def script(monkeypatch):
    """script("docs_pages"): a file of scripts/ as a module."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    return load


@pytest.fixture
def page(script, tmp_path):
    """page("text"): what docs_pages reads of a page with that text."""

    def read(text: str, name: str = "docs/page.md"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return script("docs_pages").read_page(path, name)

    return read
