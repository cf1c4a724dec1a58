"""Scores of a trained run: its model rebuilt, its data loaded, several draws of the noise."""

import os
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from ganlab.config.scores import kind_of
from ganlab.models.base import GenerativeModel
from ganlab.tasks import console
from ganlab.tasks.evaluate import EvaluateOptions
from ganlab.tasks.evaluation_records import add_evaluation, now, read_results
from ganlab.tasks.real_samples import Split
from ganlab.tasks.score_table import Column, extractor_note, score_table
from ganlab.tasks.scoring import Scorer
from ganlab.tasks.suiting import build_extractor
from ganlab.tasks.trained import read_trained

SEEDS = 3
DEFAULTS: dict[str, Any] = {
    "extractor": {"_target_": "auto"},
    "monitor": "auto",
    "reference": "test",
    "count": 1000,
    "reference_count": 10_000,
    "seed": 0,
    "importance_samples": 100,
}
"""For what a run of an earlier version did not say."""


def cache_dir() -> str:
    """Where this machine keeps features of real samples; a run may come from another one."""
    return os.environ.get("GANLAB_CACHE") or "~/.cache/ganlab"


def evaluate_run(options: EvaluateOptions) -> None:
    """Score a run, print the table, and add the evaluation to the run's results.json."""
    assert options.run is not None
    saved = read_trained(options.run, options.checkpoint, trust=options.trust)
    folder, settings = saved.folder, saved.settings
    read_results(folder / "results.json")  # before the work: it is where the scores will go
    run = saved.load(options.root, options.device)
    model, data = run.model, run.data
    metrics = _metrics(settings.get("metrics", {}), options)
    scorer = Scorer(metrics, data, model, build_extractor(metrics["extractor"], data))
    scorer.verify()
    seeds = list(range(options.seeds or SEEDS)) if model.generates else [0]
    scores = {split: _over_seeds(scorer, model, split, seeds) for split in scorer.splits}
    told = {
        "date": now(),
        "checkpoint": run.file.name,
        "iteration": model.iteration,
        "seeds": seeds,
        "scores": scores,
    }
    _say(settings, model, scores, seeds)
    written = add_evaluation(folder / "results.json", told)
    console.say(f"written: {console.relative(written)}")


def _metrics(of_run: Mapping[str, Any], options: EvaluateOptions) -> dict[str, Any]:
    """The run's own choices, and over them what was asked for now."""
    metrics = {**DEFAULTS, **{key: value for key, value in of_run.items() if key in DEFAULTS}}
    extractor = options.extractor_node()
    if extractor is not None and extractor["_target_"] == metrics["extractor"]["_target_"]:
        extractor = {**metrics["extractor"], **extractor}  # the run's own weights, unless others are named
    asked = {"count": options.count, "reference_count": options.reference_count, "extractor": extractor}
    asked["importance_samples"] = options.importance_samples
    metrics |= {key: value for key, value in asked.items() if value is not None}
    of_now: dict[str, Any] = {"scores": options.scores, "reference": options.reference or "both", "monitor": "auto"}
    of_now |= {"batch_size": options.batch, "cache_dir": cache_dir()}
    return {**metrics, **of_now}


def _over_seeds(
    scorer: Scorer, model: GenerativeModel, split: Split, seeds: Sequence[int]
) -> dict[str, dict[str, Any]]:
    """Each score with its mean and standard deviation over draws of the noise."""
    drawn = [scorer(model, reference=split, seed=seed) for seed in seeds]
    return {tag: _joined([scores[tag] for scores in drawn], seeds) for tag in drawn[0]}


def _joined(scores: Sequence[Mapping[str, Any]], seeds: Sequence[int]) -> dict[str, Any]:
    first = scores[0]
    protocol = {key: value for key, value in first["protocol"].items() if key != "seed"}
    if len(scores) == 1:
        return {**first, "protocol": {**protocol, "seeds": list(seeds)}}
    values = [float(score["value"]) for score in scores]
    return {
        **first,
        "value": statistics.fmean(values),
        "sd": statistics.stdev(values),
        "values": values,
        "beside_is_of_seed": seeds[0],
        "protocol": {**protocol, "seeds": list(seeds)},
    }


def _say(
    settings: Mapping[str, Any],
    model: GenerativeModel,
    scores: Mapping[Split, Mapping[str, Mapping[str, Any]]],
    seeds: Sequence[int],
) -> None:
    first = next(iter(scores.values()))
    if not first:
        console.say("nothing to score: no score suits this model and its data")
        return
    protocol = next(iter(first.values()))["protocol"]
    times = f" × {len(seeds)} seeds (mean ± sd)" if len(seeds) > 1 else ""
    what = protocol["samples"] if not model.generates else "samples"
    title = (
        f"{settings['model']['name']} on {settings['data']['name']} · iteration {model.iteration:,} · "
        f"{model.weights_sampled} weights · {protocol['count']:,} {what}{times}"
    )
    columns = []
    for position, (split, told) in enumerate(scores.items()):
        shown = {tag: score for tag, score in told.items() if position == 0 or kind_of(tag).of_reference}
        columns.append(Column(f"against {split}", shown))
    extractor = protocol["extractor"]
    notes = [] if extractor is None else [extractor_note(extractor)]
    counts = {split: next(iter(told.values()))["protocol"]["reference_count"] for split, told in scores.items()}
    counted = ", ".join(f"{count:,} of {split}" for split, count in counts.items())
    notes.append(f"real samples: {counted}; columns “real”: samples of the other split in the generator's place")
    console.say(score_table(title, columns, notes))
