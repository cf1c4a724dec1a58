"""Codes of trained runs judged by what simple classifiers read from them, beside raw values and PCA."""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

import numpy as np
import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from torch import Tensor

from ganlab import __version__
from ganlab.errors import DataError
from ganlab.files import write_atomically
from ganlab.metrics import probes
from ganlab.tasks import console
from ganlab.tasks.evaluation_records import now
from ganlab.tasks.features import Features
from ganlab.tasks.probe import ProbeOptions
from ganlab.tasks.rows import Fingerprint, Rows, Split
from ganlab.tasks.sampling import fresh_folder
from ganlab.tasks.trained import Trained, load_trained

MOST = 10_000
"""Samples of a split unless a count is given: beyond, a probe of many features takes minutes."""
ENDLESS = 2_000
"""The same of data that are drawn without end."""
SPLITS: tuple[Split, Split] = ("train", "test")


@dataclass(frozen=True)
class Half:
    """A split as classifiers see it: its samples, their classes int64 [n], and their hash."""

    samples: Tensor
    labels: Tensor
    sha256: str


def probe_runs(paths: Sequence[str], options: ProbeOptions) -> None:
    """Probe runs on the same data, print the table, and write it with its protocol to the first run's folder."""
    halves: dict[Split, Half] = {}
    of_runs: list[dict[str, Any]] = []
    first: Trained | None = None
    for path in paths:
        run = load_trained(path, options)
        own = {split: read_half(run, split, options.count) for split in SPLITS}
        if first is None:
            first, halves = run, own
        _refuse_other_data(halves, own, paths[0], path)
        name = run.name if len(paths) == 1 else f"{run.name} ({run.folder.name})"
        of_runs += rows_of(name, run, halves, options)
    assert first is not None
    rows = [*baselines(halves, [row["dims"] for row in of_runs], options), *of_runs]
    protocol = protocol_of(halves, options) | {"classes": first.data.condition_names}
    console.say(table_of(f"{first.data.name} · classes read from features", rows, protocol))
    written = fresh_folder(first.folder / "probes") / "probes.json"
    contents = json.dumps({"date": now(), "rows": rows, "protocol": protocol}, indent=2)
    write_atomically(written, lambda file: file.write(contents.encode()))
    console.say(f"written: {console.relative(written)}")


def rows_of(name: str, run: Trained, halves: Mapping[Split, Half], options: ProbeOptions) -> list[dict[str, Any]]:
    """A run's row, and before it one of the same network with the weights it began with: random ones go far."""
    rows = []
    beginning = run.untrained() if options.untrained else None
    for label, model in ((f"{name}, untrained", beginning), (name, run.model)):
        if model is None:
            continue
        features = Features(model, options.layers)
        train, test = (_in_batches(features, halves[split].samples, options.batch) for split in SPLITS)
        described = run.description() | features.description()
        if model is beginning:
            described |= {"iteration": 0, "checkpoint": None, "trained_with_labels": False}
        rows.append(score(label, train, test, halves, options) | {"run": described})
    return rows


def read_half(run: Trained, split: Split, count: int | None) -> Half:
    """A split with its labels; raises `DataError` where there are none."""
    rows = Rows(run.data, split, count or (ENDLESS if run.data.train.infinite else MOST))
    if rows.labels is None:
        why = "no class labels" if rows.conditions is None else "attributes, which are no classes"
        raise DataError(f"run={run.folder}: a probe reads classes, and data={run.data.name} of this run has {why}")
    fingerprint, parts = Fingerprint(len(rows)), []
    for part in rows.batches(1024):
        fingerprint.update(part.samples)
        parts.append(part.samples)
    return Half(torch.cat(parts), rows.labels, fingerprint.hexdigest())


def baselines(halves: Mapping[Split, Half], sizes: Sequence[int], options: ProbeOptions) -> list[dict[str, Any]]:
    """Raw values, and PCA with as many components as each of the codes, where these are fewer than the values."""
    train, test = (halves[split].samples.flatten(1).numpy() for split in SPLITS)
    raw = "raw pixels" if halves["train"].samples.ndim == 4 else "raw values"
    rows = [score(raw, train, test, halves, options)]
    for size in sorted({size for size in sizes if size < min(train.shape)}):
        components = probes.principal_components(train, test, size)
        rows.append(score(f"PCA ({size})", *components, halves, options))
    return rows


