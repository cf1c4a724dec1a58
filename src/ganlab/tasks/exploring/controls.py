"""What a person can set on the page, and the place that it asks for."""

from collections.abc import Sequence
from typing import Any

import gradio

from ganlab.tasks.exploring.explorer import Explorer
from ganlab.tasks.exploring.places import Chosen, CodeControl, Kind, Place

NOISE, SAMPLE = "noise", "a test sample"
KINDS: dict[Kind, str] = {"principal": "those that change the sample most", "own": "the latent's own dimensions"}
SHARES = "In brackets: a direction's share of all change."
LARGEST_SEED = 2**31 - 1
MOST_BUTTONS = 20
"""Choices that are shown as buttons; more are a list."""


class Controls:
    """Controls in the order in which the page's events hand over their values: `all`.

    What the model has no use for is there and not visible.
    """

    def __init__(self, explorer: Explorer, begin: Place) -> None:
        self.explorer = explorer
        self._build_start(begin)
        self._build_condition(begin)
        self._build_codes(begin)
        self._build_axes(begin)

    @property
    def all(self) -> list[Any]:
        """What events are told."""
        return [self.start, self.seed, self.row, self.condition, self.kind, *self.codes, *self.coordinates]

    @property
    def changing(self) -> list[Any]:
        """What `at` changes."""
        return [*self.all, self.of_noise, self.of_sample]

    # -- values ---------------------------------------------------------------------------------------------------

    def place(self, values: Sequence[Any]) -> Place:
        """What the values of all controls ask for; numbers that were typed are brought into their range."""
        start, seed, row, condition, kind, *rest = values
        codes, coordinates = rest[: len(self.codes)], rest[len(self.codes) :]
        chosen: Kind = next(key for key, words in KINDS.items() if words == kind)
        return Place(
            seed=_whole(seed, LARGEST_SEED),
            row=_whole(row, self._rows - 1) if start == SAMPLE else None,
            kind=chosen,
            coordinates=tuple(float(value or 0) for value in coordinates[: len(self.explorer.axes[chosen].names)]),
            codes=tuple(float(value or 0) for value in codes),
            condition=self._chosen(condition),
        )

    def with_start(self, values: Sequence[Any], start: str, **changed: int) -> list[Any]:
        """The same values with another start: a seed or a row."""
        _, seed, row, *rest = values
        return [start, changed.get("seed", seed), changed.get("row", row), *rest]

    def at(self, place: Place, typed: bool) -> list[Any]:
        """What all that is `changing` is to show of a start; a number that is being `typed` is left alone."""
        started = gradio.update(value=NOISE if place.row is None else SAMPLE)
        seed = gradio.skip() if typed else gradio.update(value=place.seed)
        row = gradio.skip() if typed or place.row is None else gradio.update(value=place.row)
        condition = gradio.update(value=self._shown_condition(place.condition))
        codes = [
            gradio.update(value=int(code) if control.categorical else code)
            for control, code in zip(self.explorer.code_controls, self.explorer.codes(place), strict=True)
        ]
        kind = gradio.update(value=KINDS[place.kind])
        rows = [gradio.update(visible=place.row is None), gradio.update(visible=place.row is not None)]
        return [started, seed, row, condition, kind, *codes, *self._axes_at(place), *rows]

    def _axes_at(self, place: Place) -> list[Any]:
        names, coordinates = self.explorer.axes[place.kind].names, self.explorer.coordinates(place)
        unused = len(self.coordinates) - len(names)
        shown = zip(names, coordinates, strict=True)
        return [gradio.update(label=name, value=value, visible=True) for name, value in shown] + [
            gradio.update(visible=False) for _ in range(unused)
        ]

    @property
    def _rows(self) -> int:
        return 0 if self.explorer.test is None else len(self.explorer.test)

    def _chosen(self, value: Any) -> Chosen:
        if not self.explorer.model.condition_size:
            return None
        return [int(index) for index in value or []] if self.explorer.by_attributes else int(value or 0)

    def _shown_condition(self, condition: Chosen) -> Any:
        return [] if self.explorer.by_attributes and condition is None else condition

    # -- how they look --------------------------------------------------------------------------------------------

    def _build_start(self, begin: Place) -> None:
        explorer = self.explorer
        drawn, given = explorer.model.generates, explorer.starts_from_samples
        choices = [*([NOISE] if drawn else []), *([SAMPLE] if given else [])]
        self.start = gradio.Radio(
            choices, value=choices[0], label="start from", visible=len(choices) > 1, elem_id="start"
        )
        with gradio.Row(visible=drawn, equal_height=True, elem_classes="beside") as self.of_noise:
            self.seed = gradio.Number(
                begin.seed, precision=0, minimum=0, maximum=LARGEST_SEED, label="seed of the noise", elem_id="seed"
            )
            self.new_noise = gradio.Button("New noise", variant="primary", elem_id="new-noise")
        with gradio.Row(visible=not drawn, equal_height=True, elem_classes="beside") as self.of_sample:
            last = max(self._rows - 1, 0)
            self.row = gradio.Number(
                begin.row or 0, precision=0, minimum=0, maximum=last, label=f"test sample, 0 to {last}", elem_id="row"
            )
            self.another = gradio.Button("Another test sample", variant="primary", elem_id="another")

    def _build_condition(self, begin: Place) -> None:
        explorer = self.explorer
        names = [name.replace("_", " ") for name in explorer.condition_names]
        choices = [(name, index) for index, name in enumerate(names)]
        value = self._shown_condition(begin.condition)
        self.condition: Any
        if explorer.by_attributes:
            self.condition = gradio.CheckboxGroup(choices, value=value, label="attributes", elem_id="condition")
        elif len(choices) > MOST_BUTTONS:
            self.condition = gradio.Dropdown(choices, value=value, label="class", elem_id="condition")
        else:
            self.condition = gradio.Radio(
                choices, value=value, label="class", visible=bool(choices), elem_id="condition"
            )

    def _build_codes(self, begin: Place) -> None:
        values = self.explorer.codes(begin)
        self.codes = [_code(control, value) for control, value in zip(self.explorer.code_controls, values, strict=True)]

    def _build_axes(self, begin: Place) -> None:
        explorer = self.explorer
        kinds = [words for kind, words in KINDS.items() if kind in explorer.axes]
        with gradio.Group():
            self.kind = gradio.Radio(
                kinds, value=KINDS[begin.kind], label="directions in the latent space", visible=len(kinds) > 1,
                info=f"Sliders say where the latent is, in {explorer.cloud.unit}. {SHARES}", elem_id="kind",
            )  # fmt: skip
            values, names = explorer.coordinates(begin), explorer.axes[begin.kind].names
            most = max(len(axes.names) for axes in explorer.axes.values())
            reach = explorer.cloud.reach
            self.coordinates = [
                gradio.Slider(
                    -reach, reach, values[index] if index < len(names) else 0, step=0.01,
                    label=names[index] if index < len(names) else "", visible=index < len(names),
                    buttons=[], elem_id=f"axis-{index + 1}",
                )
                for index in range(most)
            ]  # fmt: skip
            self.reset = gradio.Button("Sliders back to the start", elem_id="reset")


def _code(control: CodeControl, value: float) -> Any:
    name = control.name.replace(" ", "-")
    if not control.categorical:
        return gradio.Slider(-1, 1, value, step=0.01, label=f"{control.name}, -1 to 1", buttons=[], elem_id=name)
    choices = [(str(index), index) for index in range(control.size)]
    kind = gradio.Radio if control.size <= MOST_BUTTONS else gradio.Dropdown
    return kind(choices, value=int(value), label=f"{control.name}, one of {control.size}", elem_id=name)


def _whole(value: Any, most: int) -> int:
    """A number that was typed, or nothing, as a whole one from 0 to `most`."""
    return min(max(int(value or 0), 0), most)
