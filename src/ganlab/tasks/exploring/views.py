"""The parts of the page as HTML, each of an `Explorer` and a place; nothing here knows of gradio."""

from collections.abc import Sequence

from PIL import Image
from torch import Tensor

from ganlab.pictures import Limits, image_grid, plane_limits
from ganlab.tasks.exploring.explorer import Explorer
from ganlab.tasks.exploring.figures import SHOWN, SMALL, enlarged, figure, marked_plane, note, row_of
from ganlab.tasks.exploring.nearest import Nearest
from ganlab.tasks.exploring.places import End, Place

POINTS, WAY_POINTS = 1_000, 41
NEIGHBOURS, WALK = 6, 9
BESIDE = 224
"""Pixels of a picture that has others beside it."""


class Views:
    """What is drawn of an explorer.

    `nearest`: None, and `why_not` says why, where the training samples are not at hand.
    """

    def __init__(self, explorer: Explorer, nearest: Nearest | None, why_not: str = "") -> None:
        self.explorer, self.nearest, self.why_not = explorer, nearest, why_not
        self.real = None if nearest is None or explorer.of_images else nearest.known[:POINTS].float()
        self._limits: Limits | None = None if self.real is None else plane_limits(self.real)

    def shown(self, place: Place) -> str:
        """The sample of a place; of a test sample itself, what is given back of it, and what was made of that."""
        sample = self.explorer.sample(place)
        if not self.explorer.of_images:
            return self._plane(place, sample)
        if place.row is None:
            return row_of([figure(enlarged(sample, SHOWN), self._made_of(place), name="shown")], "shown")
        made, decibels = self.explorer.reconstruction(place.row)
        return row_of(
            [
                figure(enlarged(self.explorer.given(place.row).samples[0], BESIDE), self._tested(place.row)),
                figure(enlarged(made, BESIDE), f"given back, {decibels:.1f} dB", name="given back"),
                figure(enlarged(sample, BESIDE), "as the sliders say", name="shown"),
            ],
            "shown",
        )

    def near(self, place: Place) -> str:
        """The training samples nearest to the sample of a place, or a line that says why there are none."""
        if self.nearest is None:
            return note(self.why_not)
        sample = self.explorer.sample(place)
        if not self.explorer.of_images:
            (closest,) = self.nearest.find(sample, 1)
            return note(f"nearest of {self.nearest.count:,} training points: {closest.distance:.3g} away")
        figures = []
        for neighbour in self.nearest.find(sample, NEIGHBOURS):
            named = f"{neighbour.name} · " if neighbour.name else ""
            caption = f"{named}{100 * neighbour.distance:.1f} %"
            told = f"training sample {neighbour.row}, {caption} away"
            figures.append(figure(enlarged(neighbour.sample, SMALL), caption, told))
        searched = "all" if self.nearest.of_all else "the first"
        return row_of(figures, "small") + note(
            "The training samples nearest to it, by the root mean square difference of pixels: 0 % is a copy, 100 % "
            f"black against white. Looked through: {searched} {self.nearest.count:,}."
        )

    def grid(self, seed: int) -> str:
        """Many samples of a seed; of points nothing, as the plane shows them already."""
        if not self.explorer.of_images:
            return ""
        samples, captions = self.explorer.grid(seed)
        columns = len(captions) or 10
        if self.explorer.model.generates:
            told = f"{len(samples)} samples of seed {seed}"
            told += ", a row the same noise" if captions else ""
            return row_of([figure(image_grid(samples, columns, captions or None), told, name="grid", smooth=True)])
        picture = image_grid(samples, columns, row_captions=["test", "given back"] * (len(samples) // columns // 2))
        return row_of([figure(picture, f"test samples, drawn by seed {seed}", name="grid", smooth=True)])

    def ends(self, first: End | None, last: End | None) -> str:
        """The two stored ends."""
        figures = [
            figure(self._of_end(end, name), name, name=name, smooth=not self.explorer.of_images)
            for name, end in (("A", first), ("B", last))
            if end
        ]
        absent = [name for name, end in (("A", first), ("B", last)) if end is None]
        missing = note(f"Store {' and '.join(absent)} first: go to a sample, and press the button.") if absent else ""
        return row_of(figures, "small") + missing

    def walk(self, first: End | None, last: End | None, share: float) -> str:
        """The sample at a share of the way from A to B, and the whole way; nothing without both."""
        if first is None or last is None:
            return ""
        here = self.explorer.of_end(self.explorer.between(first, last, share))
        if not self.explorer.of_images:
            way = self.explorer.walk(first, last, WAY_POINTS)
            marks = [("A", way[0]), ("B", way[-1]), (f"{share:.2f}", here)]
            picture = marked_plane(None, self.real, marks, self._around(way), way)
            return row_of([figure(picture, self._way(), name="walk", smooth=True)])
        caption = "A" if share == 0 else "B" if share == 1 else f"{share:.2f} of the way from A to B"
        strip = image_grid(self.explorer.walk(first, last, WALK), WALK)
        return row_of(
            [figure(enlarged(here, BESIDE), caption, name="walk"), figure(strip, self._way(), name="way", smooth=True)]
        )

    # -- words ----------------------------------------------------------------------------------------------------

    def _way(self) -> str:
        model = self.explorer.model
        if model.generates and model.prior == "normal":
            return "from A to B, the noise on a great circle"
        return "from A to B, straight"

    def _made_of(self, place: Place) -> str:
        told = [f"seed {place.seed}", self._condition(place)]
        return ", ".join(word for word in told if word)

    def _condition(self, place: Place) -> str:
        names = self.explorer.condition_names
        if isinstance(place.condition, int):
            return f"class {names[place.condition]}"
        return ", ".join(names[index] for index in place.condition or []).replace("_", " ")

    def _tested(self, row: int) -> str:
        name = self.explorer.class_of(row)
        return f"test sample {row}" + (f", class {name}" if name else "")

    # -- points ---------------------------------------------------------------------------------------------------

    def _plane(self, place: Place, sample: Tensor) -> str:
        generated = self.explorer.cloud_of_points(place, POINTS)
        marks: Sequence[tuple[str, Tensor]] = [("here", sample)]
        if place.row is None:
            told = f"orange: samples of {self._made_of(place)}"
        else:
            made, distance = self.explorer.reconstruction(place.row)
            own = self.explorer.given(place.row).samples[0]
            marks = [(self._tested(place.row), own), ("given back", made), ("here", sample)]
            told = f"orange: what is given back of test points; of this one {distance:.3g} away"
        real = "" if self.real is None else "; blue: training points"
        x, y = sample.tolist()
        picture = marked_plane(generated, self.real, marks, self._around(generated))
        return row_of([figure(picture, f"here: ({x:.3g}, {y:.3g}); {told}{real}", name="shown", smooth=True)], "shown")

    def _around(self, points: Tensor) -> Limits:
        return self._limits or plane_limits(points)

    def _of_end(self, end: End, name: str) -> Image.Image:
        sample = self.explorer.of_end(end)
        if self.explorer.of_images:
            return enlarged(sample, SMALL)
        return marked_plane(None, self.real, [(name, sample)], self._around(sample[None])).resize((200, 200))
