"""README.md and docs/ against the program: every command, key, link, code block and number of the gallery.

    python scripts/docs_check.py                            # all pages
    python scripts/docs_check.py docs/sweeps.md README.md   # some of them

Each command is executed with a small budget in a folder of its own, beside tiny runs that stand for those of the page;
what needs a download, another machine or a GPU is composed and checked. A mistake that a page shows must be refused in
the words shown. The exit code is 1 if anything is wrong.
"""

import importlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from docs_keys import key_problems
from docs_pages import Command, Page, link_problems, read_page
from docs_running import check_commands, runs_of

ROOT = Path(__file__).parents[1]


def pages_in(root: Path) -> list[Path]:
    """README.md and the pages of docs/."""
    return [root / "README.md", *sorted((root / "docs").rglob("*.md"))]


def different(commands: Sequence[Command]) -> list[Command]:
    """Each command once, however many pages hold it; one in a sentence not at all where a block has it."""
    known = {}
    for command in sorted(commands, key=lambda command: command.inline):
        files = tuple(sorted(command.files.items())) if runs_of(command) or "--config-dir" in command.words else ()
        known.setdefault((command.words, command.output, files) if files else (command.words, command.output), command)
    in_blocks = {command.words for command in known.values() if not command.inline}
    return [command for command in known.values() if not (command.inline and command.words in in_blocks)]


def gallery_problems(root: Path) -> list[str]:
    """Whether docs/gallery.md is what docs/gallery.json gives."""
    record, page = root / "docs" / "gallery.json", root / "docs" / "gallery.md"
    if not page.exists():
        return []
    sys.path.insert(0, str(ROOT / "benchmarks"))
    gallery = importlib.import_module("gallery")
    known = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    told = gallery.page(known, list(gallery.FAMILIES))
    if told == page.read_text(encoding="utf-8"):
        return []
    return ["docs/gallery.md: not what docs/gallery.json gives; write it by python benchmarks/gallery.py write"]


def table(pages: Sequence[Page], done: dict[str, list[str]], problems: int) -> str:
    """How many commands each page holds, and what became of the different ones."""
    lines = [f"{page.name:40} {len(page.commands):4} commands" for page in pages if page.commands]
    lines += ["", "composed and checked, and not run:", *(f"  {line}" for line in sorted(done.get("composed", [])))]
    counts = ", ".join(f"{how} {len(done.get(how, []))}" for how in ("run", "refused as shown", "composed"))
    return "\n".join([*lines, "", f"{counts}, wrong {problems}"])


def main() -> int:
    began = time.monotonic()
    wanted = [Path(word).resolve() for word in sys.argv[1:]] or pages_in(ROOT)
    pages = [read_page(path, str(path.relative_to(ROOT))) for path in wanted]
    problems = [problem for page in pages for problem in page.problems]
    for path, page in zip(wanted, pages, strict=True):
        problems += link_problems(path, ROOT, name=page.name) + key_problems(page)
    problems += gallery_problems(ROOT)
    commands = different([command for page in pages for command in page.commands])
    with tempfile.TemporaryDirectory() as scratch:
        found, done = check_commands(commands, Path(scratch), os.cpu_count() or 1)
    problems += found
    print(table(pages, done, len(problems)))
    print(f"{time.monotonic() - began:.0f} s")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
