"""Words that the program writes for itself: each comes back from Hydra as it was."""

from types import SimpleNamespace

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from ganlab.config.words import config_dir_words, given_folders, quoted


@pytest.mark.parametrize("value", ["plain", "a space", "it's", "a\\b", "\\", "\\'", "a,b", "x=1", "${x}", "[1]", "é"])
def test_a_quoted_value_is_read_back_as_it_was(value):
    read = OverridesParser.create().parse_override(f"key={quoted(value)}").value()
    assert str(read) == value and not isinstance(read, list)


def test_folders_that_the_user_gave_are_told_from_the_others():
    sources = [
        SimpleNamespace(provider="main", path="file:///own/conf"),
        SimpleNamespace(provider="command-line", path="file:///mine"),
        SimpleNamespace(provider="command-line", path="other folder"),
    ]
    assert given_folders(sources) == ["/mine", "other folder"]


def test_folders_are_given_again_each_with_its_option():
    assert config_dir_words(["/a b", "c"]) == ["--config-dir", "/a b", "--config-dir", "c"]
    assert config_dir_words([]) == []