def score(
    name: str, train: np.ndarray, test: np.ndarray, halves: Mapping[Split, Half], options: ProbeOptions
) -> dict[str, Any]:
    """A row of the table: what the classifiers reach with these features of both splits."""
    given = (train, halves["train"].labels, test, halves["test"].labels)
    linear, near = probes.linear_probe(*given), probes.knn(*given, options.neighbours)
    few = probes.few_label_accuracy(*given, options.per_class, range(options.draws))
    count = len(test)
    return {
        "features": name,
        "dims": int(train.shape[1]),
        "linear_probe": {"value": linear, "standard_error": probes.standard_error(linear, count)},
        "knn": {"value": near, "standard_error": probes.standard_error(near, count)},
        "few_labels": {
            "value": statistics.fmean(few),
            "sd": statistics.stdev(few) if len(few) > 1 else None,
            "values": few,
        },
    }


def protocol_of(halves: Mapping[Split, Half], options: ProbeOptions) -> dict[str, Any]:
    """How the numbers were made."""
    labels = [halves[split].labels for split in SPLITS]
    return {
        "fitted_on": {"split": "train", "count": len(labels[0]), "samples_sha256": halves["train"].sha256},
        "scored_on": {"split": "test", "count": len(labels[1]), "samples_sha256": halves["test"].sha256},
        "linear_probe": {
            "classifier": "logistic regression, features standardised by the training rows",
            "penalties": list(probes.PENALTIES),
            "penalty_chosen_by": f"{probes.FOLDS}-fold cross-validation on training rows, {probes.CHOOSING} at most",
        },
        "knn": {"neighbours": options.neighbours, "distance": "Euclidean, features as they are"},
        "few_labels": {
            "per_class": options.per_class,
            "draws": list(range(options.draws)),
            "classifier": "linear probe",
        },
        "commonest_class": probes.commonest_class(labels[0], labels[1]),
        "version": __version__,
    }


def table_of(title: str, rows: Sequence[Mapping[str, Any]], protocol: Mapping[str, Any]) -> str:
    """The table as text, a row a set of features; below it what the numbers are."""
    few = protocol["few_labels"]
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("features", no_wrap=True)
    neighbours = protocol["knn"]["neighbours"]
    for heading in ("dims", "linear probe", f"{neighbours}-NN", f"{few['per_class']} labels a class"):
        table.add_column(heading, justify="right", no_wrap=True)
    told = False
    for row in rows:
        labelled = bool(row.get("run", {}).get("trained_with_labels"))
        told = told or labelled
        cells = [_spread(row["linear_probe"], "standard_error"), _spread(row["knn"], "standard_error")]
        cells.append(_spread(row["few_labels"], "sd"))
        table.add_row(f"{row['features']}{' †' if labelled else ''}", f"{row['dims']:,}", *cells)
    # Wide enough for the table as it is: a pipe or a narrow window must not cut numbers.
    output = Console(file=StringIO(), width=200, force_terminal=False, legacy_windows=False)
    output.print(table)
    lines = [line.rstrip() for line in output.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    return "\n".join([title, *lines, *_notes(protocol, told)])


def _notes(protocol: Mapping[str, Any], told: bool) -> list[str]:
    fitted, scored, few = protocol["fitted_on"], protocol["scored_on"], protocol["few_labels"]
    notes = [
        f"accuracy on {scored['count']:,} of test, fitted on {fitted['count']:,} of train; always the commonest class: "
        f"{protocol['commonest_class']:.3f}",
        f"± its standard error; of few labels the standard deviation over {len(few['draws'])} draws of them",
    ]
    return notes + (["† trained with labels: part of what is read from it, it was told"] if told else [])


def _spread(score: Mapping[str, Any], spread: str) -> str:
    value = f"{score['value']:.3f}"
    return value if score[spread] is None else f"{value} ± {score[spread]:.3f}"


def _in_batches(features: Callable[[Tensor], Tensor], samples: Tensor, size: int) -> np.ndarray:
    return torch.cat([features(part) for part in samples.split(size)]).numpy()


def _refuse_other_data(first: Mapping[Split, Half], other: Mapping[Split, Half], one: str, another: str) -> None:
    for split in SPLITS:
        same = first[split].sha256 == other[split].sha256 and torch.equal(first[split].labels, other[split].labels)
        if not same:
            raise DataError(
                f"runs: {another} and {one} are of other {split} samples: a table compares runs on the same data "
                "(data set, size, channels and split)"
            )
