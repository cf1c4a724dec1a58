"""Equations become MathML; one that cannot fails the build."""

from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

PAGE = SimpleNamespace(file=SimpleNamespace(src_uri="families/gan.md"))
MATH = "{http://www.w3.org/1998/Math/MathML}"


@pytest.fixture
def converted(script):
    pytest.importorskip("mkdocs")
    return lambda content: script("docs_equations").on_page_content(content, page=PAGE)


def test_a_fraction_is_a_fraction(converted):
    made = converted(r'<p>with <span class="arithmatex">\(\frac{a}{b} &lt; 1\)</span>, plainly</p>')
    math = ElementTree.fromstring(made).find(f"{MATH}math")
    assert math is not None and math.get("display") == "inline"
    fraction = math.find(f".//{MATH}mfrac")
    assert [part.text for part in fraction.iter(f"{MATH}mi")] == ["a", "b"]
    assert "<" in [part.text for part in math.iter(f"{MATH}mo")]


def test_lines_of_their_own_are_displayed(converted):
    made = converted('<div class="arithmatex">\\[\n\\mathbb{E}_r[\\log D(x)]\n\\]</div><p>$5</p>')
    assert 'display="block"' in made and "<p>$5</p>" in made and "arithmatex" not in made


@pytest.mark.parametrize(
    ("latex", "spaces"),
    [(r"\log 2", 1), (r"d \log s", 2), (r"\log(2)", 0), (r"\log \sigma_j^2", 1), (r"\log_{10} x", 0), (r"f(x)", 0)],
)
def test_a_function_stands_apart_from_what_is_beside_it(converted, latex, spaces):
    made = converted(rf'<span class="arithmatex">\({latex}\)</span>')
    assert made.count("<mspace") == spaces
    for script in ElementTree.fromstring(made).iter(f"{MATH}msub"):
        assert len(script) == 2


def test_an_unknown_command_fails_the_build(converted):
    from mkdocs.exceptions import PluginError

    with pytest.raises(PluginError, match=r"families/gan.md: .*\\nosuchthing"):
        converted(r'<span class="arithmatex">\(\nosuchthing{x}\)</span>')
