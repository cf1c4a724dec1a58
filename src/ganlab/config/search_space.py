"""What a search may change, read from overrides as users of Hydra write them, in optuna's terms."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, Sweep

from ganlab.config.nearest import nearest
from ganlab.errors import ConfigError, reason_of

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

TAGS = ("log",)
_WHOLE = r"\s*[a-z]*\s*=?\s*[+-]?\d+\s*"
_WHOLE_INTERVAL = re.compile(rf"\binterval\({_WHOLE},{_WHOLE}\)")


@dataclass
class SearchSpace:
    """`searched`: from key to the values it may have; `fixed`: the overrides that every trial has, as they were typed.

    A list of choices holds strings, as they are typed after the =.
    """

    searched: "dict[str, BaseDistribution]"
    fixed: list[str]

    @property
    def size(self) -> int | None:
        """How many different trials there are; None if there is an interval of numbers."""
        size = 1
        for values in map(_values, self.searched.values()):
            if values is None:
                return None
            size *= len(values)
        return size

    def place(self, index: int) -> dict[str, Any]:
        """One of the different trials, the last key changing first; raises `ConfigError` if they cannot be counted."""
        values = {}
        for key in reversed(self.searched):
            choices = _values(self.searched[key])
            if choices is None:
                raise ConfigError(f"{key}: an interval has no grid; give a range or a list, or another sampler")
            index, own = divmod(index, len(choices))
            values[key] = choices[own]
        return values

    def overrides(self, values: Mapping[str, Any]) -> list[str]:
        """Those of one trial: the fixed ones, and the searched keys with these values."""
        return [*self.fixed, *(f"{key}={value}" for key, value in values.items())]


def read_search_space(parser: OverridesParser, params: Mapping[str, Any], arguments: Sequence[str]) -> SearchSpace:
    """From `hydra.sweeper.params` and the command line, which wins; raises `ConfigError`, a line for each problem."""
    words = [f"{key}={'null' if value is None else value}" for key, value in params.items()]
    read = {override.get_key_element(): override for override in parser.parse_overrides([*words, *arguments])}
    space, problems = SearchSpace({}, []), []
    for key, override in read.items():
        if not override.is_sweep_override():
            space.fixed.append(str(override.input_line))
            continue
        try:
            _refuse_key(key, override)
            space.searched[key] = _distribution(override)
        except ValueError as error:
            problems.append(f"{override.input_line}: {reason_of(error)}")
    if problems:
        raise ConfigError("\n".join(problems))
    if not space.searched:
        raise ConfigError(
            "nothing to search: give a key several values, e.g. model.loss=minimax,non_saturating or "
            "'optimizer.generator.lr=tag(log, interval(1e-5, 1e-3))'"
        )
    return space


def _refuse_key(key: str, override: Override) -> None:
    name = key.lstrip("+~")
    if name == "seed":
        raise ValueError(
            f"a search would find a lucky seed; for the mean over seeds: hydra.sweeper.seeds=[{_listed(override)}]"
        )
    if re.match(r"metrics\b", name):
        raise ValueError("trials are compared by their scores, and those of different settings cannot be")


def _listed(override: Override) -> str:
    return ",".join(override.sweep_string_iterator()) if override.is_discrete_sweep() else "0,1,2"


def _distribution(override: Override) -> "BaseDistribution":
    """What optuna draws from; raises `ValueError`."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    value: Any = override.value()
    log = _is_log(value)
    if isinstance(value, IntervalSweep):
        low, high = value.start, value.end
        whole = isinstance(low, int) and isinstance(high, int)
        if whole or (_WHOLE_INTERVAL.search(str(override.input_line)) and "float(" not in str(override.input_line)):
            return IntDistribution(*_ends(int(low), int(high), log), log=log)  # type: ignore[arg-type]
        return FloatDistribution(*_ends(low, high, log), log=log)
    if isinstance(value, RangeSweep):
        values = sorted(value.range())
        if not values:
            raise ValueError("this range is empty")
        low, high = _ends(values[0], values[-1], log, equal=True)
        whole = all(isinstance(number, int) for number in values)
        if log and (not whole or abs(value.step) != 1):
            raise ValueError("a range in steps has no logarithmic scale; use an interval")
        if whole:
            return IntDistribution(low, high, log=log, step=abs(int(value.step)))
        return FloatDistribution(low, high, step=abs(float(value.step)))
    if log:
        raise ValueError("a list has no logarithmic scale; leave the tag out")
    choices = list(dict.fromkeys(override.sweep_string_iterator()))
    if not choices:
        raise ValueError("no option of this group matches")
    return CategoricalDistribution(choices)


def _is_log(value: Any) -> bool:
    tags = value.tags if isinstance(value, Sweep) else set()
    for tag in sorted(tags):
        if tag not in TAGS:
            raise ValueError(f"there is no tag {tag}{nearest(tag, TAGS)}")
    return "log" in tags


def _ends(low: Any, high: Any, log: bool, *, equal: bool = False) -> tuple[Any, Any]:
    if not (low < high or (equal and low == high)):
        raise ValueError(f"{low} is not below {high}")
    if log and low <= 0:
        raise ValueError(f"a logarithmic scale begins above 0, not at {low}")
    return low, high


def _values(distribution: "BaseDistribution") -> list[Any] | None:
    from optuna.distributions import CategoricalDistribution, IntDistribution

    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return list(range(distribution.low, distribution.high + 1, distribution.step))
    step = getattr(distribution, "step", None)
    if step is None:
        return None
    low, high = distribution.low, distribution.high  # type: ignore[attr-defined]
    return [low + index * step for index in range(round((high - low) / step) + 1)]
