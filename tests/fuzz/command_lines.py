"""Command lines of a training run as hypothesis draws them: every group and key of conf/, right and wrong values.

Keys, their types and the choices of the groups are read from the configuration and the schema, so that a new key is
fuzzed from the day on which it is there.
"""

import functools
import types
import typing
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf
from pydantic import BaseModel

from ganlab.config import resolvers
from ganlab.config.paths import conf_folder
from ganlab.config.schema import OPTIMIZERS, RunConfig
from ganlab.config.signature import TargetNotFound, parameters_of

CONF = Path(conf_folder())
NOT_TRAINING = {"hydra"}
HOSTILE = [
    *("", "null", "~", "???", "true", "maybe", "x", "auto", "None", "- 1", "yes"),
    *("0", "-1", "1", "2", "0.5", "-0.0", "1e308", "-1e308", "1e400", "1e-320", "nan", "inf", "-inf", "0x10", "1e3"),
    *("1000000000", "1000000000000", "9223372036854775808", "-9223372036854775809", "1" + "0" * 30, "1" * 5000),
    *("[]", "[1,2,3]", "[null]", "[[[]]]", "[nan]", "[x,-1]", "{}", "{a:1}", "{a:{b:[1]}}", "{_target_:os.system}"),
    *('"quoted"', "'single'", "'", '"', "[", "]", "{", "}", "(", "[" * 300, "a b", " ", "\t", "a\nb", "\r", "\x1b[31m"),
    *("ü", "日本語", "😀", "\u202e", "\u2028", "\ufeff", "\x7f", "x" * 5000, "\udcff", "a=b", "#", "%", "\\", ":", ","),
    *("${seed}", "${data.name}", "${nothing}", "${", "${}", "${oc.env:NO_SUCH}", "${oc.env:HOME}", "${${seed}}"),
    *("${.}", "${..name}", "${now:%Y}", "${recommended:adam,lr,x}", "${mirrored:seed}", "${model}", "${hydra:job}"),
    *("1,2", "range(1,3)", "choice(1,2)", "interval(0,1)", "glob(*)", "sort(1,2)", "/dev/null", "nowhere/at/all"),
]
"""What may stand behind any key."""
PATHS = ("data.root", "data.cache_dir", "metrics.cache_dir", "callbacks.pruning.journal", "resume", "hydra.run.dir")
FILES = [
    "nowhere",
    "/dev/null",
    "/dev/null/x",
    "/proc/self/x",
    "",
    "~",
    "null",
    "x" * 300,
    "a/b",
    "ü",
    "\x1b[31m",
    "a\nb",
]
SAFE = {
    "trainer.compile": ["false"],
    "trainer.devices": ["1", "auto"],
    "data.download": ["false"],
    "trainer.max_iterations": ["1", "2"],
    "trainer.threads": ["1", "auto"],
}
"""Right values of keys of which others take minutes, start processes or fetch files."""
SMALL = {"width": "4", "latent_dim": "4", "depth": "1", "pretrain_iterations": "0", "levels": "2"}
QUICK = [
    "trainer.threads=1",
    "trainer.progress=false",
    "metrics.scores=[]",
    "metrics.count=8",
    "metrics.reference_count=8",
]
TEXTS = st.text(max_size=20).filter(lambda text: "\0" not in text)
FLAGS = [
    "--help",
    "--cfg=job",
    "--foo",
    "--config-name=nothing",
    "--config-dir=nothing",
    "--resolve",
    "--info",
    "--version",
]


@functools.cache
def choices(group: str) -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in (CONF / group).glob("*.yaml")))


@functools.cache
def groups() -> tuple[str, ...]:
    """Every group of conf/ that has choices, as it is written on the command line."""
    folders = {path.parent.relative_to(CONF).as_posix() for path in CONF.rglob("*.yaml")} - {"."}
    return tuple(sorted(group for group in folders if group.split("/")[0] not in NOT_TRAINING))


