"""gallery.json as Markdown: a table of all families, then each with its picture, command and scores."""

import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from ganlab.tasks.console import number
from ganlab.tasks.score_table import ARROWS, value_of

INTRODUCTION = """# Gallery

Every family on handwritten digits or on a toy in the plane, as `python benchmarks/gallery.py` (`make gallery`) has
trained it: by the model's default, or by the preset that is made for such data. A score is the mean ± the standard
deviation over the seeds; *real* is what real samples score in the generator's place, *PCA* what as many principal
components leave. Arrows say which way is better. All numbers are in `docs/gallery.json`."""


def page(families: Mapping[str, Mapping[str, Any]], all_names: Iterable[str]) -> str:
    """The page of what was made, in that order, and a line on what was not."""
    parts = [INTRODUCTION]
    if families:
        head = ["| family | score | measured | seeds | iterations |", "|---|---|---:|---:|---:|"]
        parts.append("\n".join([*head, *(summary(name, family) for name, family in families.items())]))
    if missing := [name for name in all_names if name not in families]:
        parts.append(f"Not made yet: {', '.join(missing)}. This makes them:")
        parts.append("    python benchmarks/gallery.py" + (f" families={','.join(missing)}" if families else ""))
    parts += [section(name, family) for name, family in families.items()]
    return "\n\n".join(parts) + "\n"


def summary(name: str, family: Mapping[str, Any]) -> str:
    """The family's row in the table: its main score."""
    main, score = next(iter(family["scores"].items()))
    cells = [
        f"[{name}](#{name})",
        f"{shown(main)}{arrow(score)}",
        f"{spread(score)}{beside(score)}",
        str(len(family["seeds"])),
        f"{family['iterations']:,}",
    ]
    return f"| {' | '.join(cells)} |"


def section(name: str, family: Mapping[str, Any]) -> str:
    """Picture, command and all its scores."""
    seeds = ", ".join(map(str, family["seeds"]))
    rows = [
        f"| {shown(key)}{arrow(score)} | {spread(score)} | {beside(score).strip(' ()')} | {score['title']} |"
        for key, score in family["scores"].items()
    ]
    parts = [
        f"## {name}",
        f"![{name}: {family['picture']}](gallery/{name}.png)",
        f"*`{family['picture']}` of seed {family['seeds'][0]}. What the model is: [its page](families/{name}.md).*",
        f"    {family['command']}",
        "\n".join([f"| seeds {seeds} | measured | beside it | |", "|---|---:|---:|---|", *rows]),
    ]
    return "\n\n".join(parts)


def spread(score: Mapping[str, Any]) -> str:
    """Mean ± standard deviation (of a sample, n - 1) over the seeds; of one seed its value."""
    values = score["values"]
    if len(values) == 1:
        return number(values[0])
    return value_of({"value": statistics.mean(values), "values": values, "sd": statistics.stdev(values)})


def beside(score: Mapping[str, Any]) -> str:
    """What real samples or principal components score, in brackets; empty without."""
    words = [f"{key} {number(score[name])}" for key, name in (("real", "real"), ("PCA", "pca")) if name in score]
    return f" ({', '.join(words)})" if words else ""


def shown(name: str) -> str:
    """A score's name; of a logged value its tag."""
    return f"`{name.removeprefix('last(').removesuffix(')')}`"


def arrow(score: Mapping[str, Any]) -> str:
    """Which way is better, where one is."""
    return f" {ARROWS[score['better']]}" if "better" in score else ""
