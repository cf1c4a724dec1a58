"""`python -m ganlab.compare`: what it can be asked. Nothing of it loads torch: it reads what runs wrote down."""

from ganlab.config.schema import Strict
from ganlab.tasks import command

USAGE = """
ganlab.compare: finished runs side by side, grouped by what differs in their configuration, best first.

  python -m ganlab.compare runs=outputs/sweeps/sweep/2026-01-01_12-00-00
  python -m ganlab.compare 'runs=[outputs/lsgan-digits,outputs/wgan_gp-digits]'
  python -m ganlab.compare 'runs=outputs/*-digits' by=recall
  python -m ganlab.compare runs=… columns=[recall,loss/generator]

A row is one configuration, with mean ± standard deviation over its seeds. Only scores of equal protocol share a table.
Into the output folder go compare.csv (a line a row), runs.csv (a line a run), compare.md, and for each table the curves
over the iterations and the last samples side by side.

keys:
  runs         a folder, a pattern or a list of them: run folders, or folders that hold runs at any depth
  by           the score that ranks (the one that each run monitored)
  columns      further scores and last values that are shown, a list; in the files are all (a few that suit)
  evaluations  take the newest scores by ganlab.evaluate, and not those of training's end (false)
  output       the folder to write to (outputs/compare/<date>_<time>)
"""


class CompareOptions(Strict):
    """The keys of `ganlab.compare`."""

    runs: str | list[str]
    by: str | None = None
    columns: str | list[str] | None = None
    evaluations: bool = False
    output: str | None = None

    @property
    def patterns(self) -> list[str]:
        """The folders and patterns that were named."""
        return [self.runs] if isinstance(self.runs, str) else self.runs

    @property
    def shown(self) -> list[str] | None:
        """The further columns that were asked for; None: those that suit."""
        if isinstance(self.columns, str):
            return [name.strip() for name in self.columns.split(",")]
        return self.columns


def compare(options: CompareOptions) -> None:
    """Compare runs; raises `GanlabError` where there are none, or where a key says what cannot be."""
    from ganlab.tasks.comparing.comparison import compare_runs

    compare_runs(options)


def main() -> None:
    """Entry point of `python -m ganlab.compare` and of the console script `ganlab-compare`."""
    command.run(USAGE, CompareOptions, compare)
