import sys

import numpy as np
import pytest
import torch

from ganlab.metrics.extractors.digits import WEIGHTS, DigitNetwork, read_weights
from loading import loaded_file

SCRIPT = "scripts/digits_extractor.py"


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the script with arguments; gives its exit code and what it printed."""
    script = loaded_file(SCRIPT)
    threads = torch.get_num_threads()

    def running(*arguments):
        monkeypatch.setattr(sys, "argv", [SCRIPT, *map(str, arguments)])
        return script.main(), capsys.readouterr().out

    yield running
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


@pytest.mark.slow
def test_each_run_makes_the_same_file(run, tmp_path):
    file = tmp_path / "made.npz"
    code, printed = run("--epochs", 1, "--output", file)
    assert code == 0 and "WEIGHTS_SHA256" in printed
    DigitNetwork().load_state_dict(read_weights(file, printed.split("sha256: ")[1].split()[0]))
    with np.load(file) as made, np.load(WEIGHTS) as shipped:
        kinds = [{name: (a.shape, a.dtype) for name, a in arrays.items()} for arrays in (made, shipped)]
    assert kinds[0] == kinds[1] and {dtype for _, dtype in kinds[1].values()} == {np.dtype(np.float16)}

    torch.rand(5)
    code, printed = run("--epochs", 1, "--output", file, "--check")
    assert code == 0 and f"{file}: the same" in printed
    file.write_bytes(b"another")
    code, printed = run("--epochs", 1, "--output", file, "--check")
    assert code == 1 and f"{file}: another file" in printed
    assert file.read_bytes() == b"another"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_it_makes_here_is_as_good(run, tmp_path):
    _, printed = run("--output", tmp_path / "made.npz")
    shares = [float(line.split()[-1].rstrip("%")) for line in printed.splitlines() if line.startswith("held-out")]
    assert len(shares) == 10 and shares[0] >= 99 and min(shares) >= 97
