"""A hook of mkdocs: equations become MathML while the site is built, so that a page asks the network for nothing.

`pymdownx.arithmatex` finds `$…$` and `$$…$$` and leaves them in elements of class arithmatex; browsers draw MathML
themselves. An equation that cannot be converted fails the build.
"""

import html
import re
from functools import partial
from typing import Any

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError

EQUATION = re.compile(r'<(?P<element>span|div) class="arithmatex">(?P<latex>.*?)</(?P=element)>', re.DOTALL)

_NAME = "<mi>(?:log|ln|exp|sin|cos|tanh|det)</mi>"
_ARGUMENT = "<m(?:i|n|sub|sup|subsup|row|over|under|frac|sqrt)>"
FUNCTION = re.compile(rf"(?<!<msub>)(?<!<msup>)(?<!<msubsup>){_NAME}(?={_ARGUMENT})|(?<=</mi>|</mn>){_NAME}")
"""A function's name beside an argument or a factor: MathML puts no space there, and log 2 would read log2."""
SPACE = '<mspace width="0.17em"/>'


def on_page_content(content: str, page: Any, **_: Any) -> str:
    """The page's HTML with MathML in place of LaTeX; raises `PluginError` that names page and equation."""
    return EQUATION.sub(partial(_converted, page.file.src_uri), content)


def _converted(page: str, found: re.Match[str]) -> str:
    latex = html.unescape(found["latex"]).strip()
    # \(…\) within a line, \[…\] on lines of its own.
    inner, display = latex[2:-2].strip(), "block" if latex.startswith(r"\[") else "inline"
    try:
        made = convert(inner, display=display)
    except Exception as error:  # the library has no base of its own for what it raises
        raise PluginError(f"{page}: {inner}: {type(error).__name__} {error}") from None
    if unknown := re.search(r"\\\w+", html.unescape(made)):
        raise PluginError(f"{page}: {inner}: {unknown[0]} is not known")
    return FUNCTION.sub(lambda name: _spaced(made, name), made)


def _spaced(made: str, name: re.Match[str]) -> str:
    """The name with a space before it where something multiplies it, and after it where no bracket follows."""
    before = SPACE if made[: name.start()].endswith(("</mi>", "</mn>")) else ""
    after = SPACE if re.match(_ARGUMENT, made[name.end() :]) else ""
    return f"{before}{name[0]}{after}"
