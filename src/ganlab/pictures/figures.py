"""Figures of matplotlib that leave nothing behind."""

import gc
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Made = TypeVar("Made")


def freed(draw: Callable[Given, Made]) -> Callable[Given, Made]:
    """What `draw` makes and does not return is gone when it returns, also what refers to itself.

    A figure's parts refer to one another, so that only the garbage collector frees them, megabytes a picture. In a
    process that holds as many objects as a training run it comes to old ones after hundreds of pictures. While `draw`
    works nothing grows old: a look at the youngest, some milliseconds, finds all.
    """

    @wraps(draw)
    def drawing(*given: Given.args, **named: Given.kwargs) -> Made:
        collects = gc.isenabled()
        gc.disable()
        try:
            return draw(*given, **named)
        finally:
            gc.collect(0)
            if collects:
                gc.enable()

    return drawing
