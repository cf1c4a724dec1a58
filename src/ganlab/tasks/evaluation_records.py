"""Where evaluations are written down: each is added, and none is replaced."""

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ganlab.errors import OutputError
from ganlab.files import write_atomically


def now() -> str:
    """Date and time, in UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def read_results(path: Path) -> dict[str, Any]:
    """The contents of a results.json, empty if there is none; raises `OutputError` for what is not one."""
    try:
        results = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise OutputError(f"{path}: cannot be read ({error}); move it away, then evaluate again") from None
    if not isinstance(results, dict):
        raise OutputError(f"{path}: is not a run's results; move it away, then evaluate again")
    return results


def add_evaluation(path: Path, evaluation: Mapping[str, Any]) -> Path:
    """Add to the list `evaluations` of a results.json; everything else in it stays. Raises `OutputError`."""
    results = read_results(path)
    results.setdefault("evaluations", []).append(dict(evaluation))
    write_results(path, results)
    return path


def write_results(path: Path, results: Mapping[str, Any]) -> None:
    """The whole file, atomically."""
    write_atomically(path, lambda file: file.write(json.dumps(results, indent=2).encode()))
