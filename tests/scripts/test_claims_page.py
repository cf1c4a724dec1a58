"""The page of claims: of each its newest run at full budget, every number as the run's report has it."""

import json
import os

import pytest
from PIL import Image

from loading import ROOT, loaded_file


@pytest.fixture
def script():
    return loaded_file("scripts/claims_page.py")


def report(name="sparsity", value=0.123456, budget=1.0, holds=True, seeds=(0, 1, 2)):
    check = {"what": "a|b", "expected": "≤ 1", "values": [value, 2.0], "mean": 1.0, "sd": 1.0, "holds": holds}
    verdict = "held" if holds else "not held: a"
    return {
        "claim": name, "statement": "It is so.", "source": "Somebody 2000", "held": holds, "verdict": verdict,
        "seen": "", "checks": [check], "numbers": {}, "seeds": list(seeds), "budget": budget, "seconds": 1.0,
    }  # fmt: skip


def run(folder, age, **options):
    folder.mkdir()
    (folder / "claim.json").write_text(json.dumps(report(**options)))
    os.utime(folder / "claim.json", (1e9 - age, 1e9 - age))
    return folder


def test_the_newest_run_at_full_budget_counts(script, tmp_path):
    folders = [
        run(tmp_path / "new", 10, value=2.0),
        run(tmp_path / "old", 20, value=3.0),
        run(tmp_path / "quick", 0, value=4.0, budget=0.5),
        run(tmp_path / "foreign", 0, name="no_such_claim"),
        run(tmp_path / "lucky", 0, value=5.0, seeds=[7]),
    ]
    found = script.gathered(folders)
    assert list(found) == ["sparsity"] and found["sparsity"][0] == tmp_path / "new"
    assert found["sparsity"][1]["checks"][0]["values"][0] == 2.0


def test_the_page_tells_verdict_and_every_value(script):
    page = script.page({"sparsity": report(holds=False)})
    assert "| [`sparsity`](#sparsity) | not held |" in page
    assert "| a\\|b | ≤ 1 | 0.123, 2 | no |" in page
    assert "python -m ganlab.claim sparsity\n" in page and "**Verdict: not held: a.**" in page
    assert "Not run at full budget yet: `optimal_discriminator`" in page


def test_the_page_in_docs_is_what_its_numbers_give(script):
    reports = json.loads((ROOT / "docs" / "claims.json").read_text())
    assert (ROOT / "docs" / "claims.md").read_text() == script.page(reports)
    for name in reports:
        assert (ROOT / "docs" / "claims" / f"{name}.png").stat().st_size < 300_000, name


def test_figures_and_animations_are_gathered(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "DOCS", tmp_path / "docs")
    (tmp_path / "docs").mkdir()
    folders = [run(tmp_path / name, 0, name=name) for name in ("sparsity", "mode_hopping")]
    for folder in folders:
        Image.new("RGB", (4, 4), "red").save(folder / "figure.png")
    (folders[1] / "frames.gif").write_bytes(b"GIF89a")
    monkeypatch.setattr("sys.argv", ["claims_page.py", *map(str, folders)])
    script.main()
    written = {path.relative_to(tmp_path / "docs").as_posix() for path in (tmp_path / "docs").rglob("*.*")}
    images = {"claims/sparsity.png", "claims/mode_hopping.png", "claims/mode_hopping.gif"}
    assert written == {"claims.json", "claims.md", *images}
    assert (tmp_path / "docs" / "claims" / "mode_hopping.gif").read_bytes() == b"GIF89a"
    page = (tmp_path / "docs" / "claims.md").read_text()
    assert all(f"]({image})" in page for image in images) and "sparsity.gif" not in page
