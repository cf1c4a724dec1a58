"""What a Markdown page holds that can be checked: commands, files, code, links. Nothing is executed here.

An indented block, or one fenced as console, bash or sh, holds commands, one a line; in a console block whose first line
begins with `$`, what follows a command is its output. A fence with a title is a file of that name. Anything else is
fenced with its language; a fence without one, and a line that no rule covers, is a problem.
"""

import ast
import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

import yaml

COMMANDS = ("console", "bash", "sh", "")
"""Languages of blocks of commands; the empty one is an indented block."""
SHOWN = ("text",)
"""Languages of blocks that nothing reads."""
FENCE = re.compile(r"^ {0,3}```+\s*(?P<language>[\w-]*)(?P<rest>.*)$")
TITLE = re.compile(r'title="(?P<title>[^"]+)"')
INLINE = re.compile(r"`((?:python -m ganlab|python benchmarks/|python scripts/|make )[^`]*|make)`")
LINK = re.compile(r"(?<!\\)\[(?:[^\[\]]|\[[^\]]*\])*\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#{1,6}\s+(?P<text>.+?)\s*#*$")
LIST = re.compile(r"^\s*(?:[-*+]|\d+\.)\s")


@dataclass(frozen=True)
class Block:
    """Lines of code of a page, `line` being the first one's number; `title`: the file that they are."""

    line: int
    language: str
    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Command:
    """What a page tells the reader to type: `words` as a shell would split them, and the output shown below it.

    `inline`: named in a sentence. `files`: text by name of what the page has had the reader write by then.
    """

    page: str
    line: int
    words: tuple[str, ...]
    output: tuple[str, ...] = ()
    inline: bool = False
    files: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def typed(self) -> str:
        """The command line, with the quotes that a shell needs."""
        return " ".join(shlex.quote(word) if re.search(r"[\s'\"$*;&|<>(){}~]", word) else word for word in self.words)


@dataclass
class Page:
    """A page's blocks, the lines of its prose with their numbers, its commands, and what is wrong with its form."""

    name: str
    blocks: list[Block]
    prose: list[tuple[int, str]]
    commands: list[Command]
    problems: list[str]


def read_page(path: Path, name: str) -> Page:
    """The page in a file; `name` is how it is told of."""
    page = Page(name, *split(path.read_text(encoding="utf-8").splitlines()), [], [])
    files: dict[str, str] = {}
    for block in page.blocks:
        if problem := flaw(block):
            page.problems.append(f"{name}:{block.line}: {problem}")
        elif block.title:
            files = {**files, block.title: "\n".join(block.lines) + "\n"}
        elif block.language in COMMANDS:
            _read_commands(page, block, files)
    for number, line in page.prose:
        for found in INLINE.finditer(line):
            page.commands.append(Command(name, number, tuple(found[1].split()), inline=True))
    return page


def split(lines: list[str]) -> tuple[list[Block], list[tuple[int, str]]]:
    """The blocks of code and the lines of prose of a page."""
    blocks: list[Block] = []
    prose: list[tuple[int, str]] = []
    number = 0
    in_list = False
    while number < len(lines):
        line = lines[number]
        if opened := FENCE.match(line):
            end = next((at for at in range(number + 1, len(lines)) if lines[at].strip() == "```"), len(lines))
            title = TITLE.search(opened["rest"])
            language = opened["language"] or "fence without a language"
            blocks.append(Block(number + 1, language, title["title"] if title else "", tuple(lines[number + 1 : end])))
            number = end + 1
        elif line.startswith("    ") and not in_list and (number == 0 or not lines[number - 1].strip()):
            end = number
            while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
                end += 1
            inside = tuple(one[4:] for one in lines[number:end])
            blocks.append(Block(number + 1, "", "", inside))
            number = end
        else:
            if line.strip():
                in_list = bool(LIST.match(line)) or (in_list and line.startswith(" "))
            prose.append((number + 1, line))
            number += 1
    return blocks, prose


def flaw(block: Block) -> str | None:
    """What is wrong with a block that is no command: code that cannot be parsed, a language that nothing reads."""
    text = "\n".join(block.lines)
    try:
        if block.language == "python":
            ast.parse(text)
        elif block.language in ("yaml", "yml"):
            yaml.safe_load(text)
        elif block.language == "json":
            json.loads(text)
        elif block.language not in COMMANDS + SHOWN:
            return f"{block.language}: give a fence the language console, text, python, yaml or json"
    except (SyntaxError, yaml.YAMLError, ValueError) as error:
        return f"this {block.language} cannot be parsed: {error}"
    return None


def _read_commands(page: Page, block: Block, files: dict[str, str]) -> None:
    """Add the commands of a block to its page, or what is wrong with them."""
    told = block.language == "console" and block.lines[:1] and block.lines[0].startswith("$ ")
    typed: list[tuple[int, str, list[str]]] = []
    waiting = ""
    for number, line in enumerate(block.lines, start=block.line + (1 if block.language else 0)):
        if told and not waiting and not line.startswith("$ "):
            typed[-1][2].append(line)
            continue
        waiting += line.removeprefix("$ ") if told else line
        if waiting.endswith("\\"):
            waiting = waiting[:-1] + " "
            continue
        typed.append((number, waiting, []))
        waiting = ""
    for number, line, output in typed:
        try:
            parts = shlex.split(line, comments=True)
        except ValueError as error:
            page.problems.append(f"{page.name}:{number}: no shell reads this ({error}): {line}")
            continue
        for words in _between(parts, "&&"):
            page.commands.append(Command(page.name, number, tuple(words), tuple(output), files=files))


def _between(words: list[str], mark: str) -> list[list[str]]:
    """The lists of words between a mark, without empty ones."""
    parts: list[list[str]] = [[]]
    for word in words:
        if word == mark:
            parts.append([])
        else:
            parts[-1].append(word)
    return [part for part in parts if part]


def link_problems(path: Path, root: Path, *, name: str) -> list[str]:
    """Links of a page to files and anchors that are not there, a line each; links to the web are not looked at."""
    problems = []
    _, prose = split(path.read_text(encoding="utf-8").splitlines())
    for number, line in prose:
        for found in LINK.finditer(re.sub(r"`[^`]*`", "code", line)):
            target, _, anchor = found["target"].partition("#")
            if re.match(r"[a-z]+:", target):
                continue
            file = (path.parent / target).resolve() if target else path
            if not file.exists() or not file.is_relative_to(root):
                problems.append(f"{name}:{number}: {found['target']}: there is no such file")
            elif anchor and anchor not in anchors(file):
                problems.append(f"{name}:{number}: {found['target']}: there is no such heading")
    return problems


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as mkdocs and code forges make them."""
    _, prose = split(path.read_text(encoding="utf-8").splitlines())
    headings = [found["text"] for _, line in prose if (found := HEADING.match(line))]
    return {re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", text).strip().lower()) for text in headings}
