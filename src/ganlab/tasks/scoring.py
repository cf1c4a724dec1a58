"""What a finished run scored; every score with its protocol."""

from typing import Any

import torch

from ganlab.metrics.label_agreement import LabelAgreement
from ganlab.models.base import GenerativeModel

SMALL = 5_000
"""Training samples up to which a kernel classifier is fitted within a few seconds."""
SCORING_SEED = 20_240_101


def final_scores(model: GenerativeModel, data: Any, settings: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """From tag to value and protocol; empty where no score fits the model and the data."""
    metrics = settings["metrics"]
    classes = data.num_classes
    labelled = classes > 1 and model.condition_size == classes and not data.train.infinite
    if not (metrics["label_agreement"] and labelled and len(data.train) <= SMALL):
        return {}
    return {"metric/label_agreement": label_agreement(model, data, metrics["count"])}


def score_values(model: GenerativeModel, data: Any, settings: dict[str, Any]) -> dict[str, float]:
    """The values of `final_scores` alone, for the curves."""
    return {tag: score["value"] for tag, score in final_scores(model, data, settings).items()}


def label_agreement(model: GenerativeModel, data: Any, count: int) -> dict[str, Any]:
    """Agreement of a classifier trained on the real training part with the labels asked of the model."""
    train, test = data.examples(len(data.train), "train"), data.examples(len(data.test), "test")
    metric = LabelAgreement(train.samples, train.conditions)
    metric.update(test.samples, test.conditions)
    ceiling = float(metric.compute())
    metric.reset()
    labels = torch.arange(count) % data.num_classes
    generator = torch.Generator().manual_seed(SCORING_SEED)
    metric.update(model.sample(count, labels.to(model.device), generator).cpu(), labels)
    return {
        "value": float(metric.compute()),
        "protocol": {
            "metric": "label_agreement",
            "classifier": "sklearn.svm.SVC on pixels, fitted on the training part",
            "on_real_test": ceiling,
            "count": count,
            "split": "train",
            "weights": "averaged" if getattr(model, "generator_ema", None) is not None else "last",
            "seed": SCORING_SEED,
        },
    }