def _leaves(node: Any, prefix: str) -> list[str]:
    if not isinstance(node, dict):
        return [prefix]
    return [name for key, child in node.items() for name in _leaves(child, f"{prefix}.{key}" if prefix else str(key))]


@functools.cache
def _composed(*words: str) -> dict[str, Any]:
    resolvers.register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return OmegaConf.to_container(compose("config", overrides=list(words)), resolve=False)  # type: ignore[return-value]


@functools.cache
def keys(model: str, data: str) -> tuple[str, ...]:
    """Every key that a run with this model and data has."""
    config = dict(_composed(f"model={model}"))
    config["data"] = OmegaConf.to_container(OmegaConf.load(CONF / "data" / f"{data}.yaml"), resolve=False)
    return tuple(_leaves(config, ""))


@functools.cache
def elsewhere() -> tuple[str, ...]:
    """Keys of files that `keys` does not see: the other optimizers', loggers' and extractors'."""
    found = []
    for path in sorted(CONF.rglob("*.yaml")):
        group = path.parent.relative_to(CONF).as_posix()
        if group in groups() and not group.startswith(("experiment", "sweep")):
            node = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
            package = group.replace("/", ".")
            package = {"optimizer.algorithm": "optimizer.generator"}.get(package, package)
            package = "model" if group.startswith("model/") else package
            found += _leaves({key: value for key, value in node.items() if key != "defaults"}, package)
    return tuple(dict.fromkeys(found))


def schema_of(key: str, model: str, data: str) -> Any:
    """The annotation of a key, or None if nothing declares it."""
    *path, last = key.split(".")
    known: Any = RunConfig
    node: Any = {
        **_composed(f"model={model}"),
        "data": OmegaConf.to_container(OmegaConf.load(CONF / f"data/{data}.yaml")),
    }
    if path[:1] == ["optimizer"]:
        fields = {name: field for kind in OPTIMIZERS.values() for name, field in kind.model_fields.items()}
        return fields[last].annotation if last in fields else None
    for part in path:
        node = node.get(part) if isinstance(node, dict | DictConfig) else None
        field = known.model_fields.get(part) if isinstance(known, type) and issubclass(known, BaseModel) else None
        known = field.annotation if field else None
    if isinstance(known, type) and issubclass(known, BaseModel) and last in known.model_fields:
        return known.model_fields[last].annotation
    target = node.get("_target_") if isinstance(node, dict | DictConfig) else None
    try:
        found = {parameter.name: parameter.annotation for parameter in parameters_of(target)} if target else {}
    except TargetNotFound:
        return None
    return found.get(last)


