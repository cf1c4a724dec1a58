"""What an iteration was given: the rows of its batch, and whether its values are numbers."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

SHOWN = 8
"""Rows of a batch that a line names."""


def stream_of(trainer: Any) -> Any:
    """The stream of batches that a trainer draws from, whose batches follow from the iteration; None if it has none."""
    loader = getattr(trainer, "train_dataloader", None)
    stream = getattr(loader, "stream", loader)
    return stream if hasattr(stream, "batch") and hasattr(stream, "plan") else None


def rows_of(stream: Any, iteration: int) -> list[int] | None:
    """This process's rows of the training samples in an iteration, counted from 1, in the order of its updates.

    None where samples are drawn and have no rows.
    """
    positions = getattr(stream, "positions", None)
    if positions is None:
        return None
    return [row % positions.length for row in stream.rows(iteration - 1).tolist()]  # beyond the length: mirrored


def batch_of(trainer: Any, iteration: int) -> str:
    """In words: which samples an iteration, counted from 1, was given; empty if that is not known."""
    stream = stream_of(trainer)
    if stream is None:
        return ""
    rows = rows_of(stream, iteration)
    if rows is None:
        return f", in a batch of {stream.batch_size * stream.plan.at(iteration - 1)} drawn samples"
    more = f", … ({len(rows)} in all)" if len(rows) > SHOWN else ""
    return f", in the batch of training samples {', '.join(map(str, rows[:SHOWN]))}{more}"


def data_fault(trainer: Any, first: int, last: int) -> str | None:
    """The first sample or condition, of those that iterations `first` to `last` (from 1) were given, that holds a
    value that is no finite number: a line that names it."""
    stream = stream_of(trainer)
    if stream is None:
        return None
    for iteration in range(first, last + 1):
        rows = rows_of(stream, iteration)
        for name, values in _values(stream.batch(iteration - 1)):
            bad = _first_bad(values)
            if bad is not None:
                place, value = bad
                # Labelled samples have rows of their own.
                known = rows is not None and "labelled" not in name
                which = (
                    f"{name} {rows[place]} of the training split" if rows and known else f"{name} {place} of the batch"
                )
                return f"the data are not finite: {which} holds {value:g}, in iteration {iteration}"
    return None


def _values(batch: Any, kind: str = "") -> Iterator[tuple[str, Tensor]]:
    samples, conditions, labelled = batch
    yield f"{kind}sample", samples
    if conditions is not None and conditions.is_floating_point():
        yield f"{kind}condition of sample", conditions
    if labelled is not None:
        yield from _values(labelled, "labelled ")


def _first_bad(values: Tensor) -> tuple[int, float] | None:
    finite = values.isfinite()
    if bool(finite.all()):
        return None
    place = int(torch.nonzero(~finite)[0, 0])
    row = values[place]
    return place, float(row[~row.isfinite()].flatten()[0])
