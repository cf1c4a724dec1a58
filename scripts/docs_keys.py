"""Keys and choices that a page names in a sentence or a table, against those that there are."""

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from docs_pages import Page
from ganlab.config import resolvers
from ganlab.config.nearest import nearest
from ganlab.config.paths import conf_folder

CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
KEY = re.compile(r"^(?P<key>(?:model|data|trainer|optimizer|metrics|callbacks|logger)(?:\.\w+)+)(?:=|$)")
GROUPS = ("model", "data", "optimizer", "logger", "experiment", "sweep", "model/networks", "model/coders")
CHOICE = re.compile(rf"^(?P<group>{'|'.join((*GROUPS, 'metrics/extractor'))})=(?P<choices>[\w|,]+)$")

FOLDERS = {
    "model": "model.",
    "model/networks": "model.",
    "model/coders": "model.",
    "model/techniques": "model.",
    "data": "data.",
    "metrics/extractor": "metrics.extractor.",
}
"""Where the keys of a folder of configurations stand."""


def key_problems(page: Page) -> list[str]:
    """Keys and choices in a page's inline code that no configuration has, a line each."""
    own = {title for block in page.blocks if (title := block.title)}
    problems = []
    for number, line in page.prose:
        for found in CODE.finditer(line):
            for word in found[1].split():
                if problem := _problem(word, own):
                    problems.append(f"{page.name}:{number}: {word}: {problem}")
    return problems


def _problem(word: str, own: set[str]) -> str | None:
    """What is wrong with a word of inline code; `own`: files that the page has the reader write."""
    if (key := KEY.match(word)) and key["key"] not in known_keys():
        return f"there is no such key{nearest(key['key'], known_keys())}"
    if choice := CHOICE.match(word):
        for name in re.split(r"[|,]", choice["choices"]):
            group = choice["group"]
            if (
                name not in ("null", "none", "mine")
                and name not in choices(group)
                and f"conf/{group}/{name}.yaml" not in own
            ):
                return f"there is no {group} named {name}{nearest(name, choices(group))}"
    return None


@functools.cache
def choices(group: str) -> list[str]:
    """The files of a group of configurations."""
    return sorted(path.stem for path in (conf_folder() / group).glob("*.yaml"))


@functools.cache
def known_keys() -> frozenset[str]:
    """The keys of every model, data set, optimizer, extractor and choice of networks."""
    found: set[str] = {"metrics.csv"}  # a file of that name is spoken of as often
    # Read as they are, since each of them composed takes a quarter of a second.
    for folder, before in FOLDERS.items():
        for path in (conf_folder() / folder).glob("*.yaml"):
            found.update(_keys(OmegaConf.to_container(OmegaConf.load(path), resolve=False), before))
    resolvers.register()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        for overrides in (["model=stacked_ae"], *([f"optimizer={name}"] for name in ("adam", "rmsprop", "sgd"))):
            found.update(_keys(OmegaConf.to_container(compose("config", overrides=overrides), resolve=False)))
    return frozenset(found)


def _keys(node: Any, before: str = "") -> Iterator[str]:
    """Dotted names of all that a configuration holds, the nodes on the way included."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield f"{before}{key}"
            yield from _keys(value, f"{before}{key}.")
