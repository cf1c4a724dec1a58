"""The page: what a person can set, and which part of it is drawn anew when they do."""

import os
import secrets
from collections.abc import Sequence
from html import escape
from typing import Any

# Before gradio is imported, which reads them then: nothing of this page or its use is told to anyone.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["GRADIO_RUN_HISTORY"] = "False"

import gradio

from ganlab.tasks.exploring.controls import LARGEST_SEED, NOISE, SAMPLE, Controls
from ganlab.tasks.exploring.explorer import Explorer
from ganlab.tasks.exploring.places import End, Place
from ganlab.tasks.exploring.views import Views

ONE_AT_A_TIME: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1, "show_progress": "hidden"}
"""Of events: the model answers one after the other."""
DRAGGED: dict[str, Any] = {**ONE_AT_A_TIME, "trigger_mode": "always_last"}
"""Of a slider's: while one answer is on its way, only the last place that it was dragged to counts."""


class Page:
    """The parts of the page, and what happens when something is set."""

    def __init__(self, explorer: Explorer, views: Views, title: str, told: str) -> None:
        self.explorer, self.views = explorer, views
        begin = explorer.first()
        with gradio.Blocks(title=f"{title} · ganlab", analytics_enabled=False, fill_width=True) as self.blocks:
            gradio.HTML(f"<h1>{escape(title)}</h1><p>{escape(told)}</p>", elem_id="heading")
            with gradio.Row(elem_id="bench"):
                with gradio.Column(scale=5, min_width=320, elem_id="seen"):
                    self.shown = gradio.HTML(views.shown(begin), elem_id="shown")
                    with gradio.Column(elem_id="more"):
                        self._beside(begin)
                with gradio.Column(scale=4, min_width=320, elem_id="controls"):
                    self.controls = Controls(explorer, begin)
            self._wire()

    # -- what happens -----------------------------------------------------------------------------------------------

    def render(self, *values: Any) -> tuple[str, str]:
        """The sample and its neighbours, of what is set."""
        place = self.controls.place(values)
        return self.views.shown(place), self.views.near(place)

    def restart(self, *values: Any) -> list[Any]:
        """All controls at the start that is set, and everything that is drawn of it."""
        return self._started(values, typed=True)

    def new_noise(self, *values: Any) -> list[Any]:
        """The start at a seed that was drawn by chance."""
        return self._started(self.controls.with_start(values, NOISE, seed=secrets.randbelow(LARGEST_SEED)))

    def another_sample(self, *values: Any) -> list[Any]:
        """The start at a test sample that was drawn by chance."""
        assert self.explorer.test is not None
        row = secrets.randbelow(len(self.explorer.test))
        # Without noise the seed has no other use than to choose the many samples.
        seed = {} if self.explorer.model.generates else {"seed": row}
        return self._started(self.controls.with_start(values, SAMPLE, row=row, **seed))

    def _started(self, values: Sequence[Any], typed: bool = False) -> list[Any]:
        asked = self.controls.place(values)
        condition = asked.condition if asked.row is None else self.explorer.own_condition(asked.row)
        place = Place(asked.seed, asked.row, asked.kind, condition=condition)
        drawn = [self.views.shown(place), self.views.near(place), self.views.grid(place.seed)]
        return [*self.controls.at(place, typed), *drawn]

    def store(self, *values: Any) -> End:
        """What is shown, as an end of the walk."""
        return self.explorer.end(self.controls.place(values))

    def walk(self, first: End, last: End, share: float) -> tuple[str, str]:
        """The ends, and the way between them."""
        return self.views.ends(first, last), self.views.walk(first, last, min(max(float(share), 0.0), 1.0))

    # -- how it is laid out -------------------------------------------------------------------------------------------

    def _beside(self, begin: Place) -> None:
        """What there is to compare with."""
        with gradio.Tabs():
            with gradio.Tab("Nearest"):
                self.near = gradio.HTML(self.views.near(begin), elem_id="near")
            with gradio.Tab("A to B"):
                self._walk(begin)
            many = "Many samples" if self.explorer.model.generates else "Many test samples"
            with gradio.Tab(many, visible=self.explorer.of_images):
                self.grid = gradio.HTML(self.views.grid(begin.seed), elem_id="grid")

    def _walk(self, begin: Place) -> None:
        first, last = self._two_ends(begin)
        self.first, self.last = gradio.State(first), gradio.State(last)
        ends, way = self.walk(first, last, 0.5)
        with gradio.Row(elem_id="walk"):
            with gradio.Column(scale=4, min_width=320):
                self.ends = gradio.HTML(ends, elem_id="ends")
                with gradio.Row():
                    self.store_first = gradio.Button("Store what is shown as A", elem_id="store-a")
                    self.store_last = gradio.Button("Store what is shown as B", elem_id="store-b")
                self.share = gradio.Slider(
                    0, 1, 0.5, step=0.01, label="share of the way, 0 (A) to 1 (B)", buttons=[], elem_id="share"
                )
            with gradio.Column(scale=5, min_width=320):
                self.way = gradio.HTML(way, elem_id="way")

    def _two_ends(self, begin: Place) -> tuple[End, End]:
        if begin.row is None:
            other = Place(begin.seed + 1, condition=begin.condition)
        else:
            row = min(1, len(self.explorer.test or ()) - 1)
            other = Place(row=row, condition=self.explorer.own_condition(row))
        return self.explorer.end(begin), self.explorer.end(other)

    def _wire(self) -> None:
        controls = self.controls
        drawn = [self.shown, self.near]
        everything = [*controls.changing, *drawn, self.grid]
        for moved in [*controls.codes, *controls.coordinates]:
            moved.input(self.render, controls.all, drawn, **DRAGGED)
        controls.condition.input(self.render, controls.all, drawn, **DRAGGED)
        for starting in (controls.start, controls.kind, controls.seed, controls.row):
            starting.input(self.restart, controls.all, everything, **DRAGGED)
        controls.reset.click(self.restart, controls.all, everything, **ONE_AT_A_TIME)
        controls.new_noise.click(self.new_noise, controls.all, everything, **ONE_AT_A_TIME)
        controls.another.click(self.another_sample, controls.all, everything, **ONE_AT_A_TIME)
        walked = [self.first, self.last, self.share]
        for button, end in ((self.store_first, self.first), (self.store_last, self.last)):
            stored = button.click(self.store, controls.all, end, **ONE_AT_A_TIME)
            stored.then(self.walk, walked, [self.ends, self.way], **ONE_AT_A_TIME)
        self.share.input(self.walk, walked, [self.ends, self.way], **DRAGGED)
