"""`python -m ganlab.claim`: what it can be asked. Nothing of it loads torch: a list and a mistake answer at once."""

import signal
import sys
import textwrap
from collections.abc import Sequence
from types import FrameType
from typing import Annotated

from pydantic import Field

from ganlab.claims.index import CLAIMS
from ganlab.config.nearest import nearest
from ganlab.config.schema import Strict
from ganlab.config.types import PositiveInt
from ganlab.errors import ConfigError, GanlabError, typed
from ganlab.tasks.command import parse

USAGE = """
ganlab.claim: what the literature claims, run, drawn, and judged over several seeds.

  python -m ganlab.claim linear_ae_is_pca
  python -m ganlab.claim mode_hopping seeds=[0,1,2,3,4]
  python -m ganlab.claim disjoint_supports budget=0.1      a quick look; the bounds are for the full budget

Prints what is expected beside what was measured, mean ± standard deviation over seeds, and whether the claim held: it
did if every seed is within the bounds. Into the output folder go figure.png, claim.json (all numbers) and the runs.

keys:
  seeds     a list ([0,1,2])
  budget    the share of the full iterations, up to 1 (1)
  jobs      how many runs train at a time, a CPU thread each (auto: the cores)
  output    the folder to write to; runs that it holds already are not made again (outputs/claims/<name>/<date>_<time>)
"""


class ClaimOptions(Strict):
    """The keys of `ganlab.claim`."""

    seeds: int | list[int] = Field(default_factory=lambda: [0, 1, 2])
    budget: Annotated[float, Field(gt=0, le=1)] = 1.0
    jobs: PositiveInt | None = None
    output: str | None = None

    @property
    def all_seeds(self) -> list[int]:
        """The seeds, of which one may stand alone."""
        return [self.seeds] if isinstance(self.seeds, int) else self.seeds


def verify_seeds(seeds: Sequence[int]) -> None:
    """Raise `ConfigError` for seeds that no experiment can have."""
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise ConfigError(f"seeds={list(seeds)}: expected different whole numbers from 0 on, one at least")


def _end(number: int, frame: FrameType | None) -> None:
    """As Ctrl-C does: what trains is ended first."""
    raise SystemExit(128 + number)


def usage() -> str:
    """What to type, and all claims, each with its statement and source."""
    lines = [USAGE.strip(), "", "claims:"]
    for claim in CLAIMS.values():
        lines.append(f"  {claim.name}")
        lines += textwrap.wrap(claim.statement, 112, initial_indent="      ", subsequent_indent="      ")
        lines.append(f"      ({claim.source})")
    return "\n".join(lines)


def main() -> None:
    """Entry point of `python -m ganlab.claim` and of the console script `ganlab-claim`."""
    words = sys.argv[1:]
    if not words or {"--help", "-h"} & set(words):
        print(usage())
        raise SystemExit(0 if words else 2)
    try:
        name, options = words[0], parse(ClaimOptions, words[1:])
        if name not in CLAIMS:
            all_of_them = f"; there are: {', '.join(CLAIMS)}"
            near = nearest(name, CLAIMS)
            raise ConfigError(f"{typed(name)}: there is no such claim{near if 'nearest' in near else ''}{all_of_them}")
        verify_seeds(options.all_seeds)
        from ganlab.claims.judging import judge

        before = signal.signal(signal.SIGTERM, _end)
        try:
            judge(CLAIMS[name], options)
        finally:
            signal.signal(signal.SIGTERM, before)
    except GanlabError as mistake:
        print(mistake, file=sys.stderr)
        raise SystemExit(mistake.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
