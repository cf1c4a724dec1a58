"""Whatever happens to a run, nothing is lost: one table of faults that were made to happen, and what became of them.

    python benchmarks/faults.py                # all parts
    python benchmarks/faults.py kills=50 disk  # parts by name; a number says how many are tried

Each part is a file faults_<name>.py beside this one with a function `rows(count)`. The exit code is 1 if anything
was lost.
"""

import importlib
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from fault_rows import Row, load_libraries  # noqa: E402

Part = Callable[..., Iterable[Row]]


def parts() -> dict[str, Part]:
    """By name, in the order of the alphabet."""
    names = sorted(path.stem for path in HERE.glob("faults_*.py"))
    return {name.removeprefix("faults_"): importlib.import_module(name).rows for name in names}


def chosen(words: list[str], known: dict[str, Part]) -> dict[str, int | None]:
    """Part and count of each word; of all parts if there is none. Ends with a line for a word that is neither."""
    wanted: dict[str, int | None] = {}
    for word in words:
        name, _, count = word.partition("=")
        if name not in known or (count and not count.isdigit()):
            sys.exit(f"{word}: give a part, or a part and how many: {', '.join(known)}")
        wanted[name] = int(count) if count else None
    return wanted or dict.fromkeys(known)


def line_of(row: Row) -> str:
    mark = "LOST" if row.lost else "" if row.tried else "not tried"
    return f"{row.fault:58}{row.tried:7}{row.survived:10}{row.lost:6}  {mark:9} {row.note}".rstrip()


def main() -> int:
    known = parts()
    wanted = chosen(sys.argv[1:], known)
    load_libraries()
    print(f"{'fault':58}{'tried':>7}{'survived':>10}{'lost':>6}", flush=True)
    lost = 0
    for name, count in wanted.items():
        for row in known[name]() if count is None else known[name](count):
            print(line_of(row), flush=True)
            lost += row.lost
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
