"""Commands that look at a finished run take `key=value` words, checked like a configuration."""

import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ValidationError
from yaml import YAMLError

from ganlab.config.check import lines_of
from ganlab.config.nearest import nearest
from ganlab.errors import ConfigError, GanlabError, reason_of, typed

Options = TypeVar("Options", bound=BaseModel)


def parse(schema: type[Options], words: Sequence[str]) -> Options:
    """The options that `key=value` words give; raises `ConfigError` with a line for each wrong one."""
    wrong = [typed(word) for word in words if "=" not in word]
    if wrong:
        raise ConfigError(
            "\n".join(f"{word}: expected key=value; keys: {', '.join(schema.model_fields)}" for word in wrong)
        )
    unknown = [word for word in words if word.partition("=")[0] not in schema.model_fields]
    if unknown:
        raise ConfigError(
            "\n".join(
                f"{typed(word)}: unknown key{nearest(word.partition('=')[0], schema.model_fields)}" for word in unknown
            )
        )
    values = {}
    for word in words:
        key, _, text = word.partition("=")
        values[key] = text or None if schema.model_fields[key].annotation in (str, str | None) else _value(word)
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise ConfigError("\n".join(lines_of(error, values, (), schema))) from None


def _value(word: str) -> Any:
    """What a `key=value` word says, as YAML reads it."""
    try:
        return OmegaConf.to_container(OmegaConf.from_dotlist([word]))[word.partition("=")[0]]  # type: ignore[index,call-overload]
    except (YAMLError, OmegaConfBaseException, ValueError) as error:
        reason = getattr(error, "problem", None) or reason_of(error)
        raise ConfigError(f"{typed(word)}: cannot be read as key=value ({reason})") from None


def run(usage: str, schema: type[Options], action: Callable[[Options], None]) -> None:
    """Parse the command line and act; a mistake is a line on standard error and its exit code."""
    words = sys.argv[1:]
    if not words or {"--help", "-h"} & set(words):
        print(usage.strip())
        raise SystemExit(0 if words else 2)
    try:
        action(parse(schema, words))
    except GanlabError as mistake:
        print(mistake, file=sys.stderr)
        raise SystemExit(mistake.exit_code) from None
