"""What tests of claims share: the command itself, with a part of the budget."""

import json
import subprocess
import sys

import pytest


@pytest.fixture
def quick_look(tmp_path):
    """quick_look("instance_noise", 0.5): claim.json of the command with that budget, seed 0, into the test's folder."""

    def look(name, budget):
        words = [name, f"budget={budget}", "seeds=0", f"output={tmp_path}"]
        subprocess.run([sys.executable, "-m", "ganlab.claim", *words], check=True, timeout=500)
        return json.loads((tmp_path / "claim.json").read_text())

    return look