def of_type(annotation: Any) -> st.SearchStrategy[str]:
    """Values of a declared type, small ones, as they are typed."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return of_type(arguments[0])
    if origin is typing.Literal:
        return st.sampled_from([str(value) for value in arguments])
    if origin in (typing.Union, types.UnionType):
        return st.one_of([of_type(argument) for argument in arguments])
    if origin is list:
        inside = of_type(arguments[0]) if arguments else st.just("1")
        return st.lists(inside, max_size=3).map(lambda values: f"[{','.join(values)}]")
    if annotation in (None, type(None)):
        return st.just("null")
    if annotation is bool:
        return st.sampled_from(["true", "false"])
    if annotation is int:
        return st.integers(0, 8).map(str)
    if annotation is float:
        return st.one_of(st.floats(0, 2).map(str), st.sampled_from(["0", "1", "0.5", "1e-3"]))
    return st.sampled_from(["x", "auto", "some name", "1"])


@functools.cache
def right(key: str, model: str, data: str) -> st.SearchStrategy[str]:
    if key in SAFE:
        return st.sampled_from(SAFE[key])
    if key in PATHS:
        return st.sampled_from(FILES)
    last = key.rpartition(".")[2]
    if last == "image_size":
        return st.sampled_from(["8", "16", "7", "1"])
    annotation = schema_of(key, model, data)
    return st.sampled_from(["1", "x", "null"]) if annotation is None else of_type(annotation)


def wrong(key: str) -> st.SearchStrategy[str]:
    if key in PATHS:
        return st.sampled_from(FILES)
    hostile = st.sampled_from(HOSTILE)
    if key == "trainer.max_iterations":  # a huge one is right, and would train
        hostile = hostile.filter(lambda value: not (value.isdigit() and int(value) > 2))
    return st.one_of(*[hostile] * 9, TEXTS)


KINDS = (*["right"] * 6, *["wrong"] * 8, *["sign"] * 2, "group", "misspelt", "other", "word")


@st.composite
def misspelt(draw: Any, word: str) -> str:
    place = draw(st.integers(0, max(0, len(word) - 1)))
    kind = draw(st.sampled_from(["drop", "double", "other"]))
    middle = {"drop": "", "double": word[place : place + 1] * 2, "other": draw(st.sampled_from("xé._/@"))}[kind]
    return word[:place] + middle + word[place + 1 :]


@st.composite
def override(draw: Any, model: str, data: str, kinds: tuple[str, ...] = KINDS) -> str:
    """One word: mostly a key of this model and data with a right or a wrong value."""
    kind = draw(st.sampled_from(kinds))
    key = draw(st.sampled_from(keys(model, data)))
    if kind == "right":
        return f"{key}={draw(right(key, model, data))}"
    if kind == "wrong":
        return f"{key}={draw(wrong(key))}"
    if kind == "sign":
        sign = draw(st.sampled_from(["+", "++", "~", "~"]))
        value = (
            "" if sign == "~" and draw(st.booleans()) else f"={draw(st.one_of(right(key, model, data), wrong(key)))}"
        )
        return f"{sign}{key}{value}"
    if kind == "group":
        group = draw(st.sampled_from(groups()))
        choice = draw(st.one_of(st.sampled_from(choices(group)), st.sampled_from(choices(group)).flatmap(misspelt)))
        return f"{draw(st.sampled_from(['', '', '', '+', '~']))}{group}={draw(st.one_of(st.just(choice), wrong('')))}"
    if kind == "misspelt":
        return f"{draw(misspelt(key))}={draw(st.one_of(right(key, model, data), wrong(key)))}"
    if kind == "other":
        other = draw(st.sampled_from(elsewhere()))
        return f"{other}={draw(wrong(other) if other in SAFE else st.one_of(wrong(other), st.just('1')))}"
    return draw(st.one_of(st.sampled_from(HOSTILE), st.sampled_from(FLAGS), TEXTS))


def small(model: str, data: str) -> list[str]:
    """What makes a run of this model on this data take a fraction of a second."""
    words = [f"{key}={SMALL[key.rpartition('.')[2]]}" for key in keys(model, data) if key.rpartition(".")[2] in SMALL]
    # Whether coders have width or widths follows from the data; they are small enough as they are.
    words = [word for word in words if word.startswith("model.") and "coder.width" not in word]
    if data in ("ring", "grid", "uniform", "swiss_roll", "stacked_digits"):
        words.append("data.test_count=8")
    image = ["data.image_size=8"] if "data.image_size" in keys(model, data) else []
    return [*words, *image, "data.batch_size=4", *QUICK, "trainer.max_iterations=2", "trainer.sample_every=null"]


@st.composite
def command_lines(draw: Any) -> tuple[list[str], list[str]]:
    """The words that make a run small, and after them those that are drawn."""
    model, data = draw(st.sampled_from(choices("model"))), draw(st.sampled_from(choices("data")))
    if draw(st.integers(0, 9)) == 0:
        name = draw(st.sampled_from(choices("experiment")))
        return [*QUICK, f"experiment={name}", "trainer.max_iterations=1", "data.batch_size=2"], [
            draw(override(model, data))
        ]
    kinds = ("right",) if draw(st.integers(0, 2)) == 0 else KINDS
    drawn = draw(st.lists(override(model, data, kinds), min_size=1, max_size=4))
    doubled = [drawn[0]] if draw(st.integers(0, 9)) == 0 else []
    return [f"model={model}", f"data={data}", *small(model, data)], [*drawn, *doubled]
