"""The names of scores: what each is called by which extractor, and what is said of a wrong one."""

import pytest

from ganlab.config.scores import (
    SCORES,
    UnknownScore,
    extractor_name,
    generic,
    generic_names,
    kind_of,
    problems_of_scores,
    tag_name,
)

DIGITS = {"_target_": "ganlab.metrics.extractors.digits.Digits"}
INCEPTION = {"_target_": "ganlab.metrics.extractors.inception.Inception", "weights": None}
AUTO = {"_target_": "auto"}


@pytest.mark.parametrize(
    ("kind", "extractor", "name"),
    [
        ("fd", "inception", "fid"),
        ("fd", "digits", "fd_digits"),
        ("kd", "inception", "kid"),
        ("kd", "random_conv", "kd_random_conv"),
        ("classifier_score", "inception", "inception_score"),
        ("classifier_score", "digits", "classifier_score_digits"),
        ("precision", "digits", "precision"),
        ("w1", None, "w1"),
        ("accuracy", "digits", "accuracy"),
        ("accuracy", None, "accuracy"),
    ],
)
def test_only_inception_makes_a_fid(kind, extractor, name):
    assert tag_name(kind, extractor) == name
    assert generic(name) == generic(f"metric/{name}") == kind
    assert kind_of(name) is SCORES[kind]
    assert generic_names([name, kind], extractor) == [kind]


def test_a_name_that_belongs_to_another_extractor_is_refused():
    for name, extractor in [("fid", "digits"), ("fd_digits", "inception"), ("kid", None)]:
        with pytest.raises(UnknownScore, match=f"{name}: that is .. by the extractor"):
            generic_names([name], extractor)
    with pytest.raises(UnknownScore):
        generic("fdd")


@pytest.mark.parametrize(
    ("node", "name"),
    [
        (AUTO, None),
        ({}, None),
        (DIGITS, "digits"),
        (INCEPTION, "inception"),
        ({"_target_": "my.nets.Encoder"}, "Encoder"),
        ({"_target_": "ganlab.metrics.extractors.module.Module", "name": "mine"}, "mine"),
    ],
)
def test_an_extractor_is_called_as_it_is_configured(node, name):
    assert extractor_name(node) == name


@pytest.mark.parametrize(
    ("scores", "monitor", "extractor", "lines"),
    [
        ("auto", "auto", AUTO, []),
        (["fd", "recall"], "recall", AUTO, []),
        (["accuracy"], "accuracy", AUTO, []),
        ("auto", "acuracy", AUTO, ["metrics.monitor=acuracy: there is no such score; nearest: accuracy"]),
        (["fd_digits"], "auto", AUTO, []),
        (["fid", "kid"], "fid", INCEPTION, []),
        (["fdd"], "auto", AUTO, ["metrics.scores=fdd: there is no such score; nearest: fd"]),
        ("auto", "recal", AUTO, ["metrics.monitor=recal: there is no such score; nearest: recall"]),
        (
            ["fid"],
            "auto",
            AUTO,
            ["metrics.scores=fid: that is fd by the extractor inception, and here the data decides"],
        ),
        (["fid"], "auto", DIGITS, ["metrics.scores=fid: that is fd by the extractor inception, and here it is digits"]),
        ("auto", "fid", DIGITS, ["metrics.monitor=fid: that is fd by the extractor inception"]),
        (["fd"], "recall", AUTO, ["metrics.monitor=recall: it is not among metrics.scores"]),
    ],
)
def test_what_is_wrong_with_scores_is_told_a_line_each(scores, monitor, extractor, lines):
    told = problems_of_scores({"scores": scores, "monitor": monitor, "extractor": extractor})
    assert len(told) == len(lines)
    for line, beginning in zip(told, lines, strict=True):
        assert line.startswith(beginning)
